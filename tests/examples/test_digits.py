"""The digits example: its three styles agree, learn, and leave files that others can read."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.examples import digits


class Run(NamedTuple):
    losses: list[float]
    accuracies: list[float]
    folder: Path


def run(folder: Path, *options: str) -> Run:
    return Run(*digits.main([*options, "--out", str(folder)]), folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Two epochs in each style."""
    folder = tmp_path_factory.mktemp("digits")
    return {s: run(folder / s, "--style", s, "--epochs", "2") for s in digits.STYLES}


def pytorch_network() -> torch.nn.Module:
    """The example's network, written with PyTorch."""
    nn = torch.nn
    first = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    features = nn.Sequential(*first, *second)
    classifier = nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10))
    parts = OrderedDict(features=features, flatten=nn.Flatten(), classifier=classifier)
    return nn.Sequential(parts)


@pytest.mark.parametrize("style", ["jit", "functional"])
def test_all_styles_reach_the_same_losses(runs, style):
    ours, plain = runs[style].losses, runs["imperative"].losses
    assert ours[0] == pytest.approx(plain[0], rel=1e-5)
    assert ours == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize("style", digits.STYLES)
def test_the_loss_falls(runs, style):
    assert runs[style].losses[1] < runs[style].losses[0]


@pytest.mark.parametrize("style", digits.STYLES)
def test_the_picture_is_a_png(runs, style):
    picture = (runs[style].folder / "learning-curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5000


@pytest.mark.parametrize("style", digits.STYLES)
def test_the_checkpoint_gives_the_accuracy_that_was_told(runs, style):
    model = digits.Network()
    model.load_state_dict(jt.load(runs[style].folder / "digits.pt"))
    _, test = digits.load_data()
    assert digits.accuracy(model, test) == runs[style].accuracies[-1]


@pytest.mark.parametrize("style", digits.STYLES)
def test_pytorch_loads_the_checkpoint_and_computes_the_same(runs, style):
    path = runs[style].folder / "digits.pt"
    theirs, ours = pytorch_network(), digits.Network()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    ours.load_state_dict(jt.load(path))
    image = digits.load_data()[1][:9][0].numpy().copy()
    with jt.no_grad(), torch.no_grad():
        expected = theirs(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(ours(jt.tensor(image)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_default_settings_reach_98_percent(tmp_path):
    result = run(tmp_path, "--style", "jit")
    assert len(result.losses) == 20
    assert result.losses[-1] < 0.01
    assert result.accuracies[-1] >= 0.98


def test_the_same_seed_repeats_a_run_and_another_does_not(runs, tmp_path):
    plain = runs["imperative"].losses[0]
    assert run(tmp_path, "--epochs", "1").losses == [plain]
    assert run(tmp_path, "--epochs", "1", "--seed", "1").losses != [plain]


def test_the_command_trains_and_says_where_the_results_are(tmp_path):
    options = ["--epochs", "1", "--batch-size", "128", "--lr", "0.1", "--out"]
    command = [sys.executable, "-m", "jtoolbox.examples.digits", *options, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "test accuracy: " in done.stdout
    assert str(tmp_path / "out" / "digits.pt") in done.stdout
    assert (tmp_path / "out" / "learning-curve.png").exists()
    assert "11/11" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "--epochs: must be 1 or more, got 0"),
        (["--batch-size", "0"], "--batch-size: must be 1 to 1437, got 0"),
        (["--style", "eager"], "--style: invalid choice: 'eager'"),
    ],
)
def test_an_impossible_option_is_refused_with_a_reason(capsys, options, message):
    with pytest.raises(SystemExit):
        digits.arguments(options)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("package", ["matplotlib.figure", "sklearn.datasets"])
def test_a_missing_package_is_reported_with_the_command_that_installs_it(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "jtoolbox.examples.digits")
    with pytest.raises(ImportError, match=r'pip install "jtoolbox\[examples\]"'):
        importlib.import_module("jtoolbox.examples.digits")

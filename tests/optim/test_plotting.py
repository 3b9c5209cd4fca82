"""The picture of a schedule, and the numbers in it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from jtoolbox import optim
from jtoolbox.optim import lr_scheduler as s


def test_the_figure_shows_the_rates_of_every_group():
    figure = optim.plot_schedule(lambda o: s.StepLR(o, 2, 0.5), 4, lr=[1.0, 0.1])
    (axes,) = figure.axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [
        [1.0, 1.0, 0.5, 0.5, 0.25],
        [0.1, 0.1, 0.05, 0.05, 0.025],
    ]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step of the schedule", "learning rate")
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["group 0", "group 1"]


def test_momentum_has_axes_of_its_own_where_it_changes(tmp_path):
    figure = optim.plot_schedule(lambda o: s.OneCycleLR(o, max_lr=0.1, total_steps=20), 19)
    assert [ax.get_ylabel() for ax in figure.axes] == ["learning rate", "momentum"]
    momentum = figure.axes[1].lines[0].get_ydata()
    assert (momentum.max(), momentum.min()) == (0.95, 0.85)
    figure.savefig(tmp_path / "schedule.png")
    assert (tmp_path / "schedule.png").stat().st_size > 1000


def test_a_schedule_that_follows_a_metric_is_given_some():
    found = optim.trace_schedule(
        lambda o: s.ReduceLROnPlateau(o, patience=0), 3, lr=1.0, metrics=[1.0, 1.0, 0.5]
    )
    np.testing.assert_allclose(found["lr"][:, 0], [1.0, 1.0, 0.1, 0.1])
    assert found["momentum"].shape == (4, 1)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="steps must be 1 or more, got 0"):
        optim.plot_schedule(lambda o: s.StepLR(o, 2), 0)
    with pytest.raises(ValueError, match="metrics must be one for each step: got 1 for 3 steps"):
        optim.plot_schedule(lambda o: s.ReduceLROnPlateau(o), 3, metrics=[1.0])


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="needs matplotlib: pip install matplotlib"):
        optim.plot_schedule(lambda o: s.StepLR(o, 2), 3)

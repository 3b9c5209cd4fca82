"""Networks as they are published train here as under PyTorch, by their import lines alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.networks.loading import load

NETWORKS = [
    "mlp",
    "resnet",
    "unet",
    "vit",
    "gpt",
    "lstm_language_model",
    "seq2seq",
    "vae",
    "gan",
    "reinforce",
    "gcn",
    "diffusion",
]


def trained(module: ModuleType, state: dict[str, np.ndarray] | None) -> tuple[Any, list[float]]:
    model = module.build()
    if state is not None:
        model.load_state_dict({k: jt.tensor(v) for k, v in state.items()})
    return model, module.train(model, module.batches(np.random.default_rng(3)))


@pytest.fixture
def one_thread():
    """PyTorch's threads would wait for each other on networks this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", NETWORKS)
def test_thirty_steps_have_pytorchs_losses_and_end_in_its_state(name):
    theirs, ours = load(name, "torch"), load(name, "jtoolbox")
    torch.manual_seed(1)
    start = theirs.build()
    state = {k: v.numpy().copy() for k, v in start.state_dict().items()}
    torch.manual_seed(1)
    expected, expected_losses = trained(theirs, None)
    found, losses = trained(ours, state)
    assert isinstance(found, jt.nn.Module)
    assert repr(found) == repr(start)
    assert len(losses) >= 30
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    a, b = found.state_dict(), expected.state_dict()
    assert list(a) == list(b)
    for key, value in b.items():
        np.testing.assert_allclose(
            a[key].numpy(), value.numpy(), rtol=2e-3, atol=2e-3, err_msg=key
        )

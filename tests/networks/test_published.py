"""Networks as they are published train here as under PyTorch, by their import lines alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.networks.loading import load

# A ReLU whose input passes zero within rounding sends two trainings apart for good: after thirty
# steps PyTorch's own from weights changed by 3e-6 are 1e-2 apart for the ResNet, 4e-3 for the
# U-Net. From the weights of these seeds no ReLU comes that near (the ResNet's does from those of
# 1, at the fifth step, and the U-Net's from those of 2, at the eighteenth).
SEEDS = {"resnet": 2}
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


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", NETWORKS)
def test_thirty_steps_have_pytorchs_losses_and_end_in_its_state(name):
    theirs, ours = load(name, "torch"), load(name, "jtoolbox")
    torch.manual_seed(SEEDS.get(name, 1))
    start = theirs.build()
    state = {k: v.numpy().copy() for k, v in start.state_dict().items()}
    torch.manual_seed(SEEDS.get(name, 1))
    expected, expected_losses = trained(theirs, None)
    found, losses = trained(ours, state)
    assert isinstance(found, jt.nn.Module)
    assert repr(found) == repr(start)
    assert len(losses) >= 30
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    a, b = found.state_dict(), expected.state_dict()
    assert list(a) == list(b)
    for key, value in b.items():
        # The keys' bias moves no softmax: its gradient is rounding, which Adam makes a full step.
        if key.endswith("in_proj_bias"):
            continue
        np.testing.assert_allclose(a[key].numpy(), value.numpy(), rtol=2e-3, atol=2e-3, err_msg=key)

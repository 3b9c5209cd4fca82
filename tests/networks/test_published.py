"""Networks as they are published train here as under PyTorch, by their import lines alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.networks.loading import load

SEED = 2
# A ReLU whose input passes zero within rounding sends two trainings apart for good: PyTorch's own
# from weights changed by 3e-6 are 1e-2 apart after thirty steps of the ResNet. These networks are
# trained in float64, where rounding is too small for that: what differs there is a difference.
IN_FLOAT64 = {"resnet", "unet", "diffusion"}
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


def trained(
    module: ModuleType, state: dict[str, np.ndarray] | None, double: bool
) -> tuple[Any, list[float]]:
    model = module.build()
    if state is not None:
        model.load_state_dict({k: jt.tensor(v) for k, v in state.items()})
    batches = module.batches(np.random.default_rng(3))
    return model, module.train(model, [widened(b) for b in batches] if double else batches)


def widened(batch: Any) -> Any:
    """The batch with its float32 arrays in float64."""
    if isinstance(batch, (tuple, list)):
        return type(batch)(widened(part) for part in batch)
    floats = isinstance(batch, np.ndarray) and batch.dtype == np.float32
    return batch.astype(np.float64) if floats else batch


@pytest.fixture
def double(name):
    """Whether the network is trained in float64, the default type of both libraries meanwhile."""
    chosen = name in IN_FLOAT64
    if chosen:
        torch.set_default_dtype(torch.float64)
        jt.set_default_dtype(jt.float64)
    yield chosen
    torch.set_default_dtype(torch.float32)
    jt.set_default_dtype(jt.float32)


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
def test_thirty_steps_have_pytorchs_losses_and_end_in_its_state(name, double):
    theirs, ours = load(name, "torch"), load(name, "jtoolbox")
    torch.manual_seed(SEED)
    start = theirs.build()
    state = {k: v.numpy().copy() for k, v in start.state_dict().items()}
    torch.manual_seed(SEED)
    expected, expected_losses = trained(theirs, None, double)
    found, losses = trained(ours, state, double)
    assert isinstance(found, jt.nn.Module)
    assert repr(found) == repr(start)
    assert len(losses) >= 30
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-9 if double else 1e-4)
    a, b = found.state_dict(), expected.state_dict()
    assert list(a) == list(b)
    for key, value in b.items():
        # The keys' bias moves no softmax: its gradient is rounding, which Adam makes a full step.
        if key.endswith("in_proj_bias"):
            continue
        np.testing.assert_allclose(a[key].numpy(), value.numpy(), rtol=2e-3, atol=2e-3, err_msg=key)

"""`out=` writes the result into a tensor, as PyTorch does, or raises its error."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
import torch

import jtoolbox as jt
from tests.nn.both import both
from tests.test_tensor import outcome

EXPRESSIONS = [
    "o = torch.zeros(2); r = torch.add(torch.ones(2), 1, out=o); r is o, o",
    "o = torch.empty(0); torch.mul(torch.ones(2), 3, out=o); o",
    "o = torch.zeros(2, dtype=torch.int64); torch.add(torch.ones(2), 1, out=o)",
    "o = torch.zeros(2, dtype=torch.float64); torch.exp(torch.ones(2), out=o); o",
    "o = torch.zeros(2, 2); torch.matmul(torch.ones(2, 2), torch.ones(2, 2), out=o); o",
    "o = torch.zeros(2, 2); torch.mm(torch.ones(2, 2), torch.ones(2, 2), out=o); o",
    "o = torch.zeros(2, 2); z = torch.ones(2, 2); torch.addmm(z, z, z, out=o); o",
    "o = torch.zeros(4); torch.cat([torch.ones(2), torch.ones(2)], out=o); o",
    "o = torch.zeros(2); torch.exp(torch.ones(2, requires_grad=True), out=o)",
    "o = torch.zeros(2, requires_grad=True); torch.exp(torch.ones(2), out=o)",
    "o = torch.zeros(4); torch.exp(torch.ones(2), out=o[1:3]); o",
    "x = torch.ones(2); torch.mul(x, 2, out=x); x",
    "torch.exp(torch.ones(2), out=None)",
    "torch.exp(torch.ones(2), out=3)",
    "o = torch.zeros(2); torch.clamp(torch.tensor([-1.0, 5.0]), 0, 1, out=o); o",
    "o = torch.zeros(2); torch.pow(torch.ones(2) * 2, 2, out=o); o",
    "o = torch.zeros(2); torch.sum(torch.ones(3, 2), dim=0, out=o); o",
    "o = torch.zeros(1); i = o.long(); torch.max(torch.ones(1, 2), 1, out=(o, i)); o, i",
    "o = torch.zeros(1, 2); torch.index_select(torch.eye(2), 0, torch.tensor([1]), out=o); o",
    "o = torch.zeros(2); torch.where(torch.tensor([True, False]), o + 1, o + 2, out=o); o",
    "o = torch.zeros(3); torch.arange(3, out=o); o",
    "o = torch.zeros(2, dtype=torch.int64); torch.ones(2, out=o); o",
    "o = torch.ones(2); torch.zeros(2, out=o); o",
    "o = torch.ones(2, 2); torch.eye(2, out=o); o",
    "o = torch.ones(3, dtype=torch.int64); torch.randperm(3, out=o); o.sort()[0]",
    "o = torch.zeros(2); torch.rand(2, out=o); o.min() > 0",
    "o = torch.zeros(2); torch.normal(torch.zeros(2), 1.0, out=o).shape",
    "o = torch.zeros(2); torch.fft.fftfreq(2, out=o); o",
    "o = torch.zeros(2); torch.range(0, 1, out=o); o",
    "o = torch.zeros(2, 3); torch.vstack([torch.ones(3), torch.zeros(3)], out=o); o",
    "o = torch.zeros(4); r = torch.diagonal_copy(torch.eye(4), out=o); r is o, o",
    "o = torch.zeros(4); torch.clamp_min(torch.arange(-1.0, 3), 0, out=o); o",
    "o = torch.zeros(3); torch.polygamma(1, torch.ones(3), out=o); o",
    "o = torch.zeros(1, dtype=torch.int64); torch.searchsorted(o, o, out=o); o",
    "o = torch.empty(0, dtype=torch.int64); torch.nonzero(torch.ones(2), out=o); o",
    "o = torch.zeros(2, 2); torch.linalg.pinv(torch.eye(2), out=o); o",
    "o = [torch.zeros(2, 2) for _ in range(3)]; torch.linalg.lu(torch.eye(2), out=o); o",
    "o = torch.zeros(()); torch.linalg.norm(torch.ones(4), out=o); o",
    "o = torch.zeros(3); torch.special.spherical_bessel_j0(torch.ones(3), out=o); o",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_out_gives_what_pytorch_gives(text):
    assert outcome(jt, text) == outcome(torch, text)


@both
def test_an_output_of_another_shape_is_resized_with_a_warning(lib):
    o = lib.zeros(3)
    with pytest.warns(UserWarning, match=r"was resized since it had shape \[3\]"):
        lib.add(lib.ones(2), 1, out=o)
    assert o.tolist() == [2, 2]


def test_what_cannot_be_written_into_is_named():
    with pytest.raises(
        TypeError, match=r"argument 'out' must be Tensor, not .*: arrays never change"
    ):
        jt.exp(jnp.ones(2), out=jnp.ones(2))
    with (
        pytest.warns(UserWarning, match="resized"),
        pytest.raises(RuntimeError, match=r"out= of shape \[2\] is a view and cannot take \[3\]"),
    ):
        jt.exp(jt.ones(3), out=jt.zeros(4)[:2])
    with pytest.raises(RuntimeError, match=r"don't support automatic differentiation"):
        jt.exp(jt.ones(2, requires_grad=True), out=jt.zeros(2))
    x = jt.ones(2, requires_grad=True)
    o = jt.zeros(2)
    with jt.no_grad():
        jt.exp(x, out=o)
    assert not o.requires_grad

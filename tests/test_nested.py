"""Nested tensors: what layers, reductions and attention make of them, as PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.engine import overriding

pytestmark = [
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated"),
]


@pytest.fixture(autouse=True, scope="module")
def _imported():
    """PyTorch imports much with its first nested tensor, which takes minutes with warnings on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nested.nested_tensor([torch.ones(1, 2)], layout=torch.jagged).sum(1)


VALUES = [[[0.0, 1.0, 2.0, -3.0], [4.0, 5.0, -6.0, 7.0]], [[1.0, 0.5, 2.0, 1.0]] * 3]

CASES = {
    "linear": lambda t, nt: t.nn.functional.linear(nt, t.ones(5, 4), t.arange(5.0)),
    "layer_norm": lambda t, nt: t.nn.functional.layer_norm(nt, (4,)),
    "gelu": lambda t, nt: t.nn.functional.gelu(nt),
    "arithmetic": lambda t, nt: 1 - nt * 2 + nt / (nt.abs() + 1),
    "with a row": lambda t, nt: nt + t.arange(4.0),
    "with a row for each": lambda t, nt: nt + t.arange(8.0).view(2, 1, 4),
    "comparison": lambda t, nt: t.where(nt > 1, nt, nt * 0),
    "matmul": lambda t, nt: nt @ t.ones(4, 3),
    "softmax": lambda t, nt: nt.softmax(-1),
    "softmax of what differs": lambda t, nt: t.nn.functional.softmax(nt, dim=1),
    "cat": lambda t, nt: t.cat([nt, nt], -1),
    "chunk": lambda t, nt: nt.chunk(2, dim=-1)[1],
    "heads": lambda t, nt: nt.view(2, -1, 2, 2).transpose(1, 2),
    "heads by size": lambda t, nt: nt.reshape(2, nt.size(1), 2, 2),
    "sum of a row": lambda t, nt: nt.sum(-1),
    "sum": lambda t, nt: nt.sum(),
    "sum of what differs": lambda t, nt: nt.sum(1),
    "mean of what differs": lambda t, nt: nt.mean(1, keepdim=True),
    "amax of what differs": lambda t, nt: nt.amax(1),
    "padded": lambda t, nt: t.nested.to_padded_tensor(nt, -1.0),
    "padded to a size": lambda t, nt: nt.to_padded_tensor(0.0, (2, 4, 4)),
    "one of them": lambda t, nt: nt[1],
    "offsets": lambda t, nt: nt.offsets(),
    "another type": lambda t, nt: nt.to(t.float64).values(),
    "attention": lambda t, nt: _attention(t, nt),
}


def _attention(t, nt):
    q = nt.unflatten(-1, (2, 2)).transpose(1, 2)
    out = t.nn.functional.scaled_dot_product_attention(q, q, q)
    return out.transpose(1, 2).flatten(-2)


def _parts(result):
    return [x.tolist() for x in result.unbind()] if result.is_nested else [result.tolist()]


@pytest.mark.parametrize("case", CASES)
def test_a_batch_of_two_lengths(case):
    found = []
    for t in (jt, torch):
        nt = t.nested.nested_tensor([t.tensor(v) for v in VALUES], layout=t.jagged)
        found.append(_parts(CASES[case](t, nt)))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_gradients_reach_parameters_and_what_it_was_made_of():
    found = []
    for t in (jt, torch):
        layer = t.nn.Linear(4, 2)
        t.nn.init.ones_(layer.weight)
        parts = [t.tensor(v, requires_grad=True) for v in VALUES]
        values = t.arange(10.0).view(5, 2).requires_grad_()
        out = layer(t.nested.as_nested_tensor(parts, layout=t.jagged))
        cut = t.nested.nested_tensor_from_jagged(values, t.tensor([0, 2, 5]))
        leaf = t.nested.nested_tensor(
            [t.ones(1, 2), t.ones(2, 2)], layout=t.jagged, requires_grad=True
        )
        (out.sum() + (cut * cut).values().sum() + (leaf * 2).values().sum()).backward()
        grads = [layer.weight.grad, values.grad, *[p.grad for p in parts], *leaf.grad.unbind()]
        found.append([g.tolist() for g in grads])
    assert found[0] == found[1]


def test_sizes_and_text():
    nt, theirs = (
        t.nested.nested_tensor([t.ones(2, 3), t.ones(4, 3)], layout=t.jagged) for t in (jt, torch)
    )
    assert (nt.dim(), nt.size(0), nt.size(-1), nt.numel(), len(nt)) == (3, 2, 3, 18, 2)
    assert repr(nt.shape[1]).startswith("j")
    assert repr(nt).split(", ", 2)[2] == repr(theirs).split(", ", 2)[2]
    dense, old = (t.nested.nested_tensor([t.ones(1), t.ones(2)]) for t in (jt, torch))
    assert repr(dense) == repr(old)
    for t in (dense, old):
        with pytest.raises(RuntimeError, match="doesn't support sizes"):
            _ = t.shape


MISTAKES = {
    "different in two": lambda t, nt: t.nested.nested_tensor(
        [t.ones(1, 2), t.ones(2, 3)], layout=t.jagged
    ),
    "no offsets": lambda t, nt: t.nested.nested_tensor_from_jagged(t.ones(2, 2)),
    "other lengths": lambda t, nt: nt + t.nested.nested_tensor([t.ones(2, 4)] * 2, layout=t.jagged),
    "item": lambda t, nt: nt.item(),
    "tolist": lambda t, nt: nt.tolist(),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_raise_as_in_pytorch(case):
    for t in (jt, torch):
        nt = t.nested.nested_tensor([t.tensor(v) for v in VALUES], layout=t.jagged)
        with pytest.raises(RuntimeError):
            MISTAKES[case](t, nt)


def test_what_is_not_supported_says_what_to_do():
    nt = jt.nested.nested_tensor([jt.ones(2, 3), jt.ones(4, 3)], layout=jt.jagged)
    with pytest.raises(NotImplementedError, match=r"cumsum of nested tensors is not supported"):
        nt.cumsum(1)
    with pytest.raises(NotImplementedError, match="differs between the tensors"):
        jt.cat([nt, nt], 1)
    with pytest.raises(NotImplementedError, match="differ in the first dimension only"):
        jt.nested.nested_tensor([jt.ones(1, 2), jt.ones(2, 3)])
    assert jt.nested.NestedTensor in overriding.classes

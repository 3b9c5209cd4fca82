"""Dual tensors: values and tangents as PyTorch's."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

CASES = {
    "one dual": lambda t, a, b: (a**2).sum(),
    "two duals": lambda t, a, b: a * b.exp(),
    "a constant beside": lambda t, a, b: a @ t.ones(2, 3),
    "the dual itself": lambda t, a, b: a,
    "no dual": lambda t, a, b: t.ones(2) * 2,
    "a layer": lambda t, a, b: t.nn.functional.gelu(a),
}


@pytest.mark.parametrize("case", CASES)
def test_results_have_the_tangents_of_pytorch(case):
    found = []
    for t in (jt, torch):
        fw = t.autograd.forward_ad
        with fw.dual_level():
            a = fw.make_dual(t.tensor([1.0, 2.0]), t.tensor([1.0, -1.0]))
            b = fw.make_dual(t.tensor([0.5, 0.1]), t.ones(2))
            primal, tangent = fw.unpack_dual(CASES[case](t, a, b))
            assert not primal.requires_grad
        found.append((primal.tolist(), None if tangent is None else tangent.tolist()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    if found[1][1] is None:
        assert found[0][1] is None
    else:
        assert found[0][1] == pytest.approx(found[1][1], rel=1e-6)


def test_tangents_of_what_requires_grad_can_be_differentiated():
    found = []
    for t in (jt, torch):
        fw = t.autograd.forward_ad
        w = t.tensor([2.0, 3.0], requires_grad=True)
        with fw.dual_level():
            x = fw.make_dual(t.ones(2), t.tensor([1.0, 10.0]))
            tangent = fw.unpack_dual((x * x * w**2).sum()).tangent
            tangent.backward()
        found.append((tangent.item(), w.grad.tolist()))
    assert found[0] == found[1]


def test_duals_outside_of_a_level_and_of_wrong_shapes_raise():
    for t in (jt, torch):
        fw = t.autograd.forward_ad
        with pytest.raises(RuntimeError, match="no level exists"):
            fw.make_dual(t.ones(1), t.ones(1))
        with fw.dual_level():
            with pytest.raises(RuntimeError, match="different size"):
                fw.make_dual(t.ones(2), t.ones(3))
            with pytest.raises(ValueError, match="floating point or complex"):
                fw.make_dual(t.ones(2).int(), t.ones(2))
            with pytest.raises(RuntimeError, match="Nested"):
                fw.enter_dual_level()
        assert fw.unpack_dual(t.ones(1)).tangent is None


def test_an_error_inside_of_a_level_ends_it():
    for lib in (jt, torch):
        ad = lib.autograd.forward_ad
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), ad.dual_level():
                1 / 0  # noqa: B018

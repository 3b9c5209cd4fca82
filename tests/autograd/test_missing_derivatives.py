"""Operations that PyTorch has no derivative of raise where a gradient would flow through them."""

import numpy as np
import pytest
import torch

import jtoolbox as jt

X = np.array([1.5, -2.25, 0.75], "f")
OPERATIONS = {
    "floor_divide": lambda lib, x: lib.floor_divide(x, 0.5),
    "//": lambda lib, x: x // x.detach(),
    "heaviside": lambda lib, x: lib.heaviside(x, x),
    "binomial": lambda lib, x: lib.binomial(x * 0 + 4, x * 0 + 1),
    "histogram": lambda lib, x: lib.histogram(x, 3)[0],
}


@pytest.mark.parametrize("executed", [False, True], ids=["pending", "executed"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_backward_pass_through_them_raises(name, executed):
    for lib in (jt, torch):
        x = lib.tensor(X).requires_grad_()
        y = OPERATIONS[name](lib, x * 2)
        assert y.requires_grad
        if executed:
            y.tolist()
        with pytest.raises(RuntimeError, match=r"derivative for .* is not implemented"):
            (y.sum() + x.sum()).backward()


@pytest.mark.parametrize("executed", [False, True], ids=["pending", "executed"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_beside_a_loss_or_detached_they_do_no_harm(name, executed):
    gradients = []
    for lib in (jt, torch):
        x = lib.tensor(X).requires_grad_()
        scaled = x * 2
        y = OPERATIONS[name](lib, scaled)
        loss = (scaled * OPERATIONS[name](lib, scaled.detach()).sum()).sum()
        if executed:
            y.tolist()
        loss.backward()
        gradients.append(x.grad.tolist())
    assert gradients[0] == gradients[1]

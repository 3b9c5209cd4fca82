"""The errors of `torch.func`'s derivatives, compared with PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import func

X = np.linspace(-1, 1.5, 3, dtype=np.float32)

CASES = [
    lambda f, x: f.grad(lambda v: 3.0)(x),
    lambda f, x: f.grad(lambda v: (v.sum(), v.sum()))(x),
    lambda f, x: f.grad(lambda v: v.sum(), has_aux=True)(x),
    lambda f, x: f.grad(lambda v: [v.sum(), v], has_aux=True)(x),
    lambda f, x: f.grad(lambda v: v.sum().view(1))(x),
    lambda f, x: f.grad(lambda v: v.sum(), argnums=3)(x),
    lambda f, x: f.grad(lambda v: v.sum(), argnums=(0, 0))(x),
    lambda f, x: f.grad(lambda v: v.sum(), argnums=())(x),
    lambda f, x: f.grad(lambda v: v.sum(), argnums="a")(x),
    lambda f, x: f.grad(lambda v: v.sum())(x.long()),
    lambda f, x: f.jacrev(lambda v: 3.0)(x),
    lambda f, x: f.jacrev(lambda v: v.long())(x),
    lambda f, x: f.jacrev(lambda v: ())(x),
    lambda f, x: f.jacrev(lambda v: v, chunk_size=0),
    lambda f, x: f.jacfwd(lambda v: v, argnums=2)(x),
    lambda f, x: f.jvp(lambda v: v, x, x),
    lambda f, x: f.jvp(lambda v: v, (x,), (x[:2],)),
    lambda f, x: f.jvp(lambda v: v, (x,), (3.0,)),
    lambda f, x: f.jvp(lambda v: v, (), ()),
    lambda f, x: f.jvp(lambda v, w: v, (x, x), (x,)),
    lambda f, x: f.jvp(lambda v: (v, 1.0), (x,), (x,)),
    lambda f, x: f.vjp(lambda v: 3.0, x),
    lambda f, x: f.vjp(lambda v: (v, v), x)[1](x),
    lambda f, x: f.vjp(lambda v: v, x)[1](x[:2]),
    lambda f, x: f.vjp(lambda v: v, x)[1](3.0),
    lambda f, x: f.linearize(lambda v: v, x)[1](x[:2]),
    lambda f, x: f.linearize(lambda v: v, x)[1](x.double()),
    lambda f, x: f.linearize(lambda v: v, x)[1](x, x),
    lambda f, x: f.functional_call(jt.nn.Identity(), 5, (x,)),
]


@pytest.mark.parametrize("case", range(len(CASES) - 1))
def test_errors_are_pytorchs(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((RuntimeError, TypeError, ValueError)) as theirs:
            CASES[case](torch.func, torch.tensor(X))
    with pytest.raises(type(theirs.value)):
        CASES[case](func, jt.tensor(X))


def test_functional_call_wants_dicts():
    with pytest.raises(ValueError, match="Expected parameter_and_buffer_dicts to be a dict"):
        CASES[-1](func, jt.tensor(X))

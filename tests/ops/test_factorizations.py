"""Factorizations, integrals, segments and copies agree with PyTorch."""

import numpy as np
import pytest
import torch

import jtoolbox
from tests.ops.cases import floats
from tests.reference import assert_same

A = floats(2, 4, 4, dtype=np.float64, low=-1, high=1) + 3 * np.eye(4)
B = floats(2, 4, 3, dtype=np.float64, seed=1)
S = A @ A.transpose(0, 2, 1)
R = floats(5, 3, dtype=np.float64, seed=2)
PLACES = np.array([0.0, 1, 3, 4, 7])

CASES = {
    "lu": lambda t, a, b, s, r: t.lu(a),
    "lu_factor_ex": lambda t, a, b, s, r: t.linalg.lu_factor_ex(a),
    "lu_solve": lambda t, a, b, s, r: t.linalg.lu_solve(*t.linalg.lu_factor(a), b),
    "lu_solve adjoint": lambda t, a, b, s, r: t.linalg.lu_solve(
        *t.linalg.lu_factor(a), b, adjoint=True
    ),
    "lu_solve right": lambda t, a, b, s, r: t.linalg.lu_solve(
        *t.linalg.lu_factor(a), b.mT, left=False
    ),
    "torch.lu_solve": lambda t, a, b, s, r: t.lu_solve(b, *t.linalg.lu_factor(a)),
    "lu_unpack": lambda t, a, b, s, r: t.lu_unpack(*t.linalg.lu_factor(a)),
    "ldl": lambda t, a, b, s, r: t.linalg.ldl_solve(*t.linalg.ldl_factor(s), b),
    "geqrf": lambda t, a, b, s, r: t.geqrf(r),
    "orgqr": lambda t, a, b, s, r: t.orgqr(*t.geqrf(r)),
    "ormqr": lambda t, a, b, s, r: t.ormqr(*t.geqrf(r), r + 1),
    "ormqr right": lambda t, a, b, s, r: t.ormqr(*t.geqrf(r), r.mT, False, True),
    "solve_ex": lambda t, a, b, s, r: t.linalg.solve_ex(a, b),
    "tensorinv": lambda t, a, b, s, r: t.linalg.tensorinv(a[0].reshape(2, 2, 4)),
    "tensorsolve": lambda t, a, b, s, r: t.linalg.tensorsolve(a[0].reshape(2, 2, 4), a[0, :2, :2]),
    "triangular_solve": lambda t, a, b, s, r: t.triangular_solve(b, a),
    "svd_lowrank": lambda t, a, b, s, r: t.svd_lowrank(r, 3)[1],
    "pca_lowrank": lambda t, a, b, s, r: t.pca_lowrank(r, 3)[1],
    "trapezoid": lambda t, a, b, s, r: t.trapezoid(r),
    "cumulative_trapezoid": lambda t, a, b, s, r: t.cumulative_trapezoid(r, dim=0, dx=2.0),
    "gradient": lambda t, a, b, s, r: tuple(t.gradient(r)),
    "gradient of places": lambda t, a, b, s, r: tuple(
        t.gradient(r, dim=0, edge_order=2, spacing=(t.tensor(PLACES),))
    ),
    "renorm": lambda t, a, b, s, r: t.renorm(r, 2, 0, 1.0),
    "segment max": lambda t, a, b, s, r: t.segment_reduce(r, "max", lengths=t.tensor([2, 0, 3])),
    "segment mean": lambda t, a, b, s, r: t.segment_reduce(r, "mean", lengths=t.tensor([2, 3])),
    "unravel_index": lambda t, a, b, s, r: t.unravel_index(t.tensor([5, 7]), (3, 4)),
    "put": lambda t, a, b, s, r: r.put(t.tensor([1, -1]), r[0, :2]),
    "put accumulate": lambda t, a, b, s, r: r.put(t.tensor([1, 1]), r[0, :2], accumulate=True),
    "nonzero_static": lambda t, a, b, s, r: t.nonzero_static(t.tensor([[1, 0], [2, 3]]), size=5),
    "as_strided_scatter": lambda t, a, b, s, r: t.as_strided_scatter(r, b[0, 0, :2], (2,), (3,)),
    "slice_copy": lambda t, a, b, s, r: t.slice_copy(r, 0, 1, 3),
    "unbind_copy": lambda t, a, b, s, r: t.unbind_copy(r),
    "igamma": lambda t, a, b, s, r: t.igamma(t.tensor(2.0), t.tensor(1.0)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_values(name):
    expected = CASES[name](torch, *map(torch.tensor, (A, B, S, R)))
    made = CASES[name](jtoolbox, *map(jtoolbox.tensor, (A, B, S, R)))
    assert_same(made, expected, rtol=1e-7, atol=1e-7)


WITH_GRADIENT = ["lu_solve", "tensorinv", "trapezoid", "gradient of places", "renorm", "put"]


@pytest.mark.parametrize("name", [*WITH_GRADIENT, "segment max", "cumulative_trapezoid"])
def test_gradients(name):
    grads = []
    for t in (torch, jtoolbox):
        inputs = [t.tensor(x).requires_grad_() for x in (A, B, S, R)]
        out = CASES[name](t, *inputs)
        out = out[0] if isinstance(out, tuple) else out
        finite = t.where(out.isfinite(), out, t.zeros_like(out))
        (finite * finite).sum().backward()
        grads.append([np.zeros(1) if x.grad is None else x.grad.numpy() for x in inputs])
    for theirs, ours in zip(*grads, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)

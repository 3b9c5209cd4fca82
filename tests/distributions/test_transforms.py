"""Transforms, their inverses, determinants and shapes are PyTorch's; so are the registries."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import jax
import numpy as np
import pytest
import torch
import torch.distributions

import jtoolbox as jt
from jtoolbox import distributions as D
from tests.distributions.cases import between, factor
from tests.nn.both import both, same, same_error
from tests.reference import assert_same, to_torch


def composed(t: Any) -> Any:
    return t.ComposeTransform([t.AffineTransform(0.5, 2.0), t.TanhTransform()])


VECTOR, MATRIX = between(-1, 1, 2, 3), between(-1, 1, 2, 3, 3)
TRANSFORMS = {
    "abs": (lambda t: t.AbsTransform(), VECTOR),
    "affine": (lambda t: t.AffineTransform(1.0, -2.0), VECTOR),
    "affine-event": (lambda t: t.AffineTransform(1.0, -2.0, event_dim=1), VECTOR),
    "compose": (composed, VECTOR),
    "corr-cholesky": (lambda t: t.CorrCholeskyTransform(), VECTOR),
    "corr-cholesky-2": (lambda t: t.CorrCholeskyTransform(), VECTOR[:, :1]),
    "exp": (lambda t: t.ExpTransform(), VECTOR),
    "exp-inverse": (lambda t: t.ExpTransform().inv, abs(VECTOR)),
    "independent": (lambda t: t.IndependentTransform(t.ExpTransform(), 1), VECTOR),
    "lower-cholesky": (lambda t: t.LowerCholeskyTransform(), MATRIX),
    "positive-definite": (lambda t: t.PositiveDefiniteTransform(), MATRIX),
    "reshape": (lambda t: t.ReshapeTransform((3,), (3, 1)), VECTOR),
    "sigmoid": (lambda t: t.SigmoidTransform(), VECTOR),
    "softmax": (lambda t: t.SoftmaxTransform(), VECTOR),
    "softplus": (lambda t: t.SoftplusTransform(), VECTOR),
    "stick-breaking": (lambda t: t.StickBreakingTransform(), VECTOR),
    "tanh": (lambda t: t.TanhTransform(), VECTOR),
    "cat": (
        lambda t: t.CatTransform([t.ExpTransform(), t.TanhTransform()], dim=1, lengths=[1, 2]),
        VECTOR,
    ),
    "stack": (lambda t: t.StackTransform([t.ExpTransform(), t.SigmoidTransform()], dim=0), VECTOR),
}


def everything(t: Any, x: Any) -> list[Any]:
    """Forward, inverse and, where there is one, the determinant."""
    y = t(x)
    results = [y, t.inv(y)]
    return [*results, t.log_abs_det_jacobian(x, y)] if t.bijective else results


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    make, x = TRANSFORMS[name]
    theirs, ours = make(torch.distributions.transforms), make(D.transforms)
    there, here = to_torch(x, grad=True), jt.tensor(x, requires_grad=True)
    expected, found = everything(theirs, there), everything(ours, here)
    # The last is the determinant: the gradient through it tests both directions.
    if expected[-1].requires_grad:
        expected[-1].sum().backward()
        found[-1].sum().backward()
    assert_same(found, expected, 1e-6)
    if there.grad is not None:
        assert_same(here.grad, there.grad, 1e-6)
    assert repr(ours) == repr(theirs)
    assert (ours.bijective, repr(ours.domain), repr(ours.codomain)) == (
        theirs.bijective, repr(theirs.domain), repr(theirs.codomain))  # fmt: skip
    assert ours.domain.event_dim == theirs.domain.event_dim
    assert tuple(ours.forward_shape(x.shape)) == tuple(theirs.forward_shape(x.shape))
    shape = tuple(expected[0].shape)
    assert tuple(ours.inverse_shape(shape)) == tuple(theirs.inverse_shape(shape))
    assert ours.inv.inv is ours
    assert ours == ours
    assert ours.with_cache(1)._cache_size == 1


def test_transforms_work_inside_jax():
    for make, x in TRANSFORMS.values():
        results = jax.eval_shape(functools.partial(everything, make(D.transforms)), x)
        assert all(isinstance(r, jax.ShapeDtypeStruct) for r in results)


def test_powers_and_distribution_functions():
    x = jt.tensor([0.3, 1.5])
    power = D.PowerTransform(jt.tensor(-2.0))
    np.testing.assert_allclose(power.inv(power(x)), x, rtol=1e-5)
    expected = np.log(2 / x.numpy() ** 3)
    np.testing.assert_allclose(power.log_abs_det_jacobian(x, power(x)), expected, rtol=1e-5)
    assert power.sign.item() == -1
    cdf = D.CumulativeDistributionTransform(D.Normal(0.0, 1.0))
    np.testing.assert_allclose(cdf.inv(cdf(x)), x, rtol=1e-5)
    assert power == D.PowerTransform(jt.tensor(-2.0))
    assert power != D.PowerTransform(jt.tensor(2.0))
    assert D.AffineTransform(jt.tensor(1.0), 2.0) == D.AffineTransform(jt.tensor(1.0), 2.0)
    assert D.AffineTransform(0.0, -2.0).sign == -1


def test_a_cache_gives_the_origin_back():
    t = D.ExpTransform(cache_size=1)
    x = jt.tensor([0.3, 1.5])
    y = t(x)
    assert t.inv(y) is x
    assert t(x) is y
    assert D.ExpTransform().inv(y) is not x
    assert isinstance(pickle.loads(pickle.dumps(D.ExpTransform())), D.ExpTransform)


SAME_ERRORS = [
    lambda lib: lib.distributions.ExpTransform(cache_size=2),
    lambda lib: lib.distributions.ReshapeTransform((2, 3), (5,)),
    lambda lib: lib.distributions.ReshapeTransform((2, 3), (6,)).forward_shape((4, 2, 2)),
    lambda lib: lib.distributions.CorrCholeskyTransform().forward_shape((4,)),
    lambda lib: lib.distributions.CorrCholeskyTransform().inverse_shape((3, 2)),
    lambda lib: lib.distributions.StickBreakingTransform().event_dim,
    lambda lib: lib.distributions.biject_to(lib.distributions.constraints.dependent),
    lambda lib: lib.distributions.transform_to(lib.distributions.constraints.boolean),
    lambda lib: lib.distributions.biject_to.register(3, lambda c: c),
    lambda lib: lib.distributions.utils.vec_to_tril_matrix(lib.ones(5)),
    lambda lib: lib.distributions.utils.tril_matrix_to_vec(lib.ones(3, 3), 3),
]


@pytest.mark.parametrize("action", SAME_ERRORS[:5] + SAME_ERRORS[6:])
def test_errors_have_pytorch_words(action):
    same_error(action)


def test_missing_parts_are_named():
    with pytest.raises(NotImplementedError, match="AbsTransform is not monotonic"):
        D.AbsTransform().sign  # noqa: B018
    with pytest.raises(NotImplementedError, match="SoftmaxTransform has no log_abs_det_jacobian"):
        D.SoftmaxTransform().log_abs_det_jacobian(jt.ones(2), jt.ones(2))
    with pytest.raises(ValueError, match="expected at least 1, got shape"):
        D.IndependentTransform(D.ExpTransform(), 1)(jt.tensor(1.0))
    with pytest.raises(ValueError, match="expected length 3 along dim 0"):
        D.CatTransform([D.ExpTransform()], lengths=[3])(jt.ones(2))


def constraint_list(c: Any) -> list[Any]:
    return [
        *(c.real, c.positive, c.nonnegative, c.greater_than(2.0), c.less_than(2.0)),
        *(c.unit_interval, c.interval(-1.0, 3.0), c.half_open_interval(-1.0, 3.0), c.simplex),
        *(c.real_vector, c.independent(c.positive, 1), c.corr_cholesky),
    ]


MATRICES = ("lower_cholesky", "positive_definite", "positive_semidefinite")


@both
@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_registered_transforms_reach_their_constraint(lib, registry):
    d = lib.distributions
    for constraint in constraint_list(d.constraints):
        t = getattr(d, registry)(constraint)
        y = t(lib.tensor([[0.3, -1.2, 0.8]]))
        assert constraint.check(y).all(), constraint
    if registry == "transform_to":
        for name in MATRICES:
            constraint = getattr(d.constraints, name)
            y = d.transform_to(constraint)(lib.tensor(MATRIX.astype(np.float32)))
            assert constraint.check(y).all()


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_registries_hold_the_same_transforms(registry):
    same(lambda lib: [
        repr(getattr(lib.distributions, registry)(c))
        for c in constraint_list(lib.distributions.constraints)
    ])  # fmt: skip
    same(lambda lib: sorted(
        k.__name__ for k in getattr(lib.distributions, registry)._registry
    ))  # fmt: skip


@both
def test_triangles_and_vectors(lib):
    u = lib.distributions.utils
    for diag in (-1, 0, 1):
        matrix = lib.tensor(factor(3)).tril(diag)
        vector = u.tril_matrix_to_vec(matrix, diag)
        assert (u.vec_to_tril_matrix(vector, diag) == matrix).all()
    same(lambda lib: lib.distributions.utils.vec_to_tril_matrix(lib.ones(3), -1).tolist())

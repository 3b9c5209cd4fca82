"""Sums of products with a common factor: in one pass, and the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jtoolbox.engine.sums import FEWEST, summing_together

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(2, 5, 4, 6)).astype("f"))
G = jnp.asarray(RNG.normal(size=(2, 5, 4, 6)).astype("f"))


def several(count, factor=lambda k, g: g, between=lambda total: None):
    def program(x, g):
        total = []
        for k in range(count):
            total.append((factor(k, g) * (x + k)).sum((0, 1, 2)))
            between(total)
        return total

    return program


def reductions(function, x=X, g=G):
    """How many results each reduction of the program over whole arrays has."""
    found = jax.make_jaxpr(function)(x, g).jaxpr.eqns
    return [
        len(e.outvars) for e in found
        if e.primitive.name.startswith("reduce") and e.invars[0].aval.ndim == 4
    ]  # fmt: skip


def check(program, x=X, g=G):
    for a, b in zip(summing_together(program)(x, g), program(x, g), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(np.asarray(a, "f"), np.asarray(b, "f"), 1e-5, 1e-4)


def test_sums_with_a_common_factor_are_one_reduction():
    program = several(9)
    assert reductions(program) == [1] * 9
    assert reductions(summing_together(program)) == [9]
    check(program)


def test_few_sums_stay_apart():
    assert reductions(summing_together(several(FEWEST - 1))) == [1] * (FEWEST - 1)
    check(several(FEWEST - 1))


def test_sums_without_a_common_factor_stay_apart():
    program = several(5, factor=lambda k, g: g + k)
    assert reductions(summing_together(program)) == [1] * 5
    check(program)


def test_a_sum_that_is_needed_is_not_waited_for():
    program = several(10, between=lambda t: t.append(t[-1] * 2) if len(t) == 5 else None)
    assert reductions(summing_together(program)) == [5, 5]
    check(program)


@pytest.mark.parametrize(
    "program",
    [
        lambda x, g: [((x + k) * g).sum((0, 2, 3)) for k in range(5)],
        lambda x, g: [((x + k) * g).sum(0) for k in range(5)],
        lambda x, g: [(x + k).sum((0, 1, 2)) for k in range(5)],
        lambda x, g: [((x + k) * g).astype(jnp.bfloat16).sum((0, 1, 2)) for k in range(5)],
        lambda x, g: [((x[:, k:] + k) * g[:, k:]).sum((0, 1, 2)) for k in range(4)],
    ],
    ids=["last axis", "one axis", "no product", "half", "shapes"],
)
def test_other_sums_are_left_alone(program):
    assert max(reductions(summing_together(program))) == 1
    check(program)

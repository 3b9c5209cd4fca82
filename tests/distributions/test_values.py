"""log_prob, cdf, icdf, entropy and moments of all distributions, with gradients, are PyTorch's."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.distributions

import jtoolbox as jt
from tests.distributions.cases import CASES, Case
from tests.reference import assert_same, is_float, to_torch

PROPERTIES = ("mean", "mode", "variance", "stddev")


def offered(case: Case) -> list[str]:
    """Which quantities PyTorch gives for this distribution."""
    d = case.make(torch.distributions, *[to_torch(p) for p in case.parameters])
    found = []
    for quantity in ("cdf", "icdf", "entropy", *PROPERTIES):
        try:
            quantities(d, to_torch(case.value), [quantity])
        except NotImplementedError:
            continue
        found.append(quantity)
    return [q for q in found if q not in case.lacking]


def quantities(d: Any, value: Any, names: list[str]) -> list[Any]:
    results = []
    for name in names:
        if name in PROPERTIES:
            results.append(getattr(d, name))
        elif name == "entropy":
            results.append(d.entropy())
        else:
            # Probabilities for icdf: the value itself, brought between 0 and 1.
            results.append(getattr(d, name)(abs(value) % 1 if name == "icdf" else value))
    return results


def made(D: Any, case: Case, names: list[str], wrap: Any) -> Any:
    """The function from parameters (and the value, if it is differentiable) to the quantities."""

    def f(*given: Any) -> list[Any]:
        parameters, value = given[: len(case.parameters)], given[len(case.parameters) :]
        d = case.make(D, *parameters)
        return quantities(d, value[0] if value else wrap(case.value), ["log_prob", *names])

    return f


def inputs_of(case: Case) -> tuple[np.ndarray, ...]:
    return (*case.parameters, case.value) if case.differentiable_value else case.parameters


def weighted(results: list[Any], wrap: Any) -> Any:
    """One number of all results, with fixed weights, leaving out what is not finite."""
    rng, total = np.random.default_rng(1), 0.0
    for r in results:
        w = wrap(rng.uniform(0.5, 1.5, tuple(r.shape)))
        if "int" not in str(r.dtype):
            total = total + (r * w).sum()
    return total


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    case = CASES[name]
    names = offered(case)
    theirs = [to_torch(x, grad=True) for x in inputs_of(case)]
    expected = made(torch.distributions, case, names, torch.tensor)(*theirs)
    finite = [r for r in expected if torch.isfinite(r).all()]
    wrt = [t for t in theirs if t.requires_grad]
    gradients = torch.autograd.grad(weighted(finite, torch.tensor), wrt, allow_unused=True)

    ours = [jt.tensor(x).requires_grad_(is_float(x)) for x in inputs_of(case)]
    before = jt.engine.program_count()
    found = made(jt.distributions, case, names, jt.tensor)(*ours)
    pairs = zip(found, expected, strict=True)
    weighted([r for r, e in pairs if torch.isfinite(e).all()], jt.tensor).backward()
    assert_same(found, expected, 2e-5 if expected[0].dtype == torch.float32 else 1e-6)
    for t, g in zip([t for t in ours if t.requires_grad], gradients, strict=True):
        zero = torch.zeros(tuple(t.shape), dtype=expected[0].dtype)
        assert_same(jt.zeros_like(t) if t.grad is None else t.grad, zero if g is None else g,
                    1e-4 if g is not None and g.dtype == torch.float32 else 1e-6)  # fmt: skip
    assert jt.engine.program_count() - before <= 2


@pytest.mark.parametrize("name", CASES)
def test_arrays_are_differentiated_by_jax(name):
    case = CASES[name]
    names = offered(case)
    expected = made(torch.distributions, case, names, torch.tensor)(
        *[to_torch(x) for x in inputs_of(case)]
    )
    with jax.enable_x64(True):
        f = made(jt.distributions, case, names, jnp.array)
        arrays = [jnp.array(x) for x in inputs_of(case)]
        results = jax.eval_shape(f, *arrays)
        shapes = jax.eval_shape(jax.grad(lambda *x: weighted(f(*x), jnp.array)), *arrays)
    assert [tuple(r.shape) for r in results] == [tuple(e.shape) for e in expected]
    assert [str(r.dtype) for r in results] == [str(e.dtype)[6:] for e in expected]
    assert shapes.shape == arrays[0].shape

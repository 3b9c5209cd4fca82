"""Constraints check as PyTorch's, on Tensors, arrays and NumPy arrays."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.distributions

import jtoolbox as jt
from jtoolbox.distributions import constraints as C
from tests.nn.both import both, same, same_error
from tests.reference import to_numpy

NAN = float("nan")
NUMBERS = [-1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, NAN]
VECTORS = [[0.5, 0.5], [1.0, 0.0], [1.0, 1.0], [-0.5, 1.5], [0.3, 0.3]]
MATRICES = [
    [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.6, 0.8]], [[2.0, 1.0], [1.0, 2.0]],
    [[1.0, 2.0], [2.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]], [[-1.0, 0.0], [0.5, 1.0]],
]  # fmt: skip
CHECKS = [
    *[(f"c.{name}", NUMBERS) for name in (
        "boolean", "real", "positive", "nonnegative", "unit_interval", "nonnegative_integer",
        "positive_integer", "greater_than(0.5)", "greater_than_eq(0.5)", "less_than(0.5)",
        "interval(-0.5, 1.0)", "half_open_interval(-0.5, 1.0)", "integer_interval(0, 2)",
    )],
    *[(f"c.{name}", VECTORS) for name in (
        "simplex", "one_hot", "multinomial(1)", "real_vector", "independent(c.positive, 1)",
        "cat([c.positive, c.unit_interval], -1)", "stack([c.positive, c.unit_interval], -1)",
        "MixtureSameFamilyConstraint(c.stack([c.positive, c.positive], -1))",
    )],
    *[(f"c.{name}", MATRICES) for name in (
        "lower_triangular", "lower_cholesky", "corr_cholesky", "square", "symmetric",
        "positive_semidefinite", "positive_definite",
    )],
]  # fmt: skip


@pytest.mark.parametrize(("code", "values"), CHECKS)
def test_checks(code, values):
    theirs = eval(code, {"c": torch.distributions.constraints})
    ours = eval(code, {"c": C})
    mixture = "Mixture" in code
    expected = None
    if values is MATRICES:  # of a batch PyTorch looks at eigenvalues only if all are symmetric
        expected = [theirs.check(torch.tensor(v)).numpy() for v in values]
    elif not mixture:
        expected = theirs.check(torch.tensor(values)).numpy()
    found = to_numpy(ours.check(jt.tensor(values)))
    array = np.array(values, np.float32)
    np.testing.assert_array_equal(np.asarray(ours.check(jnp.array(array))), found)
    np.testing.assert_array_equal(np.asarray(ours.check(array)), found)
    if expected is not None:
        np.testing.assert_array_equal(found, expected)
    assert repr(ours) == repr(theirs)
    assert (ours.is_discrete, ours.event_dim) == (theirs.is_discrete, theirs.event_dim)


@both
def test_dependent_constraints_know_little(lib):
    c = lib.distributions.constraints
    assert c.is_dependent(c.dependent)
    assert not c.is_dependent(c.real)
    assert c.dependent(event_dim=2).event_dim == 2
    assert c.is_dependent(lib.distributions.Uniform.support)
    assert lib.distributions.Uniform.support.event_dim == 0


@pytest.mark.parametrize("attribute", ["is_discrete", "event_dim"])
def test_dependent_attributes_raise(attribute):
    same_error(lambda lib: getattr(lib.distributions.constraints.dependent, attribute))


def test_errors_of_checks():
    same_error(lambda lib: lib.distributions.constraints.dependent.check(lib.ones(1)))
    same_error(lambda lib: lib.distributions.constraints.real_vector.check(lib.tensor(1.0)))
    with pytest.raises(ValueError, match="one length for each constraint, got 1 lengths for 2"):
        C.cat([C.real, C.real], lengths=[2])


def test_a_constraint_of_the_user_gets_tensors():
    class Even(C.Constraint):
        def check(self, value):
            assert isinstance(value, jt.Tensor)
            return value.remainder(2).eq(0)

    assert C.holds(Even(), jt.tensor([2, 4]))
    assert not C.holds(Even(), jt.tensor([2, 3]))
    assert not C.holds(C.independent(Even(), 1), jt.tensor([2, 3]))


def test_names_are_pytorchs():
    same(lambda lib: sorted(lib.distributions.constraints.__all__))
    same(lambda lib: sorted(lib.distributions.transforms.__all__))
    same(lambda lib: sorted(lib.distributions.__all__))

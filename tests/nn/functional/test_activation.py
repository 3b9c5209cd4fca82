"""Activations against PyTorch: values, types and gradients, at kinks and far out as well."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox as jt
import jtoolbox.nn.functional as F
from tests.reference import compare, same_error

# Every kink of every activation, both ends of the range, and ordinary values.
POINTS = np.array(
    [
        *(0, -0.0, 0.5, -0.5, 1, -1, 3, -3, 6, -6, 20, 20.5, -20.5, 88, -88, 120, -120, 1e4, -1e4),
        *(np.random.default_rng(0).standard_normal(9) * 2),
    ],
    np.float32,
).reshape(4, 7)

CASES = [
    ("relu", {}),
    ("relu6", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("selu", {}),
    ("celu", {}),
    ("celu", {"alpha": 2.0}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("silu", {}),
    ("mish", {}),
    ("softplus", {}),
    ("softplus", {"beta": 2.0, "threshold": 6.0}),
    ("softsign", {}),
    ("sigmoid", {}),
    ("logsigmoid", {}),
    ("tanh", {}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -0.5, "max_val": 3.0}),
    ("hardsigmoid", {}),
    ("hardswish", {}),
    ("hardshrink", {}),
    ("hardshrink", {"lambd": 1.0}),
    ("softshrink", {}),
    ("softshrink", {"lambd": 1.0}),
    ("tanhshrink", {}),
    ("threshold", {"threshold": 0.5, "value": -7.0}),
    ("rrelu", {}),
    ("rrelu", {"lower": 0.1, "upper": 0.5}),
]


def names(cases):
    return [f"{n}-{'-'.join(map(str, k.values()))}" for n, k in cases]


@pytest.mark.parametrize(("name", "settings"), CASES, ids=names(CASES))
def test_value_and_gradient_are_pytorchs_at_every_kink_and_far_out(name, settings):
    compare(getattr(F, name), getattr(TF, name), POINTS, **settings)  # where none is NaN


@pytest.mark.parametrize("name", ["relu", "gelu", "softplus", "hardswish", "logsigmoid"])
def test_bfloat16_stays_bfloat16(name):
    x = np.random.default_rng(1).standard_normal((3, 5)).astype(ml_dtypes.bfloat16)
    compare(getattr(F, name), getattr(TF, name), x)


@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "softsign", "tanhshrink", "sigmoid"])
def test_integers_give_what_pytorch_gives(name):
    compare(getattr(F, name), getattr(TF, name), np.array([-3, 0, 2, 9]))


FLOATS_ONLY = [
    *("leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "logsigmoid"),
    *("hardsigmoid", "hardswish", "hardshrink", "softshrink", "softmax", "log_softmax", "glu"),
]


@pytest.mark.parametrize("name", FLOATS_ONLY)
def test_integers_are_refused_where_pytorch_refuses_them(name):
    settings = {"dim": 0} if "softmax" in name else {}
    same_error(getattr(F, name), getattr(TF, name), np.array([1, 2]),
               match="not implemented for 'Long'.*float", **settings)  # fmt: skip


@pytest.mark.parametrize("name", ["relu", "relu6", "elu", "gelu", "silu", "hardtanh", "hardshrink"])
def test_nan_stays_nan(name):
    x = jnp.array([jnp.nan], jnp.float32)
    assert np.isnan(getattr(F, name)(x)).all()


def test_threshold_keeps_integers_and_replaces_what_is_not_above():
    compare(F.threshold, TF.threshold, np.array([1, 2, 3]), threshold=2, value=9)


X = np.random.default_rng(2).standard_normal((2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize("weights", [(), (1,), (3,)])
def test_prelu_has_one_slope_or_one_per_channel(weights):
    weight = np.full(weights, 0.25, np.float32)
    compare(F.prelu, TF.prelu, X, weight)


def test_prelu_takes_vectors_and_scalars():
    compare(F.prelu, TF.prelu, X[0, 0], np.array([0.2], np.float32))
    compare(F.prelu, TF.prelu, np.array(-3, np.float32), np.array([0.2], np.float32))


def test_prelu_refuses_weights_that_fit_no_channel():
    weight = np.ones(2, np.float32)
    same_error(F.prelu, TF.prelu, X, weight, match="parameter numbers = 2 and channel size = 3")
    same_error(F.prelu, TF.prelu, X, weight[None], match="scalar or 1D tensor")
    same_error(F.prelu, TF.prelu, X, np.ones(3), match="Got Float and Double")
    same_error(F.prelu, TF.prelu, np.array(1, np.float32), weight, match="zero-dim input")


def test_settings_out_of_range_are_refused():
    x = X[0, 0]
    same_error(F.hardtanh, TF.hardtanh, x, min_val=2.0, max_val=1.0, match="cannot be greater")
    same_error(F.softshrink, TF.softshrink, x, lambd=-1.0, match="must be in range .* found -1")
    same_error(F.celu, TF.celu, x, alpha=0.0, match="alpha cannot be 0")
    same_error(F.gelu, TF.gelu, x, approximate="erf", match="must be either none or tanh")
    same_error(F.rrelu, TF.rrelu, x, lower=0.5, upper=0.1, training=True, match="Lower bound")


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_glu_halves_a_dimension(dim):
    x = np.random.default_rng(3).standard_normal((4, 6, 8)).astype(np.float32)
    compare(F.glu, TF.glu, x, dim=dim)


def test_glu_refuses_odd_sizes():
    same_error(F.glu, TF.glu, X[:, :, :3], match="dimension 2 is size 3")
    same_error(F.glu, TF.glu, np.array(1, np.float32), match="does not support scalars")


SOFTMAXES = ["softmax", "softmin", "log_softmax"]


@pytest.mark.parametrize("name", SOFTMAXES)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_family_goes_along_the_dimension(name, dim):
    compare(getattr(F, name), getattr(TF, name), X * 10, dim=dim)


@pytest.mark.parametrize("name", SOFTMAXES)
def test_softmax_family_takes_large_and_infinite_scores(name):
    x = np.array([[1e4, -1e4, 3], [-np.inf, 0, 1]], np.float32)
    compare(getattr(F, name), getattr(TF, name), x if name != "softmin" else -x, dim=1)


@pytest.mark.parametrize("name", SOFTMAXES)
def test_softmax_family_casts_to_dtype_first(name):
    compare(
        lambda x: getattr(F, name)(x, dim=1, dtype=jt.float64),
        lambda x: getattr(TF, name)(x, dim=1, dtype=torch.float64),
        np.array([[1, 2], [5, 3]], np.uint8),
    )


@pytest.mark.parametrize("name", SOFTMAXES)
def test_softmax_family_in_bfloat16_and_without_dimensions(name):
    compare(getattr(F, name), getattr(TF, name), X.astype(ml_dtypes.bfloat16), dim=1)
    compare(getattr(F, name), getattr(TF, name), np.array(3, np.float32), dim=0)


@pytest.mark.parametrize("name", SOFTMAXES)
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_softmax_family_without_dim_warns_and_chooses_as_pytorch(name, ndim):
    x = np.random.default_rng(4).standard_normal((2,) * ndim).astype(np.float32)
    with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name}"):
        found = getattr(F, name)(jnp.array(x))
    with pytest.warns(UserWarning, match="Implicit dimension"):
        expected = getattr(TF, name)(torch.tensor(x))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_implicit_dim_warns_at_the_users_line():
    with pytest.warns(UserWarning, match="Implicit dimension") as caught:
        F.softmax(jnp.ones((2, 5), jnp.float32))
    assert caught[0].filename == __file__


def test_softmax_refuses_a_dimension_that_is_not_there():
    same_error(F.softmax, TF.softmax, X, dim=3, match=r"expected to be in range of \[-3, 2\]")


def key(n):
    return np.array([n, 1], np.uint32)


def test_rrelu_draws_slopes_between_its_bounds():
    x = -np.ones(10_000, np.float32)
    jt.manual_seed(0)
    y = -F.rrelu(jt.tensor(x), 0.1, 0.4, training=True).numpy()
    assert 0.1 <= y.min() < 0.101
    assert 0.399 < y.max() < 0.4
    assert abs(y.mean() - 0.25) < 0.005
    x[:] = 2
    assert (F.rrelu(jt.tensor(x), 0.1, 0.4, training=True).numpy() == 2).all()


def test_gumbel_softmax_draws_each_class_with_its_probability():
    jt.manual_seed(1)
    logits = jt.log(jt.tensor(np.array([0.1, 0.2, 0.7], np.float32))).expand(20_000, 3)
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True).numpy()
    assert set(np.unique(hard)) <= {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0), [0.1, 0.2, 0.7], atol=0.015)


def test_gumbel_softmax_rows_add_up_to_one_and_hard_has_the_soft_gradient():
    jt.manual_seed(2)
    x = jt.tensor(X).requires_grad_()
    soft = F.gumbel_softmax(x, tau=2.0, dim=1)
    np.testing.assert_allclose(soft.detach().numpy().sum(1), 1, rtol=1e-5)
    (soft * jt.tensor(X)).sum().backward()
    jt.manual_seed(2)
    z = jt.tensor(X).requires_grad_()
    (F.gumbel_softmax(z, tau=2.0, hard=True, dim=1) * jt.tensor(X)).sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), x.grad.numpy(), rtol=1e-5, atol=1e-7)


def test_gumbel_softmax_refuses_integers_and_warns_of_eps():
    same_error(F.gumbel_softmax, TF.gumbel_softmax, np.array([1, 2]), match="continuous")
    with pytest.warns(UserWarning, match="no effect"):
        F.gumbel_softmax(jnp.ones(3, jnp.float32), eps=1e-3)


IN_PLACE = ["relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardtanh",
            "hardsigmoid", "hardswish", "rrelu"]  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_inplace_changes_the_tensor_and_returns_it(name):
    x = jt.tensor(X)
    expected = getattr(F, name)(jt.tensor(X)).numpy()
    assert getattr(F, name)(x, inplace=True) is x
    np.testing.assert_array_equal(x.numpy(), expected)
    if hasattr(TF, name + "_"):
        z = jt.tensor(X)
        assert getattr(F, name + "_")(z) is z
        np.testing.assert_array_equal(z.numpy(), expected)


def test_inplace_after_another_operation_has_the_same_gradient():
    def ours(x):
        y = x * 2
        F.relu(y, inplace=True)
        return y * 3

    def theirs(x):
        y = x * 2
        TF.relu(y, inplace=True)
        return y * 3

    x = jt.tensor(X).requires_grad_()
    t = torch.tensor(X, requires_grad=True)
    ours(x).sum().backward()
    theirs(t).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), t.grad.numpy())


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "mish", "elu", "logsigmoid"])
def test_second_derivatives_are_pytorchs(name):
    x = np.array([-2, -0.5, 0.7, 3], np.float64)
    t = torch.tensor(x, requires_grad=True)
    (g,) = torch.autograd.grad(getattr(TF, name)(t).sum(), t, create_graph=True)
    (expected,) = torch.autograd.grad(g.sum(), t)
    with jax.enable_x64(True):
        found = jax.vmap(jax.grad(jax.grad(lambda v: getattr(F, name)(v))))(jnp.array(x))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_under_jit_and_vmap_nothing_changes():
    x = jnp.array(X)
    for name in ("gelu", "relu", "silu"):
        f = getattr(F, name)
        np.testing.assert_allclose(jax.jit(jax.vmap(f))(x), f(x), rtol=1e-6)
    rows = jax.vmap(lambda v: F.softmax(v, dim=-1))(x)
    np.testing.assert_allclose(rows, F.softmax(x, dim=2), rtol=1e-6)


@pytest.mark.parametrize("name", ["silu", "mish", "softsign", "tanhshrink", "logsigmoid", "glu"])
def test_arrays_of_numpys_float64_are_jaxs_without_a_warning(name):
    array = np.linspace(-1, 1, 6)
    found = getattr(F, name)(array)
    expected = getattr(F, name)(jnp.asarray(array))
    assert isinstance(found, jax.Array)
    np.testing.assert_array_equal(found, expected)

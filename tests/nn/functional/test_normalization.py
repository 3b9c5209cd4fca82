"""Normalizations against PyTorch: values, gradients, running statistics, errors."""

from __future__ import annotations

import functools

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

RNG = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return (RNG.standard_normal(shape) * 2 + 1).astype(dtype)


SHAPES = [(6, 4), (3, 4, 5), (2, 4, 3, 3), (2, 4, 2, 3, 2)]
C = np.array([0.5, -1, 2, 0.1], np.float32)
BF16 = ml_dtypes.bfloat16


def positional(f, *middle):
    """f with settings between the input and its parameters."""
    return lambda x, *parameters: f(x, *middle, *parameters)


# --- batch norm ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parameters", [(), (C, C + 1)])
def test_batch_norm_of_the_batch(shape, parameters):
    ours, theirs = (
        lambda x, *p, f=f: f(x, None, None, *p, training=True, eps=1e-3)
        for f in (F.batch_norm, TF.batch_norm)
    )
    compare(ours, theirs, normal(*shape), *parameters, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parameters", [(), (C, C + 1)])
def test_batch_norm_by_running_statistics(shape, parameters):
    mean, var = C * 2, np.abs(C) + 0.5

    def ours(x, *p):
        return F.batch_norm(x, jnp.array(mean), jnp.array(var), *p)

    def theirs(x, *p):
        return TF.batch_norm(x, torch.tensor(mean), torch.tensor(var), *p)

    compare(ours, theirs, normal(*shape), *parameters)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_in_bfloat16_takes_either_type_of_parameter(training):
    x = normal(8, 4, 3).astype(BF16)
    for dtype in (np.float32, BF16):
        parameters = [v.astype(dtype) for v in (C, np.abs(C) + 1, C + 1, C)]

        def ours(x, m, v, w, b):
            return F.batch_norm(x, m, v, w, b, training)

        def theirs(x, m, v, w, b):
            return TF.batch_norm(x, m, v, w, b, training)

        compare(ours, theirs, x, *parameters, grad=False)


def test_batch_norm_keeps_its_gradient_in_float64():
    ours, theirs = (
        lambda x, *p, f=f: f(x, None, None, *p, training=True)
        for f in (F.batch_norm, TF.batch_norm)
    )
    w = C.astype(np.float64)
    compare(ours, theirs, normal(3, 4, 5, dtype=np.float64), w, w)


@pytest.mark.parametrize("momentum", [0.1, 1.0, 0])
def test_batch_norm_moves_the_running_statistics(momentum):
    mean, var = jt.zeros(4), jt.ones(4)
    their_mean, their_var = torch.zeros(4), torch.ones(4)
    for shape in SHAPES:
        x = normal(*shape)
        F.batch_norm(jt.tensor(x), mean, var, training=True, momentum=momentum)
        TF.batch_norm(torch.tensor(x), their_mean, their_var, training=True, momentum=momentum)
        np.testing.assert_allclose(mean.numpy(), their_mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(var.numpy(), their_var, rtol=1e-5)
    assert not mean.requires_grad


def test_running_statistics_take_no_gradient_and_stay_out_of_the_graph():
    x = jt.tensor(normal(6, 4)).requires_grad_()
    mean, var = jt.zeros(4), jt.ones(4)
    F.batch_norm(x, mean, var, training=True).sum().backward()
    assert not mean.requires_grad
    assert mean.grad_fn is None
    assert np.abs(mean.numpy()).sum() > 0


def test_batch_norm_leaves_plain_arrays_as_they_are():
    mean, var = jnp.zeros(4), jnp.ones(4)
    y = jax.jit(lambda x, m, v: F.batch_norm(x, m, v, training=True))(normal(6, 4), mean, var)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-6)
    np.testing.assert_array_equal(mean, 0)


def test_batch_norm_errors():
    ones, three = np.ones(4, np.float32), np.ones(3, np.float32)
    error = functools.partial(same_error, F.batch_norm, TF.batch_norm)
    error(normal(1, 4), None, None, training=True, match=r"more than 1 value .*\[1, 4\]")
    error(normal(1, 4, 1, 1), None, None, training=True, match="more than 1 value")
    error(normal(2, 4), None, None, match="running_mean must be defined in evaluation mode")
    error(normal(2, 4), three, three, match="running_mean should contain 4 elements not 3")
    error(normal(2, 4), ones, ones, three, match="weight should contain 4 elements not 3")
    error(normal(2, 4), three, three, training=True, match="should contain 4 elements not 3")
    error(normal(2, 4), ones, ones, training=True, eps=-1.0, match="eps must be positive")
    error(np.ones((2, 4), int), ones, ones, match="not implemented for 'Long'")
    error(normal(2, 4, dtype=np.float64), ones, ones, match="mixed dtype")


# --- layer norm ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [(5,), (4, 5)])
@pytest.mark.parametrize("parameters", [0, 1, 2])
def test_layer_norm_over_the_last_dimensions(wanted, parameters):
    weights = [normal(*wanted) for _ in range(parameters)]
    compare(
        positional(F.layer_norm, wanted), positional(TF.layer_norm, wanted),
        normal(3, 4, 5), *weights, rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_layer_norm_in_other_types():
    double = [normal(6, dtype=np.float64) for _ in range(2)]
    compare(positional(F.layer_norm, (6,)), positional(TF.layer_norm, (6,)),
            normal(4, 6, dtype=np.float64), *double)  # fmt: skip
    half = [normal(6).astype(BF16) for _ in range(3)]
    compare(positional(F.layer_norm, (6,)), positional(TF.layer_norm, (6,)), half[0], *half[1:],
            grad_rtol=5e-2, grad_atol=5e-2)  # fmt: skip


def test_layer_norm_statistics_of_halves_are_wide():
    x = np.full((2, 4096), 300, np.float16)
    x[:, ::2] = 301
    y = F.layer_norm(jnp.array(x), (4096,))
    np.testing.assert_allclose(y, TF.layer_norm(torch.tensor(x), (4096,)), rtol=1e-2)


def test_layer_norm_far_from_zero_keeps_its_digits():
    x = (normal(4, 64) + 1000).astype(np.float32)
    compare(positional(F.layer_norm, (64,)), positional(TF.layer_norm, (64,)), x,
            rtol=1e-3, atol=1e-3)  # fmt: skip


def test_layer_norm_errors():
    error = functools.partial(same_error, F.layer_norm, TF.layer_norm)
    x, four = normal(2, 3), np.ones(4, np.float32)
    error(x, (4,), match=r"normalized_shape=\[4\].*\[\*, 4\].*\[2, 3\]")
    error(x, (), match="at least 1-dimensional")
    error(x, 3, match="must be tuple of ints")
    error(x, (3,), four, match="weight to be of same shape")
    error(x, (3,), four[:3], four, match="bias to be of same shape")
    error(np.ones((2, 3), int), (3,), match="not implemented for 'Long'")
    error(x, (3,), np.ones(3), match="mixed dtype")


def second_order(f, x):
    """The gradient of the squared gradient of f, as a gradient penalty needs it."""
    return jax.grad(lambda v: jnp.sum(jax.grad(lambda u: jnp.sum(f(u) ** 3))(v) ** 2))(x)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "group_norm"])
def test_gradients_of_gradients_are_pytorchs(name):
    setting = 2 if name == "group_norm" else (6,)
    x = normal(3, 4, 6, dtype=np.float64)
    t = torch.tensor(x, requires_grad=True)
    y = (getattr(TF, name)(t, setting) ** 3).sum()
    (g,) = torch.autograd.grad(y, t, create_graph=True)
    (expected,) = torch.autograd.grad((g**2).sum(), t)
    with jax.enable_x64(True):
        found = second_order(lambda v: getattr(F, name)(v, setting), jnp.array(x))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_forward_mode_and_reverse_mode_agree():
    x = jnp.array(normal(3, 5))
    for f in (
        lambda v: F.layer_norm(v, (5,)),
        lambda v: F.batch_norm(v, None, None, training=True),
        lambda v: F.rms_norm(v, (5,)),
    ):
        np.testing.assert_allclose(jax.jacfwd(f)(x), jax.jacrev(f)(x), atol=1e-5)


# --- the others ----------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [None, 1e-3])
@pytest.mark.parametrize("wanted", [(5,), (4, 5)])
def test_rms_norm(wanted, eps):
    for p in ([], [normal(*wanted)]):
        ours, theirs = (
            lambda x, *p, f=f: f(x, wanted, *p, eps=eps) for f in (F.rms_norm, TF.rms_norm)
        )
        compare(ours, theirs, normal(3, 4, 5), *p, rtol=1e-4, atol=1e-5)


def test_rms_norm_of_tiny_values_uses_pytorchs_default_eps():
    for dtype in (np.float32, np.float64, BF16):
        x = (normal(3, 5) * 1e-3).astype(dtype)
        compare(positional(F.rms_norm, (5,)), positional(TF.rms_norm, (5,)), x, grad=False)


def test_rms_norm_errors():
    x, four = normal(2, 3), np.ones(4, np.float32)
    same_error(F.rms_norm, TF.rms_norm, x, (4,), match=r"normalized_shape=\[4\]")
    same_error(F.rms_norm, TF.rms_norm, x, (3,), four, match="weight to be of same shape")


@pytest.mark.parametrize(("shape", "groups"), [((3, 4), 1), ((3, 4, 5), 4), ((2, 4, 3, 3), 2)])
@pytest.mark.parametrize("parameters", [(), (C, C + 1)])
def test_group_norm(shape, groups, parameters):
    compare(positional(F.group_norm, groups), positional(TF.group_norm, groups),
            normal(*shape), *parameters, rtol=1e-4, atol=1e-5)  # fmt: skip


def test_group_norm_errors():
    error = functools.partial(same_error, F.group_norm, TF.group_norm)
    error(normal(2, 3, 4), 2, match=r"divisible by num_groups.*\[2, 3, 4\] and num_groups=2")
    error(normal(3), 3, match="at least 2 dimensions")
    error(normal(2, 4, 4), 2, np.ones(3, np.float32), match="weight to be a vector")
    error(normal(1, 4), 4, match="more than 1 value per channel")


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("parameters", [(), (C, C + 1)])
def test_instance_norm_of_each_sample(shape, parameters):
    ours, theirs = (
        lambda x, *p, f=f: f(x, None, None, *p) for f in (F.instance_norm, TF.instance_norm)
    )
    compare(ours, theirs, normal(*shape), *parameters, rtol=1e-4, atol=1e-5)


def test_instance_norm_moves_and_uses_running_statistics():
    mean, var = jt.zeros(4), jt.ones(4)
    their_mean, their_var = torch.zeros(4), torch.ones(4)
    for _ in range(3):
        x = normal(3, 4, 5)
        F.instance_norm(jt.tensor(x), mean, var, momentum=0.3)
        TF.instance_norm(torch.tensor(x), their_mean, their_var, momentum=0.3)
    np.testing.assert_allclose(mean.numpy(), their_mean, rtol=1e-5)
    np.testing.assert_allclose(var.numpy(), their_var, rtol=1e-5)
    y = F.instance_norm(jt.tensor(x), mean, var, use_input_stats=False)
    expected = TF.instance_norm(torch.tensor(x), their_mean, their_var, use_input_stats=False)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_instance_norm_errors():
    error = functools.partial(same_error, F.instance_norm, TF.instance_norm)
    error(normal(2, 3, 1), match="more than 1 spatial element")
    error(normal(2, 3), match="more than 1 spatial element")
    error(normal(2, 3, 4), use_input_stats=False, match="Expected running_mean and running_var")
    error(normal(2, 3, 4), None, None, np.ones(4, np.float32), match="weight should contain")


SIZES = [((2, 5, 4), 3), ((2, 5, 3, 3), 2), ((2, 5, 3, 3), 5), ((1, 3, 2, 2, 2), 1)]


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_local_response_norm(shape, size):
    for settings in ({}, {"alpha": 0.5, "beta": 0.6, "k": 2.0}):
        compare(
            F.local_response_norm, TF.local_response_norm, normal(*shape), size=size, **settings
        )


def test_local_response_norm_needs_three_dimensions():
    same_error(F.local_response_norm, TF.local_response_norm, normal(2, 3), 2, match="2 dimensions")


@pytest.mark.parametrize(("p", "dim"), [(2, 1), (1, 0), (3, -1), (0.5, 1), (float("inf"), 1)])
def test_normalize_to_norm_one(p, dim):
    compare(F.normalize, TF.normalize, normal(3, 4, 2), p=p, dim=dim, rtol=1e-4, atol=1e-5)


def test_normalize_of_a_zero_vector_is_zero_with_a_finite_gradient():
    compare(F.normalize, TF.normalize, np.zeros((2, 3), np.float32))


def test_normalize_writes_into_out():
    out = jt.zeros(2, 3)
    assert F.normalize(jt.ones(2, 3), out=out) is out
    np.testing.assert_allclose(out.numpy(), 3**-0.5, rtol=1e-6)


def test_normalize_errors():
    same_error(F.normalize, TF.normalize, normal(3), dim=1, match="Dimension out of range")
    same_error(F.normalize, TF.normalize, np.ones((3, 3), int), match="Got Long")


def test_batch_norm_takes_an_empty_input_of_one_dimension():
    empty = np.zeros(0, np.float32)
    for training in (True, False):
        compare(F.batch_norm, TF.batch_norm, empty, empty, empty + 1, grad=False, training=training)
    three = np.ones(3, np.float32)
    with pytest.raises(RuntimeError, match="expected an input of shape"):
        F.batch_norm(three, three, three)

"""Dropout: how often, what is left of the rest, whole channels, seeds, errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch.nn.functional as TF

import jtoolbox as jt
import jtoolbox.nn.functional as F
from tests.reference import compare, same_error

PLAIN = ["dropout", "alpha_dropout"]
ALL = [
    ("dropout", (64, 32)),
    ("dropout1d", (64, 32, 5)),
    ("dropout2d", (64, 32, 3, 3)),
    ("dropout3d", (64, 32, 2, 2, 2)),
    ("alpha_dropout", (64, 32)),
    ("feature_alpha_dropout", (64, 32, 4)),
]


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drops_the_asked_share_and_scales_the_rest(p):
    jt.manual_seed(0)
    y = F.dropout(jt.ones(400, 1000), p).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - p)], rtol=1e-6)
    assert abs((y == 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / y.size)


def test_gradient_has_the_same_mask():
    x = jt.tensor(normal(50, 20)).requires_grad_()
    y = F.dropout(x, 0.3)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy() * x.detach().numpy(), y.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(("name", "shape"), ALL)
def test_nothing_happens_for_p_0_or_in_evaluation(name, shape):
    x = jt.tensor(normal(*shape))
    f = getattr(F, name)
    assert f(x, 0.5, training=False) is x
    np.testing.assert_allclose(f(x, 0.0, training=True).numpy(), x.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("name", "shape"), ALL)
def test_p_1_gives_zeros_with_gradient_zero(name, shape):
    compare(getattr(F, name), getattr(TF, name), normal(*shape), p=1.0, training=True)


@pytest.mark.parametrize(("name", "shape"), ALL)
def test_a_new_call_draws_a_new_mask_and_the_seed_repeats_it(name, shape):
    x = jt.tensor(normal(*shape))
    f = getattr(F, name)
    jt.manual_seed(3)
    first, second = (f(x, 0.5, training=True).numpy() for _ in range(2))
    jt.manual_seed(3)
    again = f(x, 0.5, training=True).numpy()
    np.testing.assert_array_equal(first, again)
    assert (first != second).mean() > 0.2


CHANNELS = [
    ("dropout1d", (40, 30, 5), 2),
    ("dropout1d", (400, 5), 1),
    ("dropout2d", (40, 30, 3, 3), 2),
    ("dropout3d", (40, 30, 2, 2, 2), 2),
    ("dropout3d", (400, 2, 2, 2), 1),
    ("feature_alpha_dropout", (40, 30, 5), 2),
]


@pytest.mark.parametrize(("name", "shape", "leading"), CHANNELS)
def test_whole_channels_are_dropped_or_kept(name, shape, leading):
    jt.manual_seed(0)
    y = getattr(F, name)(jt.ones(*shape), 0.4, training=True).numpy()
    channels = y.reshape(*shape[:leading], -1)
    assert (channels == channels[..., :1]).all()
    values, counts = np.unique(channels[..., 0], return_counts=True)
    assert len(values) == 2
    assert abs(counts[0] / counts.sum() - 0.4) < 0.15


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(p):
    jt.manual_seed(0)
    x = normal(1000, 300)
    y = F.alpha_dropout(jt.tensor(x), p, training=True).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02
    values, counts = np.unique(y, return_counts=True)
    assert abs(counts.max() / y.size - p) < 0.01
    alpha = 1.7580993408473766
    scale = 1 / np.sqrt((alpha**2 * p + 1) * (1 - p))
    np.testing.assert_allclose(values[counts.argmax()], -alpha * scale * (1 - p), rtol=1e-5)


@pytest.mark.parametrize("dtype", [jt.bfloat16, jt.float16, jt.float64])
@pytest.mark.parametrize("name", PLAIN)
def test_the_type_stays(name, dtype):
    assert getattr(F, name)(jt.ones(4, 4).to(dtype), 0.5, training=True).dtype is dtype


@pytest.mark.parametrize(("name", "shape"), ALL)
def test_inplace_writes_the_tensor(name, shape):
    x = jt.tensor(normal(*shape))
    assert getattr(F, name)(x, 0.5, True, True) is x
    assert (x.numpy() != normal(*shape)).any()


@pytest.mark.parametrize(("name", "shape"), ALL)
@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_a_probability_out_of_range_is_refused(name, shape, p):
    same_error(getattr(F, name), getattr(TF, name), normal(*shape), p,
               match=f"between 0 and 1, but got {p}")  # fmt: skip


def test_wrong_ranks_raise_or_warn():
    same_error(F.dropout1d, TF.dropout1d, normal(3), match="2D or 3D input, but received a 1D")
    same_error(F.feature_alpha_dropout, TF.feature_alpha_dropout, normal(3), 0.5, True,
               match="at least 2 dimensions")  # fmt: skip
    same_error(F.dropout, TF.dropout, np.arange(3), match="desired output type Long")
    with pytest.warns(UserWarning, match="2-D input to dropout2d"):
        F.dropout2d(jt.ones(3, 3))
    with pytest.warns(UserWarning, match="3-D input to dropout3d"):
        F.dropout3d(jt.ones(3, 3, 3))
    with pytest.warns(UserWarning, match="1D dropout") as caught:
        F.dropout2d(jt.ones(3, 3, 3))
    assert caught[0].filename == __file__


def test_on_arrays_the_default_generator_gives_the_key():
    jt.manual_seed(0)
    x = jnp.ones((100, 10), jnp.float32)
    first, second = F.dropout(x), F.dropout(x)
    assert (first != second).any()


def test_a_changed_probability_needs_no_new_program():
    traced = []

    @jax.jit
    def f(x, p):
        traced.append(p)
        return F.dropout(x, p)

    for p in (0.0, 0.3, 1.0):
        share = float((f(jnp.ones(10_000, jnp.float32), p) == 0).mean())
        assert abs(share - p) < 0.02
    assert len(traced) == 1

"""Convolutions against PyTorch's: every setting, every route of the CPU, every error."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch.nn.functional as TF

from jtoolbox.nn.functional import conv as F
from jtoolbox.nn.functional import convolution
from tests.reference import compare, same_error

CLOSE = {"rtol": 1e-4, "atol": 2e-4}


def normal(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


# input, weight, bias or not, settings
CONVOLUTIONS = {
    "plain": ((2, 3, 9, 8), (4, 3, 3, 2), True, {}),
    "no bias": ((2, 3, 9, 8), (4, 3, 3, 2), False, {}),
    "unbatched": ((3, 9, 8), (4, 3, 3, 2), True, {}),
    "empty batch": ((0, 3, 9, 8), (4, 3, 3, 2), True, {}),
    "stride": ((2, 3, 9, 8), (4, 3, 3, 2), True, {"stride": 2}),
    "strides as a list": ((2, 3, 9, 8), (4, 3, 3, 2), True, {"stride": [2, 3]}),
    "one stride in a tuple": ((2, 3, 9, 8), (4, 3, 3, 2), True, {"stride": (2,)}),
    "padding": ((2, 3, 9, 8), (4, 3, 3, 2), True, {"padding": (2, 1)}),
    "dilation": ((2, 3, 9, 8), (4, 3, 3, 2), True, {"dilation": (2, 3)}),
    "same": ((2, 3, 9, 8), (4, 3, 3, 3), True, {"padding": "same"}),
    "same, even kernel, dilated": (
        (2, 3, 9, 8),
        (4, 3, 4, 2),
        True,
        {"padding": "same", "dilation": (1, 3)},
    ),
    "valid": ((2, 3, 9, 8), (4, 3, 3, 3), True, {"padding": "valid", "stride": 2}),
    "all": (
        (2, 3, 9, 8),
        (4, 3, 3, 2),
        True,
        {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    ),
    "1x1": ((2, 3, 5, 4), (4, 3, 1, 1), True, {}),
    "two groups": ((2, 4, 7, 6), (6, 2, 3, 3), True, {"groups": 2, "padding": 1}),
    "twelve groups": (
        (2, 24, 7, 6),
        (36, 2, 3, 3),
        True,
        {"groups": 12, "stride": 2, "padding": 1, "dilation": (2, 1)},
    ),
    "depthwise": ((2, 4, 7, 6), (4, 1, 3, 3), True, {"groups": 4, "padding": 1, "stride": (1, 2)}),
    "depthwise, dilated": ((2, 4, 7, 6), (4, 1, 3, 3), True, {"groups": 4, "dilation": 2}),
    "two filters a channel": ((2, 4, 7, 6), (8, 1, 3, 3), True, {"groups": 4, "padding": (0, 1)}),
    "patches": ((2, 3, 9, 8), (4, 3, 4, 2), True, {"stride": (4, 2)}),
    "1-d": ((2, 3, 10), (4, 3, 3), True, {"stride": 2, "padding": 2}),
    "1-d, unbatched": ((3, 10), (4, 3, 3), True, {"dilation": 2}),
    "1-d, same": ((2, 3, 10), (4, 3, 4), True, {"padding": "same"}),
    "1-d, groups": ((2, 6, 10), (4, 3, 3), False, {"groups": 2}),
    "1-d, depthwise": ((2, 6, 10), (6, 1, 3), True, {"groups": 6, "padding": 1}),
    "3-d": ((2, 3, 5, 6, 4), (4, 3, 2, 3, 2), True, {}),
    "3-d, all": (
        (2, 3, 5, 6, 4),
        (4, 3, 2, 3, 2),
        True,
        {"stride": (2, 1, 2), "padding": (1, 0, 1), "dilation": (1, 2, 2)},
    ),
    "3-d, same": ((2, 3, 5, 6, 4), (4, 3, 2, 3, 2), True, {"padding": "same"}),
    "3-d, patches": ((1, 3, 4, 6, 4), (4, 3, 2, 2, 2), True, {"stride": 2}),
    "3-d, groups": ((2, 4, 5, 6, 4), (4, 2, 2, 3, 2), True, {"groups": 2}),
    "3-d, depthwise, unbatched": ((4, 5, 6, 4), (4, 1, 2, 3, 2), True, {"groups": 4}),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions_equal_pytorchs(case: str) -> None:
    shape, kernel, biased, settings = CONVOLUTIONS[case]
    n = len(kernel) - 2
    inputs = [normal(*shape), normal(*kernel), *([normal(kernel[0])] if biased else [])]
    compare(getattr(F, f"conv{n}d"), getattr(TF, f"conv{n}d"), *inputs, **CLOSE, **settings)


TRANSPOSED = {
    "plain": ((2, 3, 5, 4), (3, 4, 3, 2), True, {}),
    "no bias": ((2, 3, 5, 4), (3, 4, 3, 2), False, {}),
    "unbatched": ((3, 5, 4), (3, 4, 3, 2), True, {"stride": 2}),
    "empty batch": ((0, 3, 5, 4), (3, 4, 3, 2), True, {"stride": 2}),
    "kernel = stride": ((2, 3, 5, 4), (3, 4, 2, 2), True, {"stride": 2}),
    "kernel < stride": ((2, 3, 5, 4), (3, 4, 2, 2), True, {"stride": 3}),
    "4x4, stride 2, padding 1": ((2, 3, 5, 4), (3, 4, 4, 4), True, {"stride": 2, "padding": 1}),
    "output padding": (
        (2, 3, 5, 4),
        (3, 4, 3, 3),
        True,
        {"stride": (2, 3), "padding": 1, "output_padding": (1, 2)},
    ),
    "dilation": ((2, 3, 5, 4), (3, 4, 3, 2), True, {"dilation": 2, "output_padding": 1}),
    "dilation and stride": (
        (2, 3, 5, 4),
        (3, 4, 3, 2),
        True,
        {"dilation": (2, 3), "stride": 2, "padding": (1, 0)},
    ),
    "more padding than kernel": ((2, 3, 5, 6), (3, 4, 2, 2), True, {"padding": 2}),
    "one element": ((2, 3, 1, 1), (3, 4, 4, 4), True, {}),
    "groups": ((2, 4, 5, 4), (4, 3, 3, 2), True, {"groups": 2}),
    "groups and stride": ((2, 4, 5, 4), (4, 3, 3, 2), True, {"groups": 2, "stride": 2}),
    "depthwise": ((2, 4, 5, 4), (4, 1, 3, 2), True, {"groups": 4, "stride": 2, "padding": 1}),
    "1-d": ((2, 3, 6), (3, 4, 4), True, {"stride": 2, "padding": 1, "output_padding": 1}),
    "1-d, unbatched": ((3, 6), (3, 4, 4), True, {}),
    "3-d": ((2, 3, 3, 4, 2), (3, 4, 2, 3, 2), True, {"stride": (1, 2, 2), "padding": (0, 1, 0)}),
    "3-d, stride 1": ((2, 3, 3, 4, 2), (3, 4, 2, 3, 2), True, {"padding": 1}),
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolutions_equal_pytorchs(case: str) -> None:
    shape, kernel, biased, settings = TRANSPOSED[case]
    n = len(kernel) - 2
    outputs = kernel[1] * settings.get("groups", 1)
    inputs = [normal(*shape), normal(*kernel), *([normal(outputs)] if biased else [])]
    name = f"conv_transpose{n}d"
    compare(getattr(F, name), getattr(TF, name), *inputs, **CLOSE, **settings)


@pytest.mark.parametrize("case", ["all", "two groups", "twelve groups", "depthwise", "patches"])
def test_xlas_own_convolution_equals_the_routes_of_the_cpu(case, monkeypatch) -> None:
    shape, kernel, _, settings = CONVOLUTIONS[case]
    x, w = normal(*shape), normal(*kernel)
    expected = F.conv2d(jnp.asarray(x), jnp.asarray(w), **settings)
    monkeypatch.setattr(convolution, "_cpu_route", lambda *_: convolution._xla)
    found = F.conv2d(jnp.asarray(x), jnp.asarray(w), **settings)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("case", ["output padding", "dilation and stride", "groups and stride"])
def test_xlas_own_transposed_convolution_equals_the_route_of_the_cpu(case, monkeypatch) -> None:
    shape, kernel, _, settings = TRANSPOSED[case]
    x, w = jnp.asarray(normal(*shape)), jnp.asarray(normal(*kernel))
    expected = F.conv_transpose2d(x, w, **settings)
    monkeypatch.setattr(convolution.jax, "default_backend", lambda: "elsewhere")
    np.testing.assert_allclose(F.conv_transpose2d(x, w, **settings), expected, **CLOSE)


def test_convolutions_work_in_double_precision() -> None:
    inputs = [normal(2, 4, 5, 4, dtype=np.float64), normal(4, 2, 3, 3, dtype=np.float64)]
    compare(F.conv2d, TF.conv2d, *inputs, groups=2, padding=1)
    compare(F.conv_transpose2d, TF.conv_transpose2d, *inputs, stride=2)


def test_convolutions_can_be_mapped_and_differentiated_forward_and_twice() -> None:
    x, w = jnp.asarray(normal(3, 2, 4, 6, 5)), jnp.asarray(normal(4, 1, 3, 3))

    def f(x, w):
        return F.conv2d(x, w, groups=4, padding=1).sum() ** 2

    mapped = jax.vmap(lambda v: F.conv2d(v, w, groups=4, padding=1))(x)
    np.testing.assert_allclose(mapped[1], F.conv2d(x[1], w, groups=4, padding=1), **CLOSE)
    hessian = jax.jacfwd(jax.grad(f, 1), 1)(x[0], w)
    assert hessian.shape == w.shape * 2


ERRORS = {
    "wrong channels": (
        (1, 3, 8, 8),
        (4, 2, 3, 3),
        {},
        r"weight of size \[4, 2, 3, 3\], expected input\[1, 3, 8, 8\] to have 2 channels, but got "
        "3 channels instead",
    ),
    "channels last": ((1, 8, 9, 3), (4, 3, 3, 3), {}, r"x\.permute\(0, 3, 1, 2\)"),
    "a batch without channels": ((64, 28, 28), (4, 1, 3, 3), {}, r"x\.unsqueeze\(1\)"),
    "wrong rank": (
        (3, 8),
        (4, 3, 3, 3),
        {},
        r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d, but got input of size: "
        r"\[3, 8\]",
    ),
    "wrong rank of weight": ((1, 3, 8, 8), (4, 3, 3), {}, "Expected a 4-dimensional weight"),
    "input too small": ((1, 3, 2, 2), (4, 3, 3, 3), {}, r"\(2 x 2\). Kernel size: \(3 x 3\)"),
    "negative padding": ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": -1}, "negative padding is not"),
    "no kernel": ((1, 3, 8, 8), (4, 3, 3, 0), {}, r"kernel size should be .* got \[3, 0\]"),
    "stride 0": ((1, 3, 8, 8), (4, 3, 3, 3), {"stride": 0}, "non-positive stride is not"),
    "dilation 0": ((1, 3, 8, 8), (4, 3, 3, 3), {"dilation": 0}, "dilation should be greater than"),
    "three strides": ((1, 3, 8, 8), (4, 3, 3, 3), {"stride": (1, 1, 1)}, "a list of 2 values"),
    "same with stride": (
        (1, 3, 8, 8),
        (4, 3, 3, 3),
        {"padding": "same", "stride": 2},
        "padding='same' is not supported for strided convolutions",
    ),
    "unknown padding": ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": "foo"}, "Invalid padding string"),
    "groups": ((1, 4, 8, 8), (5, 2, 3, 3), {"groups": 2}, "expected weight to be divisible by 2"),
    "no groups": (
        (1, 4, 8, 8),
        (4, 2, 3, 3),
        {"groups": 0},
        "non-positive groups is not supported",
    ),
    "no filters": (
        (1, 3, 8, 8),
        (0, 3, 3, 3),
        {},
        "expected weight to be at least 1 at dimension 0",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_wrong_convolution_raises_pytorchs_error(case: str) -> None:
    shape, kernel, settings, match = ERRORS[case]
    same_error(F.conv2d, TF.conv2d, normal(*shape), normal(*kernel), match=match, **settings)


def test_a_wrong_bias_or_type_raises_pytorchs_error() -> None:
    x, w = normal(1, 3, 8, 8), normal(4, 3, 3, 3)
    same_error(F.conv2d, TF.conv2d, x, w, normal(3), match="1-dimensional with 4 elements")
    wide = normal(4, dtype=np.float64)
    same_error(
        F.conv2d, TF.conv2d, x, w, wide, match="bias type .*DoubleTensor.* should be the same"
    )
    same_error(F.conv2d, TF.conv2d, x.astype(np.int64), w, match=r"torch.LongTensor\) and weight")


TRANSPOSED_ERRORS = {
    "wrong channels": ((1, 3, 8, 8), (4, 2, 3, 3), {}, "Given transposed=1.* to have 4 channels"),
    "output padding": ((1, 3, 8, 8), (3, 2, 3, 3), {"output_padding": 1}, "must be smaller than"),
    "nothing left": ((1, 3, 1, 1), (3, 2, 3, 3), {"padding": 2}, r"\(-1 x -1\). Output size is"),
    "padding in words": ((1, 3, 8, 8), (3, 2, 3, 3), {"padding": "same"}, "must be tuple of ints"),
    "groups": ((1, 4, 8, 8), (4, 2, 3, 3), {"groups": 3}, "expected weight to be divisible by 3"),
    "wrong rank": ((8, 8), (3, 2, 3, 3), {}, "input to conv_transpose2d"),
    "no kernel": ((1, 3, 8, 8), (3, 2, 0, 3), {}, "kernel size should be greater than zero"),
}


@pytest.mark.parametrize("case", TRANSPOSED_ERRORS)
def test_a_wrong_transposed_convolution_raises_pytorchs_error(case: str) -> None:
    shape, kernel, settings, match = TRANSPOSED_ERRORS[case]
    inputs = normal(*shape), normal(*kernel)
    same_error(F.conv_transpose2d, TF.conv_transpose2d, *inputs, match=match, **settings)


def test_a_transposed_convolution_of_many_blocks_compiles_in_seconds() -> None:
    settings = {"stride": (3, 2), "padding": (1, 2), "groups": 2, "dilation": 4}
    x, w = normal(2, 2, 4, 4), normal(2, 2, 9, 10)
    started = time.perf_counter()
    compare(F.conv_transpose2d, TF.conv_transpose2d, x, w, rtol=1e-4, atol=1e-4, **settings)
    assert time.perf_counter() - started < 60

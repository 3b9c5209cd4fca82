"""Convolutions and transposed convolutions over one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jtoolbox.engine import Array, op
from jtoolbox.engine.record import spread
from jtoolbox.nn.functional.checks import type_name
from jtoolbox.nn.functional.convolution import convolve, convolve_transposed
from jtoolbox.nn.functional.windows import Ints, expand

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

_SETTING = (
    "expected {name} to be a single integer value or a list of {n} values to match the convolution "
    "dimensions, but got {name}={value}"
)
_AXES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def _setting(name: str, value: Any, n: int, least: int) -> tuple[int, ...]:
    """A setting per dimension, each at least `least`."""
    values = expand(value, n, _SETTING.replace("{name}", name))
    if min(values) < least:
        if name in ("dilation", "kernel size"):
            raise RuntimeError(f"{name} should be greater than zero, but got {list(values)}")
        sign = "non-positive" if least else "negative"
        raise RuntimeError(f"{sign} {name} is not supported: got {list(values)}")
    return values


def _times(values: Sequence[int]) -> str:
    return f"({' x '.join(str(v) for v in values)})"


def _check_rank(name: str, n: int, x: Any, weight: Any) -> None:
    if weight.ndim != n + 2:
        raise RuntimeError(
            f"Expected a {n + 2}-dimensional weight for {name}, but got weight of size "
            f"{list(weight.shape)}"
        )
    if x.ndim not in (n + 1, n + 2):
        hint = ""
        if x.ndim == n:
            hint = " The channel dimension is missing: x.unsqueeze(1) adds it to a batch."
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input "
            f"of size: {list(x.shape)}. The axes are {_AXES[n]}, the batch may be left out.{hint}"
        )


def _check_types(x: Any, weight: Any, bias: Any) -> None:
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype != x.dtype:
            raise RuntimeError(
                f"Input type (torch.{type_name(x)}Tensor) and {name} type "
                f"(torch.{type_name(other)}Tensor) should be the same: convert the input with "
                ".to(weight.dtype), or the layer with .to(dtype)"
            )


def _channel_hint(n: int, shape: tuple[int, ...], channels: int) -> str:
    if shape[-1] == channels:
        order = (0, n + 1, *range(1, n + 1))
        return f". The channels seem to come last: x.permute{order} gives {_AXES[n]}"
    if shape[0] == 1 and channels == 1:
        return ". The channel dimension seems to be missing: x.unsqueeze(1) adds it to a batch"
    return f". The axes are {_AXES[n]}"


def _check_channels(n: int, x: Any, weight: Any, bias: Any, groups: int, transposed: bool) -> None:
    if groups < 1:
        raise RuntimeError(f"non-positive groups is not supported: got {groups}")
    size = list(weight.shape)
    what = "transposed=1" if transposed else f"groups={groups}"
    if weight.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size {size} instead"
        )
    if weight.shape[0] < 1:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least 1 at dimension 0, but got "
            f"weight of size {size} instead"
        )
    channels = weight.shape[0] if transposed else weight.shape[1] * groups
    if x.shape[1] != channels:
        raise RuntimeError(
            f"Given {what}, weight of size {size}, expected input{list(x.shape)} to have "
            f"{channels} channels, but got {x.shape[1]} channels instead"
            f"{_channel_hint(n, x.shape, channels)}"
        )
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and bias.shape != (outputs,):
        given = "Given transposed=1, weight" if transposed else "Given weight"
        raise RuntimeError(
            f"{given} of size {size}, expected bias to be 1-dimensional with {outputs} elements, "
            f"but got bias of size {list(bias.shape)} instead"
        )


def _operands(name: str, n: int, input: Any, weight: Any, bias: Any, groups: int) -> tuple:
    """The checked operands as arrays, the input with a batch, and whether it had one."""
    x, weight = jnp.asarray(input), jnp.asarray(weight)
    bias = None if bias is None else jnp.asarray(bias)
    _check_rank(name, n, x, weight)
    _check_types(x, weight, bias)
    batched = x.ndim == n + 2
    x = x if batched else x[None]
    _check_channels(n, x, weight, bias, groups, "transpose" in name)
    return x, weight, bias, batched


def _finished(y: Any, bias: Any, n: int, batched: bool) -> Any:
    if bias is not None:
        y = y + spread(bias.reshape((-1,) + (1,) * n), y.shape)
    return y if batched else y[0]


def _same(kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """The padding that keeps the size; an odd amount has its extra element at the end."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(t // 2, t - t // 2) for t in totals]


def _pads(
    padding: Any, n: int, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * n
    if padding == "same":
        if any(s != 1 for s in stride):
            raise RuntimeError(
                "padding='same' is not supported for strided convolutions: give the padding as a "
                f"number; got stride={list(stride)}"
            )
        return _same(kernel, dilation)
    if isinstance(padding, str):
        raise RuntimeError(f"Invalid padding string: '{padding}'; it may be 'valid' or 'same'")
    return [(p, p) for p in _setting("padding", padding, n, 0)]


def _conv(
    n: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Ints,
    padding: Any,
    dilation: Ints,
    groups: int,
) -> Any:
    x, weight, bias, batched = _operands(f"conv{n}d", n, input, weight, bias, groups)
    strides = _setting("stride", stride, n, 1)
    dilations = _setting("dilation", dilation, n, 1)
    kernel = _setting("kernel size", weight.shape[2:], n, 1)
    pads = _pads(padding, n, kernel, strides, dilations)
    padded = [size + low + high for size, (low, high) in zip(x.shape[2:], pads, strict=True)]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if any(size < span for size, span in zip(padded, spans, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: {_times(padded)}. Kernel size: "
            f"{_times(spans)}. Kernel size can't be greater than actual input size"
        )
    return _finished(convolve(x, weight, strides, pads, dilations, groups), bias, n, batched)


@op(tags=("convolution",))
def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Slides filters along one dimension: the cross-correlation of input and weight, plus bias.

    Shapes: input (N, C, L) or (C, L), weight (out_channels, C / groups, K), bias (out_channels);
    the result is (N, out_channels, L') with L' = (L + 2 padding - dilation (K - 1) - 1) // stride
    + 1. `padding` may be "valid" (none) or "same" (L' = L, for stride 1). Raises RuntimeError where
    shapes or dtypes do not fit.

        >>> F.conv1d(torch.ones(1, 2, 8), torch.ones(4, 2, 3), padding=1).shape
        torch.Size([1, 4, 8])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@op(tags=("convolution",))
def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Slides filters over two dimensions.

    Shapes: input (N, C, H, W) or (C, H, W), weight (out_channels, C / groups, KH, KW), bias
    (out_channels); the result is (N, out_channels, H', W'). Settings are numbers or one per
    dimension; sizes and errors as in `conv1d`.

        >>> F.conv2d(torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3), stride=2).shape
        torch.Size([1, 4, 3, 3])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@op(tags=("convolution",))
def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Slides filters over three dimensions.

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (out_channels, C / groups, KD, KH, KW),
    bias (out_channels); the result is (N, out_channels, D', H', W'). Settings are numbers or one
    per dimension; sizes and errors as in `conv1d`.
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _output_padding(
    value: Ints, n: int, stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    extra = _setting("output_padding", value, n, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding={list(extra)}, stride={list(stride)}, dilation={list(dilation)}"
        )
    return extra


def _conv_transpose(
    n: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Any:
    name = f"conv_transpose{n}d"
    if isinstance(padding, str):
        raise TypeError(f"{name}(): argument 'padding' must be tuple of ints, not str")
    x, weight, bias, batched = _operands(name, n, input, weight, bias, groups)
    strides = _setting("stride", stride, n, 1)
    pads = _setting("padding", padding, n, 0)
    dilations = _setting("dilation", dilation, n, 1)
    kernel = _setting("kernel size", weight.shape[2:], n, 1)
    extra = _output_padding(output_padding, n, strides, dilations)
    outputs = [
        (size - 1) * s - 2 * p + d * (k - 1) + e + 1
        for size, s, p, d, k, e in zip(
            x.shape[2:], strides, pads, dilations, kernel, extra, strict=True
        )
    ]
    if min(outputs) < 1:
        raise RuntimeError(
            f"Given input size per channel: {_times(x.shape[2:])}. Calculated output size per "
            f"channel: {_times(outputs)}. Output size is too small"
        )
    y = convolve_transposed(x, weight, strides, pads, outputs, dilations, groups)
    return _finished(y, bias, n, batched)


@op(tags=("convolution",))
def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """The transpose of `conv1d` as a linear map: every input element spreads a scaled filter.

    Shapes: input (N, C, L) or (C, L), weight (C, out_channels / groups, K), bias (out_channels);
    the result is (N, out_channels, L') with L' = (L - 1) stride - 2 padding + dilation (K - 1)
    + output_padding + 1. Raises RuntimeError where shapes or dtypes do not fit.
    """
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@op(tags=("convolution",))
def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """The transpose of `conv2d` as a linear map.

    Shapes: input (N, C, H, W) or (C, H, W), weight (C, out_channels / groups, KH, KW), bias
    (out_channels); the result is (N, out_channels, H', W'), sized as in `conv_transpose1d`.

        >>> F.conv_transpose2d(torch.ones(1, 3, 8, 8), torch.ones(3, 4, 2, 2), stride=2).shape
        torch.Size([1, 4, 16, 16])
    """
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@op(tags=("convolution",))
def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """The transpose of `conv3d` as a linear map.

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (C, out_channels / groups, KD, KH, KW),
    bias (out_channels); the result is (N, out_channels, D', H', W'), sized as in
    `conv_transpose1d`.
    """
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@op
def conv_tbc(input: Array, weight: Array, bias: Array, pad: int = 0) -> Array:
    """`conv1d` with the axes in the order time, batch, channels.

    Shapes: input (L, N, C), weight (K, C, O), bias (O); the result is (L + 2 pad - K + 1, N, O).
    Raises RuntimeError for other shapes.
    """
    x, w, b = jnp.asarray(input), jnp.asarray(weight), jnp.asarray(bias)
    if x.ndim != 3:
        raise RuntimeError(
            f"Input must have 3 dims: time, batch, in_channel, got shape {list(x.shape)}"
        )
    if w.ndim != 3:
        raise RuntimeError(
            "Weight tensor must have 3 dims: kernel_width, in_channels, out_channels, got shape "
            f"{list(w.shape)}"
        )
    if x.shape[2] != w.shape[1]:
        raise RuntimeError(
            "Input dim 2 (input channels) is not == dim 1 in the weight tensor: "
            f"{list(x.shape)} and {list(w.shape)}"
        )
    if b.shape != w.shape[2:]:
        raise RuntimeError(
            "Bias size must equal dim 2 in the weight tensor (output channels): "
            f"{list(b.shape)} and {list(w.shape)}"
        )
    y = conv1d(x.transpose(1, 2, 0), w.transpose(2, 1, 0), b, padding=pad)
    return y.transpose(2, 0, 1)

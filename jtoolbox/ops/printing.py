"""Tensors as text, as PyTorch prints them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import overriding

__all__ = ["format_array", "format_tensor", "get_printoptions", "set_printoptions"]


@dataclass(frozen=True)
class Options:
    """How tensors are printed; `sci_mode` None chooses for each tensor."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": Options(),
    "short": Options(precision=2, edgeitems=2),
    "full": Options(threshold=math.inf),
}
_options = Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors are printed: digits after the point, the number of elements from which on a
    tensor is summarised, the elements shown at each edge then, and the width of a line.

    `profile` is "default", "short" or "full". `sci_mode` True or False settles the scientific
    notation; without it each tensor chooses.
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
    base = _PROFILES[profile] if profile else _options
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems,
             "linewidth": linewidth}  # fmt: skip
    settings = {name: value for name, value in given.items() if value is not None}
    _options = replace(base, sci_mode=sci_mode, **settings)


def get_printoptions() -> dict[str, Any]:
    """The settings in force, under the names that `set_printoptions` takes."""
    return dict(vars(_options))


Format = tuple[Callable[[Any], str], int]  # the text of an element, and the usual width of one


def _plain(values: np.ndarray) -> Format:
    width = max((len(str(v)) for v in values.tolist()), default=1)
    return (lambda value: str(value).rjust(width)), width


def _wide_range(largest: float, smallest: float) -> bool:
    return largest / smallest > 1000 or largest > 1e8


def _float(values: np.ndarray) -> Format:
    """One format for all: whole numbers as "1.", a wide range in scientific notation."""
    values = values.astype(np.float64)
    values = values[np.isfinite(values) & (values != 0)]
    whole = bool((values == np.ceil(values)).all())
    scientific = _options.sci_mode if values.size else False
    if scientific is None:
        size = np.abs(values)
        scientific = bool(values.size) and (
            _wide_range(float(size.max()), float(size.min()))
            or bool(not whole and size.min() < 1e-4)
        )
    digits = f".{_options.precision}e" if scientific else f".{_options.precision}f"

    def text(value: float) -> str:
        if scientific or not whole:
            return format(value, digits)
        return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"

    width = max((len(text(v)) for v in values.tolist()), default=1)
    return (lambda value: text(value).rjust(width)), width


def _complex(values: np.ndarray) -> Format:
    real, real_width = _float(np.real(values))
    imaginary, imaginary_width = _float(np.imag(values))

    def text(value: complex) -> str:
        tail = (imaginary(value.imag) + "j").lstrip()
        return real(value.real) + (tail if tail[0] in "+-" else "+" + tail)

    return text, real_width + imaginary_width + 1


def _format_of(values: np.ndarray) -> Format:
    return (_plain, _plain, _float, _complex)[dtypes.kind(values.dtype)](values)


def _vector(values: np.ndarray, indent: int, summarize: bool, text: Any, width: int) -> str:
    per_line = max(1, (_options.linewidth - indent) // (width + 2))
    edge = _options.edgeitems
    if summarize and not edge:
        words = ["..."]
    elif summarize and len(values) > 2 * edge:
        ends = [text(v) for v in [*values[:edge].tolist(), *values[-edge:].tolist()]]
        words = [*ends[:edge], " ...", *ends[edge:]]
    else:
        words = [text(v) for v in values.tolist()]
    lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(values: np.ndarray, indent: int, summarize: bool, text: Any, width: int) -> str:
    if values.ndim == 0:
        return text(values.item())
    if values.ndim == 1:
        return _vector(values, indent, summarize, text, width)
    edge, size = _options.edgeitems, len(values)
    shortened = summarize and size > 2 * edge
    places = [*range(edge), *range(size - edge, size)] if shortened else range(size)
    rows = [_nested(values[i], indent + 1, summarize, text, width) for i in places]
    if shortened:
        rows.insert(edge, "...")
    return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(rows) + "]"


def _edges(values: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    edge = _options.edgeitems
    for dim, size in enumerate(values.shape):
        if size > 2 * edge:
            places = np.r_[0:edge, size - edge : size]
            values = values.take(places, axis=dim)
    return values


def _joined(text: str, suffixes: Sequence[str], indent: int) -> str:
    """Suffixes after the text, on a new line where the line would become too long."""
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"


def _type_suffix(values: np.ndarray) -> list[str]:
    dtype = dtypes.from_numpy(values.dtype)
    usual = [dtypes.get_default_dtype()]
    if values.size:
        usual += [dtypes.int64, dtypes.bool, dtypes.get_default_dtype().to_complex()]
    size = [f"size={tuple(values.shape)}"] if not values.size and values.ndim != 1 else []
    return size + ([] if dtype in usual else [f"dtype={dtype}"])


def format_array(
    values: np.ndarray,
    *,
    device: str | None = None,
    grad_fn: str | None = None,
    requires_grad: bool = False,
    prefix: str = "tensor(",
) -> str:
    """The text of a tensor with these values: `tensor([1., 2.], requires_grad=True)`.

    `device` is named when it is not the default one, `grad_fn` is the name of the operation that
    made the tensor.
    """
    summarize = values.size > _options.threshold
    if not values.size:
        body = "[]"
    else:
        text, width = _format_of((_edges(values) if summarize else values).reshape(-1))
        body = _nested(values, len(prefix), summarize, text, width)
    suffixes = [f"device='{device}'"] if device else []
    suffixes += _type_suffix(values)
    if grad_fn:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _joined(prefix + body, suffixes, len(prefix))


def _format_meta(tensor: Any, prefix: str, grad_fn: Any) -> str:
    dtype = tensor.dtype
    suffixes = ["device='meta'", f"size={tuple(tensor.shape)}"]
    suffixes += [] if dtype is dtypes.get_default_dtype() else [f"dtype={dtype}"]
    if grad_fn:
        suffixes.append(f"grad_fn=<{type(grad_fn).__name__}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return _joined(prefix + "...", suffixes, len(prefix))


def format_tensor(tensor: Any) -> str:
    """The text of a Tensor; runs what is pending."""
    grad_fn = tensor.grad_fn
    device = tensor.device
    kind = type(tensor)
    prefix = f"{kind.__name__}(" if kind in overriding.classes else "tensor("
    if tensor.is_meta:
        return _format_meta(tensor, prefix, grad_fn)
    return format_array(
        np.asarray(tensor.detach()),
        device=None if device.type == "cpu" else str(device),
        grad_fn=grad_fn and type(grad_fn).__name__,
        requires_grad=tensor.requires_grad,
        prefix=prefix,
    )

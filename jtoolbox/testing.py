"""`torch.testing`: comparing results in tests, and random tensors to compute them from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes, ops
from jtoolbox.tensor import Tensor, as_tensor

__all__ = ["assert_close", "make_tensor"]

# Relative and absolute tolerance by type of the elements; integers and booleans must be equal.
_TOLERANCES = {
    **{dtypes.float16: (1e-3, 1e-5), dtypes.bfloat16: (1.6e-2, 1e-5)},
    **{dtypes.float32: (1.3e-6, 1e-5), dtypes.float64: (1e-7, 1e-7)},
    **{dtypes.complex64: (1.3e-6, 1e-5), dtypes.complex128: (1e-7, 1e-7)},
}
_NUMBERS = {int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}


@dataclass(frozen=True)
class Checks:
    """The settings of `assert_close`."""

    rtol: float | None
    atol: float | None
    equal_nan: bool
    allow_subclasses: bool
    attributes: tuple[str, ...]
    dtype: bool

    def tolerances(self, *kinds: Any) -> tuple[float, float]:
        """Those given, or the larger ones of the types that are compared."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        known = [_TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        return max(r for r, _ in known), max(a for _, a in known)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """AssertionError unless |actual - expected| <= atol + rtol |expected|, element by element.

    Takes Tensors, NumPy arrays, numbers, None, and sequences and mappings of them. Shapes must
    agree, and with the `check_` settings types, devices, layouts and strides. Without `rtol` and
    `atol` the types of the elements choose: 1.3e-6 and 1e-5 for float32, equality for integers.
    `msg` replaces the message, or makes another one of it. TypeError for anything else, ValueError
    when one tolerance alone is given.
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        )
    wanted = {"layout": check_layout, "device": check_device, "dtype": check_dtype}
    chosen = ("shape", *(name for name, check in wanted.items() if check))
    chosen = (*chosen, "stride") if check_stride else chosen
    checks = Checks(rtol, atol, equal_nan, allow_subclasses, chosen, check_dtype)
    failure = next(_failures(actual, expected, checks, ()), None)
    if failure is not None:
        raise AssertionError(msg(failure) if callable(msg) else failure if msg is None else msg)


def _failures(a: Any, e: Any, checks: Checks, place: tuple[Any, ...]) -> Iterator[str]:
    """What differs, in order: one message each."""
    if isinstance(a, Mapping) and isinstance(e, Mapping):
        yield from _mappings(a, e, checks, place)
    elif _is_sequence(a) and _is_sequence(e):
        if len(a) != len(e):
            yield _at(f"The length of the sequences mismatch: {len(a)} != {len(e)}", place)
            return
        for i, (x, y) in enumerate(zip(a, e, strict=True)):
            yield from _failures(x, y, checks, (*place, i))
    else:
        text = _leaves(a, e, checks)
        if text is not None:
            yield _at(text, place)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _mappings(a: Any, e: Any, checks: Checks, place: tuple[Any, ...]) -> Iterator[str]:
    missing, more = sorted(e.keys() - a.keys(), key=str), sorted(a.keys() - e.keys(), key=str)
    if missing or more:
        text = "The keys of the mappings do not match:\n"
        lines = [f"Missing keys in the actual mapping: {missing}"] if missing else []
        lines += [f"Additional keys in the actual mapping: {more}"] if more else []
        yield _at(text + "\n".join(lines), place)
        return
    for key in a:
        yield from _failures(a[key], e[key], checks, (*place, key))


def _at(text: str, place: tuple[Any, ...]) -> str:
    if not place:
        return text
    keys = "".join(f"[{key!r}]" for key in place)
    return f"{text}\n\nThe failure occurred for item {keys}"


def _leaves(a: Any, e: Any, checks: Checks) -> str | None:
    if a is None or e is None:
        return None if a is e else f"None mismatch: {a} is not {e}"
    if isinstance(a, (bool, np.bool_)) and isinstance(e, (bool, np.bool_)):
        return None if bool(a) == bool(e) else f"Booleans mismatch: {a} is not {e}"
    if isinstance(a, (int, float, complex)) and isinstance(e, (int, float, complex)):
        return _numbers(a, e, checks)
    related = type(a) is type(e) or (
        checks.allow_subclasses and (isinstance(a, type(e)) or isinstance(e, type(a)))
    )
    if not related or not isinstance(a, (Tensor, np.ndarray, np.generic)):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(a)} and {type(e)}."
        )
    return _tensors(as_tensor(a), as_tensor(e), checks)


def _numbers(a: Any, e: Any, checks: Checks) -> str | None:
    if checks.dtype and type(a) is not type(e):
        return f"The (d)types do not match: {type(a)} != {type(e)}."
    kinds = [next(d for t, d in _NUMBERS.items() if isinstance(v, t)) for v in (a, e)]
    return _values(np.asarray(a), np.asarray(e), checks.tolerances(*kinds), checks.equal_nan)


def _tensors(a: Any, e: Any, checks: Checks) -> str | None:
    for name in checks.attributes:
        x, y = getattr(a, name), getattr(e, name)
        if name == "stride":
            name, x, y = "stride()", x(), y()
        if x != y:
            return f"The values for attribute '{name}' do not match: {x} != {y}."
    arrays = [np.asarray(t.detach()) for t in (a, e)]
    arrays = [v.astype(np.float32) if t.dtype is dtypes.bfloat16 else v
              for v, t in zip(arrays, (a, e), strict=True)]  # fmt: skip
    return _values(arrays[0], arrays[1], checks.tolerances(a.dtype, e.dtype), checks.equal_nan)


def _values(a: Any, e: Any, tolerances: tuple[float, float], equal_nan: bool) -> str | None:
    rtol, atol = tolerances
    exact = not rtol and not atol
    if a.dtype == np.bool_ or e.dtype == np.bool_:
        a, e = a.astype(np.int64), e.astype(np.int64)
    with np.errstate(all="ignore"):
        close = (a == e) if exact else np.isclose(a, e, rtol, atol)
        if equal_nan:
            close = close | ((a != a) & (e != e))
        if close.all():
            return None
        apart = np.where(close, 0, np.abs(a - e))
        whole = bool(a.ndim) and a.dtype.kind in "iu" and e.dtype.kind in "iu"
        quotient = np.true_divide(apart, np.abs(e), dtype=np.float32 if whole else None)
        relative = np.where(close, 0, quotient).astype(quotient.dtype)
    limits = ["", ""] if exact else [f" (up to {limit} allowed)" for limit in (atol, rtol)]
    word = "equal" if exact else "close"
    if not a.ndim:
        return (
            f"Scalars are not {word}!\n\nExpected {e.item()} but got {a.item()}.\n"
            f"Absolute difference: {apart.item()}{limits[0]}\n"
            f"Relative difference: {relative.item()}{limits[1]}"
        )
    wrong = int(a.size - close.sum())
    return (
        f"Tensor-likes are not {word}!\n\n"
        f"Mismatched elements: {wrong} / {a.size} ({wrong / a.size:.1%})\n"
        f"Greatest absolute difference: {_greatest(apart)}{limits[0]}\n"
        f"Greatest relative difference: {_greatest(relative)}{limits[1]}"
    )


def _greatest(differences: np.ndarray) -> str:
    place = int(np.argmax(differences))
    index = tuple(int(i) for i in np.unravel_index(place, differences.shape))
    return f"{differences.flat[place].item()} at index {index}"


def make_tensor(
    *shape: Any,
    dtype: dtypes.dtype,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of uniform random numbers from [low, high).

    By default floats and complex parts are from [-9, 9), integers from [-9, 10), uint8 from
    [0, 10). `exclude_zero` replaces zeros by the smallest positive number (1 for integers);
    `noncontiguous` gives every second column of a wider tensor; `memory_format` changes nothing.
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    whole = not (dtype.is_floating_point or dtype.is_complex)
    unsigned = dtype is dtypes.bool or not dtype.is_signed
    first = (0 if unsigned and whole else -9) if low is None else low
    last = (2 if dtype is dtypes.bool else 10 if whole else 9) if high is None else high
    if first > last or (whole and first == last):
        raise ValueError(f"`low` must be less than `high`, but got {first} >= {last}")
    drawn = (*sizes[:-1], 2 * sizes[-1]) if noncontiguous and sizes else sizes
    result = _drawn(drawn, dtype, first, last)
    if exclude_zero:
        least = 1 if whole else float(jnp.finfo(dtype.to_real().dtype).tiny)
        result = ops.where(result == 0, ops.full_like(result, least), result)
    result = result.to(device)
    result = result[..., ::2] if noncontiguous and sizes else result
    return result.detach().requires_grad_(requires_grad)


def _drawn(sizes: Any, dtype: dtypes.dtype, low: float, high: float) -> Any:
    def uniform(kind: Any) -> Any:
        return low + (high - low) * ops.rand(*sizes, dtype=kind)

    if dtype.is_complex:
        return ops.complex(uniform(dtype.to_real()), uniform(dtype.to_real()))
    if dtype.is_floating_point:
        return uniform(dtype)
    return ops.randint(int(np.ceil(low)), int(np.ceil(high)), sizes).to(dtype)

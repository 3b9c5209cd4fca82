"""Complex numbers: their parts, sizes and angles."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.engine.graph import Handle
from jtoolbox.ops.elementwise import is_complex

__all__ = [
    *("angle", "complex", "conj", "conj_physical", "imag", "polar", "real", "resolve_conj"),
    *("resolve_neg",),
]


def _write_real(base: Any, value: Any) -> Any:
    return jax.lax.complex(value, base.imag) if is_complex(base) else value


def _write_imag(base: Any, value: Any) -> Any:
    return jax.lax.complex(base.real, value)


def _write_conj(base: Any, value: Any) -> Any:
    return jnp.conj(value) if is_complex(base) else value


@op(name="real", view=True, saves="none", write=_write_real)
def _real(input: Array) -> Array:
    return jnp.real(input)


def real(input: Any) -> Any:
    """The real part, a view: writing it writes the tensor. A real tensor is returned as it is."""
    return _real(input) if _may_be_complex(input) else input


def _may_be_complex(input: Any) -> bool:
    """Also what is no Tensor, which the operation then looks at."""
    return not isinstance(input, Handle) or input._node.aval.dtype.kind == "c"


@op(view=True, saves="none", write=_write_imag)
def imag(input: Array) -> Array:
    """The imaginary part, a view: writing it writes the tensor. RuntimeError for real ones."""
    if not is_complex(input):
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return jnp.imag(input)


@op(name="conj", view=True, saves="none", write=_write_conj)
def _conj(input: Array) -> Array:
    return jnp.conj(input) if is_complex(input) else input


def conj(input: Any) -> Any:
    """The complex conjugate; a real tensor is returned as it is. A view: writing it writes both."""
    return _conj(input) if _may_be_complex(input) else input


@op(promote=("input",), promote_float=True)
def angle(input: Array) -> Array:
    """The angle of a complex number, in radians; 0 or pi for real ones."""
    if is_complex(input):
        return jnp.angle(input)
    x = jax.lax.stop_gradient(input)
    return jnp.where(jnp.isnan(x), x, jnp.where(x < 0, jnp.asarray(math.pi, x.dtype), 0))


def resolve_conj(input: Array) -> Array:
    """The tensor itself: conjugation is never pending."""
    return input


def resolve_neg(input: Array) -> Array:
    """The tensor itself: negation is never pending."""
    return input


@op(saves="none")
def complex(real: Array, imag: Array) -> Array:
    """real + i * imag. Raises RuntimeError unless both are float32 or both are float64."""
    _check_parts(real, imag)
    return jax.lax.complex(*jnp.broadcast_arrays(real, imag))


@op(saves="both")
def polar(abs: Array, angle: Array) -> Array:
    """abs * (cos(angle) + i * sin(angle)). Raises RuntimeError as `complex` does."""
    _check_parts(abs, angle)
    return jax.lax.complex(abs * jnp.cos(angle), abs * jnp.sin(angle))


def _check_parts(a: Array, b: Array) -> None:
    """Raises RuntimeError for types of which no complex number is made."""
    for x in (a, b):
        if x.dtype == jnp.float16:
            raise RuntimeError("complex32 is not supported, as JAX has none: use .float()")
        if x.dtype not in (jnp.float32, jnp.float64):
            raise RuntimeError(
                "Expected both inputs to be Half, Float or Double tensors but got "
                f"{dtypes.from_numpy(a.dtype)} and {dtypes.from_numpy(b.dtype)}"
            )
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {dtypes.from_numpy(a.dtype)} but got scalar type "
            f"{dtypes.from_numpy(b.dtype)} for second argument"
        )


conj_physical = conj

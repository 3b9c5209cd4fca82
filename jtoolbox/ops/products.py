"""Products of vectors and matrices: matmul and its relatives, einsum, outer and cross products."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.engine.record import spread
from jtoolbox.ops.arithmetic import promoted
from jtoolbox.ops.dims import canonical_dim

__all__ = [
    *("addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "cross", "dot"),
    *("ger", "inner", "kron", "matmul", "mm", "mv", "outer", "vdot"),
]

# What PyTorch's messages call the types.
_NAMES = {
    **{"float32": "float", "float64": "double", "int64": "long int", "int32": "int"},
    **{"float16": "c10::Half", "bfloat16": "c10::BFloat16", "uint8": "unsigned char"},
    **{"complex64": "c10::complex<float>", "complex128": "c10::complex<double>"},
}


def same_dtype(a: Array, b: Array) -> None:
    """Raises RuntimeError unless both have one dtype, since products do not promote."""
    if a.dtype != b.dtype:
        x, y = (_NAMES.get(str(v.dtype), str(v.dtype)) for v in (a, b))
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {x} != {y}. Convert one of them "
            "with .to(dtype)."
        )
    if a.dtype == bool:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool': use .float()")


def _cross_shape(x: Sequence[int]) -> str:
    return "x".join(map(str, x))


def _cannot_multiply(a: Array, b: Array) -> RuntimeError:
    rows = (math.prod(a.shape[:-1]), a.shape[-1])
    return RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({_cross_shape(rows)} and "
        f"{_cross_shape(b.shape)}): the last size of the first, of shape {tuple(a.shape)}, must "
        "be the first size of the second"
    )


def _check_vectors(a: Array, b: Array) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    same_dtype(a, b)
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{a.size}] and src [{b.size}] to have the "
            f"same number of elements, but got {a.size} and {b.size} elements respectively"
        )


def _check_matrix_vector(a: Array, b: Array) -> None:
    if a.shape[-1] != b.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({a.shape[0]}), mat ({_cross_shape(a.shape)}), "
            f"vec ({b.size})"
        )


def _check_batches(a: Array, b: Array) -> None:
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: "
            f"[{math.prod(a.shape[:-2])}, {a.shape[-1]}] but got: "
            f"[{math.prod(b.shape[:-2])}, {b.shape[-2]}]. The shapes are {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise RuntimeError(
            f"The size of tensor a must match the size of tensor b at every batch dimension that "
            f"is not 1: the shapes are {tuple(a.shape)} and {tuple(b.shape)}"
        ) from None


@op
def matmul(input: Array, other: Array) -> Array:
    """The product of vectors, matrices, or batches of matrices (which broadcast).

    (n) @ (n) is a number, (n, m) @ (m) and (n) @ (n, m) vectors, (..., n, m) @ (..., m, p) is
    (..., n, p). Raises RuntimeError when shapes do not fit or dtypes differ.
    """
    a, b = input, other
    if not a.ndim or not b.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and "
            f"{b.ndim}D; to scale by a number use *"
        )
    if a.ndim == b.ndim == 1:
        _check_vectors(a, b)
    same_dtype(a, b)
    if b.ndim == 1 and a.ndim == 2:
        _check_matrix_vector(a, b)
    elif b.ndim <= 2 and a.shape[-1] != b.shape[0]:
        raise _cannot_multiply(a, b)
    elif b.ndim > 2:
        _check_batches(a.reshape(1, -1) if a.ndim == 1 else a, b)
    return jnp.matmul(a, b)


@op
def mm(input: Array, mat2: Array) -> Array:
    """The product of two matrices, (n, m) and (m, p)."""
    for name, x in (("self", input), ("mat2", mat2)):
        if x.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got shape {tuple(x.shape)}")
    same_dtype(input, mat2)
    if input.shape[1] != mat2.shape[0]:
        raise _cannot_multiply(input, mat2)
    return input @ mat2


@op
def bmm(input: Array, mat2: Array) -> Array:
    """Products of two batches of matrices, (b, n, m) and (b, m, p); nothing broadcasts."""
    _check_bmm(input, mat2)
    return input @ mat2


def _check_bmm(input: Array, mat2: Array) -> None:
    for name, x in (("batch1", input), ("batch2", mat2)):
        if x.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor, got shape {tuple(x.shape)}")
    same_dtype(input, mat2)
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: "
            f"[{input.shape[0]}, {input.shape[2]}] but got: [{mat2.shape[0]}, {mat2.shape[1]}]."
        )


@op
def mv(input: Array, vec: Array) -> Array:
    """The product of a matrix (n, m) and a vector (m)."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {vec.ndim}, {input.ndim}")
    same_dtype(input, vec)
    _check_matrix_vector(input, vec)
    return input @ vec


@op
def dot(input: Array, tensor: Array) -> Array:
    """The dot product of two vectors of one length."""
    _check_vectors(input, tensor)
    return jnp.dot(input, tensor)


@op
def vdot(input: Array, other: Array) -> Array:
    """The dot product of two vectors, the first one conjugated."""
    _check_vectors(input, other)
    return jnp.vdot(input, other)


@op
def inner(input: Array, other: Array) -> Array:
    """Dot products over the last dimension of both."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    same_dtype(input, other)
    return jnp.inner(input, other)


@op
def outer(input: Array, vec2: Array) -> Array:
    """All products of the elements of two vectors: (n), (m) -> (n, m)."""
    for name, x in (("self", input), ("vec2", vec2)):
        if x.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.ndim}-D")
    common = dtypes.result_type(input, vec2)
    return input.astype(common)[:, None] * vec2.astype(common)[None, :]


@op
def kron(input: Array, other: Array) -> Array:
    """The Kronecker product: every element of `input` times the whole of `other`."""
    common = dtypes.result_type(input, other)
    rank = max(input.ndim, other.ndim)
    a, b = (x.astype(common).reshape((1,) * (rank - x.ndim) + x.shape) for x in (input, other))
    # Dimensions (a0, b0, a1, b1, ...), in which every element of one meets every one of the other.
    a, b = jnp.expand_dims(a, range(1, 2 * rank, 2)), jnp.expand_dims(b, range(0, 2 * rank, 2))
    shape = np.broadcast_shapes(a.shape, b.shape)
    product = spread(a, shape) * spread(b, shape)
    return product.reshape([m * n for m, n in zip(shape[::2], shape[1::2], strict=True)])


# A product added to a tensor


def _plus(input: Array, product: Array, beta: Array | None, alpha: Array | None) -> Array:
    """beta * input + alpha * product; with beta 0 even a NaN in input is left out."""
    shape = product.shape
    try:
        fits = np.broadcast_shapes(input.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"The expanded size of the tensor must match the existing size: the product has shape "
            f"{tuple(shape)}, to which input of shape {tuple(input.shape)} does not broadcast"
        )
    start = spread(input, shape)
    if alpha is not None:
        product = jnp.asarray(alpha).astype(product.dtype) * product
    if beta is not None:
        factor = jnp.asarray(beta).astype(start.dtype)
        start = jnp.where(factor == 0, jnp.zeros((), start.dtype), factor * start)
    return start + product


@op
def addmm(
    input: Array,
    mat1: Array,
    mat2: Array,
    *,
    beta: Array | None = None,
    alpha: Array | None = None,
) -> Array:
    """beta * input + alpha * (mat1 @ mat2), with factors 1 if not given."""
    return _plus(input, mm(mat1, mat2), beta, alpha)


@op
def addmv(
    input: Array, mat: Array, vec: Array, *, beta: Array | None = None, alpha: Array | None = None
) -> Array:
    """beta * input + alpha * (mat @ vec), with factors 1 if not given."""
    return _plus(input, mv(mat, vec), beta, alpha)


@op
def baddbmm(
    input: Array,
    batch1: Array,
    batch2: Array,
    *,
    beta: Array | None = None,
    alpha: Array | None = None,
) -> Array:
    """beta * input + alpha * (batch1 @ batch2), with factors 1 if not given."""
    return _plus(input, bmm(batch1, batch2), beta, alpha)


@op
def addbmm(
    input: Array,
    batch1: Array,
    batch2: Array,
    *,
    beta: Array | None = None,
    alpha: Array | None = None,
) -> Array:
    """beta * input + alpha * the sum over the batch of batch1 @ batch2."""
    _check_bmm(batch1, batch2)
    return _plus(input, jnp.einsum("bnm,bmp->np", batch1, batch2), beta, alpha)


@op
def addr(
    input: Array, vec1: Array, vec2: Array, *, beta: Array | None = None, alpha: Array | None = None
) -> Array:
    """beta * input + alpha * outer(vec1, vec2), with factors 1 if not given."""
    return _plus(input, outer(vec1, vec2), beta, alpha)


@op
def _multi_dot(tensors: Sequence[Array]) -> Array:
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for a, b in itertools.pairwise(tensors):
        same_dtype(a, b)
        if a.shape[-1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors of shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be "
                "multiplied"
            )
    return jnp.linalg.multi_dot(tensors)


@numpy_names
def multi_dot(tensors: Sequence[Any]) -> Any:
    """The product of matrices in the cheapest order; the first and last may be vectors."""
    return _multi_dot(list(tensors))


def chain_matmul(*matrices: Any) -> Any:
    """The product of matrices in the cheapest order, as `linalg.multi_dot`."""
    return matrices[0] if len(matrices) == 1 else _multi_dot(list(matrices))


@op(name="cross", refuses=("bool",))
def linalg_cross(input: Array, other: Array, *, dim: int = -1) -> Array:
    """The cross product of vectors of length 3 along `dim`."""
    if input.ndim != other.ndim:
        raise RuntimeError(
            "linalg.cross: inputs must have the same number of dimensions, got shapes "
            f"{tuple(input.shape)} and {tuple(other.shape)}"
        )
    x, y = promoted(input, other)
    axis = canonical_dim(dim, x.ndim)
    if x.shape[axis] != 3 or y.shape[axis] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {x.shape[axis]} and "
            f"{y.shape[axis]}"
        )
    x, y = jnp.broadcast_arrays(x, y)
    return jnp.cross(x, y, axis=axis)


@numpy_names
def cross(input: Array, other: Array, dim: int | None = None) -> Array:
    """The cross product along `dim`, or along the first dimension of size 3 if it is not given."""
    if dim is None:
        dim = next((i for i, n in enumerate(input.shape) if n == 3), -1)
    return linalg_cross(input, other, dim=dim)


ger = outer

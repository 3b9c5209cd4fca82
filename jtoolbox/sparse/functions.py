"""`torch.sparse`'s functions, and the functions of the torch namespace that take sparse tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jtoolbox import dtypes, ops
from jtoolbox.engine import numpy_names, overriding
from jtoolbox.sparse.tensor import SparseTensor, sparse_coo_tensor
from jtoolbox.tensor import zeros_of

__all__ = ["DISPATCHED", "addmm", "log_softmax", "mm", "softmax", "sum"]


def _dispatched(name: str) -> Callable[..., Any]:
    """The function of the torch namespace, with a sparse first or second operand too."""
    dense = getattr(ops, name)

    @functools.wraps(dense)
    def function(*args: Any, **kwargs: Any) -> Any:
        for place, x in enumerate(args[:2]):
            if isinstance(x, SparseTensor):
                return _sparse_call(name, place, args, kwargs)
        if overriding.classes and not kwargs and (kinds := overriding.found(args)):
            return overriding.dispatch(function, kinds, args)
        return dense(*args, **kwargs)

    return function


def _sparse_call(name: str, place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if place == 0:
        return getattr(args[0], name)(*args[1:], **kwargs)
    if name in ("mm", "matmul"):
        return args[1].__rmatmul__(args[0])
    if name in ("add", "sub"):
        return getattr(ops, name)(args[0], args[1].to_dense(), **kwargs)
    if name == "mul":
        return args[1].mul(args[0])
    raise TypeError(f"{name}() takes no sparse tensor as its second operand: use to_dense()")


DISPATCHED = ("abs", "add", "clone", "div", "matmul", "mm", "mul", "mv", "neg", "pow", "sqrt")
DISPATCHED += ("sub", "t", "transpose")

(abs, add, clone, div, matmul, _mm, mul, mv, neg, pow, sqrt, sub, t, transpose) = (
    _dispatched(name) for name in DISPATCHED
)


@numpy_names
def mm(mat1: Any, mat2: Any, reduce: str = "sum") -> Any:
    """`torch.sparse.mm`: the product of a sparse matrix with a dense one, or with a sparse one.

    Gradients flow to the values of the sparse matrix and to the dense one.
    """
    if reduce != "sum":
        raise NotImplementedError(f"sparse.mm: reduce='{reduce}' is not supported, only 'sum'")
    return _mm(mat1, mat2)


def spmm(input: Any, mat2: Any) -> Any:
    """The product of a sparse matrix with a dense one."""
    return _mm(input, mat2)


dsmm = hspmm = smm = spmm


@numpy_names
def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta * mat + alpha * (mat1 @ mat2), where mat1 may be sparse."""
    if not isinstance(mat1, SparseTensor) and not isinstance(mat2, SparseTensor):
        return ops.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)
    return ops.add(ops.mul(mat, beta), ops.mul(_mm(mat1, mat2), alpha))


saddmm = addmm


def sum(input: SparseTensor, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of all elements of a sparse tensor, or (sparse) along sparse dimensions."""
    return input.sum(dim, dtype)


def softmax(input: SparseTensor, dim: int, *, dtype: Any = None) -> SparseTensor:
    """Softmax along a dimension among the elements that are kept: those left out are -inf."""
    return input.softmax(dim, dtype)


def log_softmax(input: SparseTensor, dim: int, *, dtype: Any = None) -> SparseTensor:
    """The logarithm of `softmax`."""
    return input.softmax(dim, dtype, log=True)


def _typed(name: str, dtype: dtypes.dtype) -> Callable[..., SparseTensor]:
    def make(*args: Any) -> SparseTensor:
        if args and isinstance(args[0], int):
            return sparse_coo_tensor(args, dtype=dtype)
        if not args:
            return sparse_coo_tensor(zeros_of((1, 0), dtypes.int64), zeros_of((0,), dtype), (0,))
        return sparse_coo_tensor(*args, dtype=dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = (
        f"`sparse_coo_tensor(indices, values, size)` of {dtype.name}, under PyTorch's old name; "
        f"`{name}(2, 3)` has no entries."
    )
    return make


FloatTensor = _typed("FloatTensor", dtypes.float32)
DoubleTensor = _typed("DoubleTensor", dtypes.float64)
HalfTensor = _typed("HalfTensor", dtypes.float16)
LongTensor = _typed("LongTensor", dtypes.int64)
IntTensor = _typed("IntTensor", dtypes.int32)
ShortTensor = _typed("ShortTensor", dtypes.int16)
CharTensor = _typed("CharTensor", dtypes.int8)
ByteTensor = _typed("ByteTensor", dtypes.uint8)

"""Sparse tensors: places and values, as graph networks use them.

A `SparseTensor` is no Tensor of the engine but a pair of two: `indices`, (dimensions, entries), and
`values`, (entries, ...), through which gradients flow. Products with dense matrices are segment
sums. It is a pytree, so it can be an argument of a `jit`ted step; made of arrays instead of
Tensors, it works under `jax.jit` and `jax.grad`.

NOTE: where places must be known. `coalesce`, sums, differences and products of two sparse tensors,
`softmax` and `to_sparse` look at places on the host, because the size of the result depends on
them. Coalesce before a `jit`ted step; products with dense matrices work in it in any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jtoolbox import dtypes, ops
from jtoolbox.layouts import layout as Layout
from jtoolbox.layouts import sparse_coo, sparse_csr
from jtoolbox.ops import conversion
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.host import host_value
from jtoolbox.sparse import kernels
from jtoolbox.tensor import Size, Tensor, tensor

__all__ = ["SparseTensor", "sparse_coo_tensor", "sparse_csr_tensor", "sparse_mask", "to_sparse"]
__all__ += ["to_sparse_csr"]


class SparseTensor:
    """A tensor of which only some elements are kept; the others are 0.

    Made by `sparse_coo_tensor` and `Tensor.to_sparse`. It has the attributes and methods of
    PyTorch's sparse tensors that graph networks use; others raise AttributeError, and `to_dense()`
    has them all. `isinstance(x, Tensor)` is False.
    """

    is_sparse = True
    _is_leaf = False

    def __init__(
        self,
        indices: Any,
        values: Any,
        size: tuple[int, ...],
        coalesced: bool = False,
        layout: Layout = sparse_coo,
    ):
        self._places = indices
        self._entries = values
        self._size = tuple(size)
        self._coalesced = coalesced
        self.layout = layout

    # --- what it is

    @property
    def shape(self) -> Size:
        """The sizes of its dimensions."""
        return Size(self._size)

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of its values."""
        return self._entries.dtype

    @property
    def device(self) -> Any:
        """Where its values lie."""
        return self._entries.device

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._size)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to its values."""
        return self._entries.requires_grad

    @property
    def is_cuda(self) -> bool:
        """Whether it lies on a GPU."""
        return self._entries.is_cuda

    @property
    def grad(self) -> SparseTensor | None:
        """The gradient of a leaf, with the same places; None before `backward`."""
        g = self._entries.grad
        return None if g is None else self._with(g)

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        """Switches the recording of operations on its values, in place, and returns it."""
        self._entries.requires_grad_(requires_grad)
        return self

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self._size[canonical_dim(dim, self.ndim)]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements, zeros included."""
        return math.prod(self._size)

    def sparse_dim(self) -> int:
        """The number of dimensions that places count."""
        return self._places.shape[0]

    def dense_dim(self) -> int:
        """The number of dimensions that each entry has."""
        return self._entries.ndim - 1

    def is_coalesced(self) -> bool:
        """Whether places are sorted and each comes once."""
        return self._coalesced

    def _nnz(self) -> int:
        return self._entries.shape[0]

    def _indices(self) -> Any:
        return self._places

    def _values(self) -> Any:
        return self._entries

    def indices(self) -> Any:
        """The places, (dimensions, entries). RuntimeError before `coalesce`."""
        if not self._coalesced:
            raise RuntimeError(
                "Cannot get indices on an uncoalesced tensor, please call .coalesce() first"
            )
        return self._places

    def values(self) -> Any:
        """The values, (entries,). RuntimeError before `coalesce`."""
        if not self._coalesced:
            raise RuntimeError(
                "Cannot get values on an uncoalesced tensor, please call .coalesce() first"
            )
        return self._entries

    def crow_indices(self) -> Tensor:
        """Of a sparse_csr matrix: where each row begins among the entries, and the end."""
        self._expect_csr("crow_indices")
        counts = np.bincount(host_value(self._places, "crow_indices")[0], minlength=self._size[0])
        return tensor(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    def col_indices(self) -> Any:
        """Of a sparse_csr matrix: the column of each entry."""
        self._expect_csr("col_indices")
        return self._places[1]

    def _expect_csr(self, name: str) -> None:
        if self.layout is not sparse_csr:
            raise RuntimeError(
                f"{name} expected sparse row compressed tensor layout but got Sparse. Convert it "
                "with to_sparse_csr()."
            )

    # --- the same with other values or places

    def _with(self, values: Any) -> SparseTensor:
        return SparseTensor(self._places, values, self._size, self._coalesced, self.layout)

    def coalesce(self) -> SparseTensor:
        """The same tensor with places sorted row by row, values at the same place added up."""
        if self._coalesced:
            return self
        places = host_value(self._places, "coalesce")
        kept = self._size[: len(places)]
        flat = np.ravel_multi_index(tuple(places), kept) if kept else np.zeros(0, np.int64)
        unique, ids = np.unique(flat, return_inverse=True)
        values = kernels.summed(self._entries, ids.reshape(-1), len(unique))
        found = np.stack(np.unravel_index(unique, kept)).astype(np.int64)
        return SparseTensor(_like(self._places, found), values, self._size, True)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """All elements as a dense tensor."""
        out = kernels.scattered(self._entries, self._places, self._size)
        return out if dtype is None else conversion.cast(out, dtype)

    def to_sparse(self, *_: Any, **__: Any) -> SparseTensor:
        """This tensor in the sparse_coo layout."""
        return SparseTensor(self._places, self._entries, self._size, self._coalesced)

    def to_sparse_csr(self, dense_dim: int | None = None) -> SparseTensor:
        """This matrix in the sparse_csr layout."""
        _matrix("to_sparse_csr", self)
        x = self.coalesce()
        return SparseTensor(x._places, x._entries, x._size, True, sparse_csr)

    def t(self) -> SparseTensor:
        """The matrix transposed."""
        if self.ndim > 2:
            raise RuntimeError(
                f"t() expects a tensor with <= 2 dimensions, but self is {self.ndim}D"
            )
        return self.transpose(0, 1)

    T = property(t)

    def transpose(self, dim0: int, dim1: int) -> SparseTensor:
        """Two sparse dimensions exchanged."""
        a, b = canonical_dim(dim0, self.ndim), canonical_dim(dim1, self.ndim)
        if max(a, b) >= self.sparse_dim():
            raise RuntimeError("transpose: only sparse dimensions can be exchanged")
        order = list(range(self.sparse_dim()))
        order[a], order[b] = order[b], order[a]
        size = [self._size[d] for d in (*order, *range(len(order), self.ndim))]
        return SparseTensor(self._places[np.array(order)], self._entries, tuple(size), a == b)

    def detach(self) -> SparseTensor:
        """The same without history."""
        return self._with(self._entries.detach())

    def clone(self) -> SparseTensor:
        """A copy, through which gradients flow."""
        return self._with(conversion.clone(self._entries))

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """Another dtype, device, or both, as `Tensor.to`."""
        values = conversion.to(self._entries, *args, **kwargs)
        places = self._places
        if isinstance(places, Tensor) and isinstance(values, Tensor):
            places = conversion.to(places, values.device)
        return SparseTensor(places, values, self._size, self._coalesced, self.layout)

    def cpu(self) -> SparseTensor:
        """The tensor in the host's memory."""
        return self.to("cpu")

    def cuda(self, device: Any = None, non_blocking: bool = False) -> SparseTensor:
        """The tensor on a GPU."""
        return self.to("cuda" if device is None else device)

    def float(self) -> SparseTensor:
        """The values as float32."""
        return self.to(dtypes.float32)

    def double(self) -> SparseTensor:
        """The values as float64."""
        return self.to(dtypes.float64)

    # --- arithmetic

    def _map(self, function: Callable[[Any], Any]) -> SparseTensor:
        """A function that keeps 0 at 0, of every element."""
        return self.coalesce()._with(function(self.coalesce()._entries))

    def abs(self) -> SparseTensor:
        """The absolute values."""
        return self._map(ops.abs)

    def neg(self) -> SparseTensor:
        """-x."""
        return self._with(ops.neg(self._entries))

    def sqrt(self) -> SparseTensor:
        """The square roots."""
        return self._map(ops.sqrt)

    def pow(self, exponent: Any) -> SparseTensor:
        """The powers with a positive exponent."""
        if not isinstance(exponent, (int, float)) or exponent <= 0:
            raise RuntimeError("pow of a sparse tensor takes a positive number: 0 would not stay 0")
        return self._map(lambda v: ops.pow(v, exponent))

    def mul(self, other: Any) -> SparseTensor:
        """The product with a number, or element by element with a dense or sparse tensor."""
        if isinstance(other, SparseTensor):
            return _intersection(self, other)
        if np.ndim(other) == 0:
            return self._with(ops.mul(self._entries, other))
        if tuple(other.shape) != self._size:
            other = ops.broadcast_to(other, self._size)
        return self._with(ops.mul(self._entries, kernels.collected(other, self._places)))

    def div(self, other: Any) -> SparseTensor:
        """The quotient by a number."""
        if isinstance(other, SparseTensor) or np.ndim(other):
            raise RuntimeError(
                "Sparse division requires a number as divisor: 0 / 0 would not stay 0. Use "
                "to_dense()."
            )
        return self._with(ops.div(self._entries, other))

    def add(self, other: Any, *, alpha: Any = 1) -> Any:
        """The sum: sparse with a sparse tensor, dense with a dense one."""
        if not isinstance(other, SparseTensor):
            if np.ndim(other) == 0:
                raise RuntimeError("add(sparse, number) would fill every zero: use to_dense()")
            return ops.add(self.to_dense(), other, alpha=alpha)
        if other._size != self._size:
            raise RuntimeError(
                f"add: expected sizes of 'self' and 'other' to match, but {list(self._size)} != "
                f"{list(other._size)}"
            )
        values = other._entries if alpha == 1 else ops.mul(other._entries, alpha)
        places = ops.cat([self._places, other._places], 1)
        return SparseTensor(places, ops.cat([self._entries, values]), self._size).coalesce()

    def sub(self, other: Any, *, alpha: Any = 1) -> Any:
        """The difference: sparse with a sparse tensor, dense with a dense one."""
        return self.add(other, alpha=-alpha)

    def matmul(self, other: Any) -> Any:
        """The matrix product with a dense matrix or vector (dense), or a sparse matrix (sparse)."""
        _matrix("mm", self)
        if self._size[1] != other.shape[0] or other.ndim > 2:
            raise RuntimeError(
                "mat1 and mat2 shapes cannot be multiplied "
                f"({self._size[0]}x{self._size[1]} and {'x'.join(map(str, other.shape))})"
            )
        if isinstance(other, SparseTensor):
            return _sparse_product(self, other)
        if dtypes.as_numpy(self.dtype) != dtypes.as_numpy(other.dtype):
            raise RuntimeError(
                f"expected mat1 and mat2 to have the same dtype, but got: {self.dtype} != "
                f"{other.dtype}"
            )
        return kernels.product(self._entries, self._places, other, self._size[0])

    mm = mv = spmm = matmul

    def sum(self, dim: Any = None, dtype: Any = None) -> Any:
        """The sum of all elements, a dense number; along dimensions, a sparse tensor."""
        x = self if dtype is None else self.to(dtype)
        if dim is None:
            return ops.sum(x._entries)
        gone = {canonical_dim(d, self.ndim) for d in ((dim,) if isinstance(dim, int) else dim)}
        rest = [d for d in range(self.ndim) if d not in gone]
        if any(d >= self.sparse_dim() for d in gone):
            raise RuntimeError("sum: only sparse dimensions can be summed")
        if not [d for d in rest if d < self.sparse_dim()]:
            return ops.sum(x._entries, 0)
        places = self._places[np.array([d for d in rest if d < self.sparse_dim()])]
        return SparseTensor(places, x._entries, tuple(self._size[d] for d in rest)).coalesce()

    def softmax(self, dim: int, dtype: Any = None, log: bool = False) -> SparseTensor:
        """Softmax along a dimension among the elements that are kept: zeros left out are -inf."""
        x = (self if dtype is None else self.to(dtype)).coalesce()
        dim = canonical_dim(dim, self.ndim)
        places = host_value(x._places, "softmax")
        others = [d for d in range(len(places)) if d != dim]
        sizes = tuple(self._size[d] for d in others)
        flat = np.ravel_multi_index(tuple(places[others]), sizes) if others else 0 * places[0]
        unique, ids = np.unique(flat, return_inverse=True)
        return x._with(kernels.normalized(x._entries, ids.reshape(-1), len(unique), log))

    def __add__(self, other: Any) -> Any:
        return self.add(other)

    def __sub__(self, other: Any) -> Any:
        return self.sub(other)

    def __rsub__(self, other: Any) -> Any:
        return self.neg().add(other)

    def __mul__(self, other: Any) -> SparseTensor:
        return self.mul(other)

    def __matmul__(self, other: Any) -> Any:
        return self.matmul(other)

    def __rmatmul__(self, other: Any) -> Any:
        """The product of a dense matrix or vector with this one."""
        product = self.t().matmul(ops.transpose(other, 0, 1) if other.ndim == 2 else other)
        return ops.transpose(product, 0, 1) if other.ndim == 2 else product

    def __truediv__(self, other: Any) -> SparseTensor:
        return self.div(other)

    __radd__, __rmul__, __neg__ = __add__, __mul__, neg

    def __repr__(self) -> str:
        return (
            f"tensor(indices={self._places!r},\n       values={self._entries!r},\n       "
            f"size={self._size}, nnz={self._nnz()}, layout={self.layout!r})"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"a sparse tensor has no '{name}' here: use to_dense().{name}, or its values() and "
            "indices()"
        )


jax.tree_util.register_pytree_node(
    SparseTensor,
    lambda x: ((x._places, x._entries), (x._size, x._coalesced, x.layout)),
    lambda about, parts: SparseTensor(*parts, *about),
)


def _like(x: Any, value: np.ndarray) -> Any:
    """Places found on the host as what the places were: a Tensor, or an array."""
    return tensor(value) if isinstance(x, Tensor) else value


def _matrix(name: str, x: SparseTensor) -> None:
    if x.sparse_dim() != 2 or x.dense_dim():
        raise RuntimeError(
            f"{name}: expected a sparse matrix, got {x.sparse_dim()} sparse and {x.dense_dim()} "
            "dense dimensions"
        )


def _flat(x: SparseTensor) -> np.ndarray:
    places = tuple(host_value(x._places, "mul"))
    return np.asarray(np.ravel_multi_index(places, x._size))


def _intersection(x: SparseTensor, y: SparseTensor) -> SparseTensor:
    """The product of two sparse tensors, kept where both are."""
    if x._size != y._size:
        raise RuntimeError(
            f"mul operands have incompatible sizes {list(x._size)} and {list(y._size)}"
        )
    x, y = x.coalesce(), y.coalesce()
    _, mine, theirs = np.intersect1d(_flat(x), _flat(y), assume_unique=True, return_indices=True)
    values = ops.mul(x._entries[mine], y._entries[theirs])
    return SparseTensor(x._places[:, mine], values, x._size, True)


def _sparse_product(x: SparseTensor, y: SparseTensor) -> SparseTensor:
    """The product of two sparse matrices: every entry (i, k) of x meets all (k, j) of y."""
    _matrix("mm", y)
    y = y.coalesce()
    rows, inner = host_value(x._places, "mm")
    starts, columns = host_value(y._places, "mm")
    first = np.searchsorted(starts, inner)
    count = np.searchsorted(starts, inner, side="right") - first
    mine = np.repeat(np.arange(len(inner)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    theirs = np.repeat(first, count) + within
    values = ops.mul(x._entries[mine], y._entries[theirs])
    places = _like(x._places, np.stack([rows[mine], columns[theirs]]).astype(np.int64))
    return SparseTensor(places, values, (x._size[0], y._size[1])).coalesce()


# --- making them ---------------------------------------------------------------------------------


def _part(x: Any, dtype: Any = None) -> Any:
    """A part of a sparse tensor: arrays of JAX stay arrays, everything else becomes a Tensor."""
    if isinstance(x, (jax.Array, Tensor)):
        return x if dtype is None else conversion.cast(x, dtype)
    return tensor(x, dtype=dtype)


def sparse_coo_tensor(
    indices: Any,
    values: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> SparseTensor:
    """A sparse tensor with `values`, (entries, ...), at `indices`, (dimensions, entries).

    Values at one place add up. Without `size`, the places decide. Gradients flow to `values` if
    they require grad. RuntimeError for places outside the size, or shapes that do not fit;
    `sparse_coo_tensor(size)` alone has no entries.
    """
    if values is None:
        size = tuple(indices if size is None else size)
        indices = np.zeros((len(size), 0), np.int64)
        values = np.zeros(0, dtypes.as_numpy(dtype) or dtypes.default_float())
    places, entries = _part(indices), _part(values, dtype)
    if dtypes.kind(np.dtype(dtypes.as_numpy(places.dtype))) != 1 and places.shape[-1:] != (0,):
        raise RuntimeError(f"indices must be an int64 tensor, got {places.dtype}")
    if places.ndim != 2:
        raise RuntimeError("indices must be sparse_dim x nnz, but got: " + str(list(places.shape)))
    if not entries.ndim or entries.shape[0] != places.shape[1]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {places.shape[1]}, "
            f"nnz from values: {list(entries.shape)}"
        )
    size = _checked_size(places, entries, size)
    if device is not None:
        places, entries = conversion.to(places, device), conversion.to(entries, device)
    if requires_grad:
        entries = entries.detach().clone().requires_grad_()
    return SparseTensor(places, entries, size, bool(is_coalesced))


def _checked_size(places: Any, entries: Any, size: Any) -> tuple[int, ...]:
    """The size, from the places if it was not given; RuntimeError where places lie outside."""
    known = None
    if not isinstance(places, Tracer):
        known = host_value(places, "sparse_coo_tensor")
    if size is None:
        if known is None:
            raise RuntimeError("sparse_coo_tensor: give the size inside a traced function")
        largest = known.max(1, initial=-1) + 1
        return (*(int(n) for n in largest), *entries.shape[1:])
    size = tuple(int(n) for n in size)
    if len(size) != places.shape[0] + entries.ndim - 1:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({places.shape[0]}) + dense_dim "
            f"({entries.ndim - 1}), but got {len(size)}"
        )
    if tuple(entries.shape[1:]) != size[places.shape[0] :]:
        raise RuntimeError(
            f"values has incorrect size, expected {[places.shape[1], *size[places.shape[0] :]]}, "
            f"got {list(entries.shape)}"
        )
    for dim, row in enumerate(known if known is not None and known.size else ()):
        if row.min() < 0:
            raise RuntimeError(f"found negative index {row.min()} for dim {dim}")
        if row.max() >= size[dim]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {size[dim]} but found "
                f"index {row.max()}"
            )
    return size


def sparse_csr_tensor(
    crow_indices: Any,
    col_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> SparseTensor:
    """A sparse matrix by rows: entries crow_indices[i] to crow_indices[i + 1] are those of row i.

    Kept as places and values, as `sparse_coo_tensor` is; `crow_indices()` counts them anew.
    """
    starts = np.asarray(_part(crow_indices))
    columns = np.asarray(_part(col_indices))
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    if rows.shape != columns.shape:
        raise RuntimeError(
            f"crow_indices ends at {starts[-1]}, but there are {columns.shape[0]} col_indices"
        )
    if size is None:
        size = (len(starts) - 1, int(columns.max(initial=-1)) + 1)
    places = np.stack([rows, columns]).astype(np.int64)
    x = sparse_coo_tensor(
        places, values, size, dtype=dtype, device=device, requires_grad=requires_grad
    )
    return SparseTensor(x._places, x._entries, x._size, True, sparse_csr)


def to_sparse(
    input: Any, sparse_dim: int | None = None, *, layout: Any = None, blocksize: Any = None,
    dense_dim: int | None = None,
) -> SparseTensor:  # fmt: skip
    """The elements that are not 0, as a sparse tensor. Reads the values to find them."""
    if layout not in (None, sparse_coo, sparse_csr) or blocksize is not None:
        raise NotImplementedError(f"to_sparse: layout {layout} is not supported, use sparse_coo")
    count = input.ndim if sparse_dim is None else sparse_dim
    kept = host_value(input, "to_sparse") != 0
    kept = kept.any(tuple(range(count, input.ndim))) if count < input.ndim else kept
    places = np.stack(np.nonzero(kept)).astype(np.int64)
    values = kernels.collected(input, places)
    found = tensor(places) if isinstance(input, Tensor) else places
    x = SparseTensor(found, values, tuple(input.shape), True)
    return x.to_sparse_csr() if layout is sparse_csr else x


def to_sparse_csr(input: Any, dense_dim: int | None = None) -> SparseTensor:
    """The elements of a matrix that are not 0, by rows."""
    return to_sparse(input).to_sparse_csr()


def sparse_mask(input: Any, mask: SparseTensor) -> SparseTensor:
    """The elements of a dense tensor at the places of a sparse one."""
    mask = mask.coalesce()
    return mask._with(kernels.collected(input, mask._places))

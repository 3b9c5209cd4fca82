"""`torch.nested`: batches of tensors that differ in one dimension, without padding.

The elements of all of them lie in one tensor of values, and `offsets` say where each begins. Layers
that treat every place alike (linear, layer_norm, activations) run on the values as they are;
attention runs padded and masked. What is not supported raises NotImplementedError and says what to
do instead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jtoolbox import ops
from jtoolbox.engine import overriding
from jtoolbox.layouts import jagged, strided
from jtoolbox.nn.functional.attention import scaled_dot_product_attention
from jtoolbox.tensor import Size, Tensor, from_host, tensor

__all__ = [
    *("NestedTensor", "as_nested_tensor", "nested_tensor", "nested_tensor_from_jagged"),
    "to_padded_tensor",
]

NOT_HERE = (
    "{name} of nested tensors is not supported. Apply it to nt.values(), whose rows are all places "
    "of all tensors, to each of nt.unbind(), or to nt.to_padded_tensor(0.0)."
)
ONE_RAGGED = (
    "Cannot represent given tensor list as a nested tensor{layout}: it may differ in the first "
    "dimension only, and the shapes are {shapes}."
)
TWO_KINDS = "cannot call binary pointwise function {name} with inputs of shapes {a} and {b}"
RAGGED_DIM = (
    "{name}: dimension {dim} is the batch or differs between the tensors (the shape is {shape})"
)
IRREGULAR = "Given dimension {dim} is irregular and does not have a size."
NO_SIZES = (
    "Internal error: NestedTensorImpl doesn't support sizes. Use nt.size(dim) for regular "
    "dimensions, or layout=torch.jagged."
)


class RaggedSize(int):
    """The size of the dimension that differs: prints as j1, and is -1 to `view` and `reshape`."""

    number: int

    def __new__(cls, number: int) -> RaggedSize:
        self = int.__new__(cls, -1)
        self.number = number
        return self

    def __repr__(self) -> str:
        return f"j{self.number}"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RaggedSize) and other.number == self.number

    def __hash__(self) -> int:
        return hash(("ragged", self.number))


class Ragged:
    """How long each tensor of a batch is. Nested tensors of one kind share the object."""

    _numbers = itertools.count(1)

    def __init__(self, lengths: Sequence[int]):
        self.lengths = [int(n) for n in lengths]
        self.offsets = np.cumsum([0, *self.lengths])
        self.total = int(self.offsets[-1])
        self.longest = max(self.lengths, default=0)
        self.size = RaggedSize(next(Ragged._numbers))

    def places(self, length: int) -> np.ndarray:
        """(batch, length): the row of each place in the values, `total` where there is none."""
        steps = np.arange(length)
        rows = self.offsets[:-1, None] + steps
        return np.where(steps < np.array(self.lengths)[:, None], rows, self.total)

    def owners(self) -> np.ndarray:
        """(total,): the tensor that each row of the values belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def inside(self, length: int) -> np.ndarray:
        """(total,): the row of each place in a padded batch of this length, laid out flat."""
        steps = np.arange(self.total) - np.repeat(self.offsets[:-1], self.lengths)
        return self.owners() * length + steps


class NestedTensor(Tensor):
    """A batch of tensors that differ in dimension `ragged_dim`, counted with the batch as 0.

    `values` has the dimensions of one of them, with all the places of all of them in the one that
    differs. Made by `nested_tensor`, `as_nested_tensor` and `nested_tensor_from_jagged`.
    """

    _values: Tensor
    _ragged: Ragged
    _ragged_dim: int
    _kind: Any
    _node = property(lambda self: self._values._node)  # type: ignore[assignment]

    def __new__(cls, values: Tensor, ragged: Ragged, dim: int = 1, kind: Any = jagged) -> Any:
        overriding.classes.add(cls)
        self: Any = object.__new__(cls)
        self._view = self._family = self._grad = None
        self._values, self._ragged, self._ragged_dim, self._kind = values, ragged, dim, kind
        return self

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        name = func.__name__
        rule = _RULES.get(name) or (_pointwise if name in _POINTWISE else None)
        if rule is None:
            raise NotImplementedError(NOT_HERE.format(name=name))
        return rule(func, *args)

    def like(self, values: Tensor, dim: int | None = None) -> NestedTensor:
        """Another nested tensor of the same lengths."""
        where = self._ragged_dim if dim is None else dim
        return NestedTensor(values, self._ragged, where, self._kind)

    # --- what it is

    is_nested = True

    @property
    def layout(self) -> Any:
        """`torch.jagged` or `torch.strided`."""
        return self._kind

    def _sizes(self) -> Size:
        sizes: list[int] = [len(self._ragged.lengths), *self._values.shape]
        sizes[self._ragged_dim] = self._ragged.size
        return tuple.__new__(Size, sizes)

    @property
    def shape(self) -> Size:
        """The sizes, with j1 or the like for what differs. RuntimeError with layout strided."""
        if self._kind is strided:
            raise RuntimeError(NO_SIZES)
        return self._sizes()

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        if dim is None:
            return self.shape
        found = self._sizes()[dim]
        if self._kind is strided and isinstance(found, RaggedSize):
            raise RuntimeError(IRREGULAR.format(dim=dim))
        return found

    @property
    def ndim(self) -> int:
        """The number of dimensions, the batch included."""
        return self._values.ndim + 1

    def dim(self) -> int:
        """The number of dimensions, the batch included."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements of all tensors."""
        return self._values.numel()

    def values(self) -> Tensor:
        """All tensors one after another, along the dimension that differs."""
        return self._values.reshape(-1) if self._kind is strided else self._values

    def offsets(self) -> Tensor:
        """Where each tensor begins in the values, and where the last one ends: (batch + 1,)."""
        return tensor(self._ragged.offsets)

    def lengths(self) -> None:
        """None: there are no gaps between the tensors."""

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """The tensors, as parts of the values."""
        if dim != 0:
            raise RuntimeError("unbind(): only supported for dim=0")
        return ops.split(self._values, self._ragged.lengths, self._ragged_dim - 1)

    def to_padded_tensor(self, padding: float, output_size: Sequence[int] | None = None) -> Tensor:
        """One dense tensor, with `padding` where a tensor has ended."""
        return to_padded_tensor(self, padding, output_size)

    # --- what Tensor does by way of its one array

    @property
    def grad(self) -> Any:
        """The gradient, nested likewise."""
        found = self._values.grad
        return None if found is None else self.like(found)

    @grad.setter
    def grad(self, value: Any) -> None:
        self._values.grad = value._values if isinstance(value, NestedTensor) else value

    @grad.deleter
    def grad(self) -> None:
        self._values.grad = None

    def detach(self) -> NestedTensor:
        """The same tensors without their history."""
        return self.like(self._values.detach())

    def __len__(self) -> int:
        return len(self._ragged.lengths)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.unbind())

    def __getitem__(self, index: Any) -> Tensor:
        if not isinstance(index, int):
            raise NotImplementedError(NOT_HERE.format(name="indexing, except by one number,"))
        return self.unbind()[index]

    def tolist(self) -> Any:
        """Not supported: RuntimeError."""
        raise RuntimeError(".tolist() is not supported for nested tensors: use unbind()")

    def numpy(self, *, force: bool = False) -> Any:
        """Not supported: RuntimeError."""
        raise RuntimeError(".numpy() is not supported for nested tensors: use unbind()")

    def __repr__(self) -> str:
        if self._kind is strided:
            parts = [repr(t.detach()).replace("\n", "\n  ") for t in self.unbind()]
            return "nested_tensor([\n  " + ",\n  ".join(parts) + "\n])"
        history = f", grad_fn={self.grad_fn}" if self.grad_fn is not None else ""
        if self.requires_grad and not history:
            history = ", requires_grad=True"
        sizes = ", ".join(map(repr, self._sizes()))
        return (
            f"NestedTensor(size=({sizes}), offsets={self.offsets()}{history}, "
            f"contiguous={self._ragged_dim == 1})"
        )


# The class joins those that operations look for when the first nested tensor is made.
overriding.classes.discard(NestedTensor)


# --- making them ---------------------------------------------------------------------------------


def _of_list(tensors: Sequence[Tensor], kind: Any) -> NestedTensor:
    shapes = [tuple(t.shape) for t in tensors]
    if any(len(s) == 0 or s[1:] != shapes[0][1:] for s in shapes):
        layout = " with the jagged layout" if kind is jagged else ""
        error = RuntimeError if kind is jagged else NotImplementedError
        raise error(ONE_RAGGED.format(layout=layout, shapes=[list(s) for s in shapes]))
    values = ops.cat(list(tensors)) if tensors else from_host(np.zeros(0, np.float32))
    return NestedTensor(values, Ragged([s[0] for s in shapes]), 1, kind)


def nested_tensor(
    tensor_list: Sequence[Any],
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> NestedTensor:
    """A nested tensor with copies of these tensors, lists or arrays, which begins a history.

    They may differ in their first dimension only: RuntimeError, or NotImplementedError with the
    strided layout, which allows more in PyTorch.
    """
    parts = [
        (t.detach() if isinstance(t, Tensor) else tensor(t)).to(device=device, dtype=dtype)
        for t in tensor_list
    ]
    made = _of_list(parts, strided if layout is None else layout)
    made._values.requires_grad_(requires_grad)
    return made


def as_nested_tensor(
    ts: Sequence[Tensor] | Tensor, dtype: Any = None, device: Any = None, layout: Any = None
) -> NestedTensor:
    """A nested tensor of these tensors (or the rows of one), to which gradients flow."""
    parts = [t.to(device=device, dtype=dtype) for t in ts]
    return _of_list(parts, strided if layout is None else layout)


def nested_tensor_from_jagged(
    values: Tensor,
    offsets: Tensor | None = None,
    lengths: Tensor | None = None,
    jagged_dim: int | None = None,
    min_seqlen: int | None = None,
    max_seqlen: int | None = None,
) -> NestedTensor:
    """A nested tensor whose values are these, cut at `offsets` or into `lengths`.

    `jagged_dim` is the dimension that differs, counted with the batch, by default 1. RuntimeError
    without offsets and lengths; NotImplementedError for both, which leaves gaps.
    """
    if offsets is None and lengths is None:
        raise RuntimeError(
            "nested_tensor_from_jagged(): At least one of offsets or lengths is required."
        )
    if offsets is not None and lengths is not None:
        raise NotImplementedError(
            "nested_tensor_from_jagged() with both offsets and lengths leaves gaps between the "
            "tensors, which is not supported: give values without gaps and one of the two."
        )
    counts = np.diff(np.asarray(offsets)) if offsets is not None else np.asarray(lengths)
    return NestedTensor(values, Ragged(counts.tolist()), 1 if jagged_dim is None else jagged_dim)


def to_padded_tensor(
    input: NestedTensor, padding: float, output_size: Sequence[int] | None = None
) -> Tensor:
    """One dense tensor of a nested one, with `padding` where a tensor has ended.

    As long as the longest, or as `output_size` says, of which only the size of what differs counts;
    longer tensors are cut. NotImplementedError for a tensor that is not nested.
    """
    if not isinstance(input, NestedTensor):
        raise NotImplementedError("to_padded_tensor takes a nested tensor, and this one is dense")
    ragged, dim = input._ragged, input._ragged_dim
    longest = ragged.longest if output_size is None else output_size[dim]
    rows = ops.movedim(input._values, dim - 1, 0)
    filler = ops.full((1, *rows.shape[1:]), padding, dtype=rows.dtype)
    places = tensor(ragged.places(longest).reshape(-1))
    padded = ops.index_select(ops.cat([rows, filler]), 0, places)
    padded = padded.reshape(len(ragged.lengths), longest, *rows.shape[1:])
    return ops.movedim(padded, 1, dim)


def _from_padded(padded: Tensor, like: NestedTensor) -> NestedTensor:
    """The nested tensor of a padded one: takes the places that are there."""
    ragged, dim = like._ragged, like._ragged_dim
    rows = ops.movedim(padded, dim, 1)
    flat = rows.reshape(-1, *rows.shape[2:])
    kept = ops.index_select(flat, 0, tensor(ragged.inside(rows.shape[1])))
    return like.like(ops.movedim(kept, 0, dim - 1))


# --- operations ----------------------------------------------------------------------------------


def _inner(nt: NestedTensor, dim: int, name: str) -> int:
    """The dimension of the values that a dimension of the nested tensor is."""
    where = dim % nt.ndim
    if where in (0, nt._ragged_dim):
        raise NotImplementedError(RAGGED_DIM.format(name=name, dim=dim, shape=nt._sizes()))
    return where - 1


def _beside(nt: NestedTensor, other: Any, name: str) -> Any:
    """An operand as it goes with the values of a nested tensor."""
    if isinstance(other, NestedTensor):
        if other._ragged is not nt._ragged or other._ragged_dim != nt._ragged_dim:
            sizes = (tuple(nt._sizes()), tuple(other._sizes()))
            raise RuntimeError(TWO_KINDS.format(name=name, a=sizes[0], b=sizes[1]))
        return other._values
    if not isinstance(other, Tensor) or other.ndim <= nt.ndim - 1 - nt._ragged_dim:
        return other
    if other.numel() == 1:
        return other.reshape(())
    if other.ndim == nt.ndim and nt._ragged_dim == 1 and other.shape[1] == 1:
        rows = other.squeeze(1).expand(len(nt), *other.shape[2:])
        return ops.index_select(rows, 0, tensor(nt._ragged.owners()))
    raise NotImplementedError(NOT_HERE.format(name=f"{name} with a tensor {list(other.shape)}"))


def _pointwise(func: Callable[..., Any], *args: Any) -> NestedTensor:
    first = next(a for a in args if isinstance(a, NestedTensor))
    return first.like(func(*[_beside(first, a, func.__name__) for a in args]))


def _on_rows(func: Callable[..., Any], input: Any, *rest: Any) -> Any:
    """Of layers that treat the last dimensions alike at every place."""
    if not isinstance(input, NestedTensor) or any(isinstance(a, NestedTensor) for a in rest):
        raise NotImplementedError(NOT_HERE.format(name=f"{func.__name__} with nested parameters"))
    _inner(input, -1, func.__name__)
    return input.like(func(input._values, *rest))


def _normalized(func: Callable[..., Any], input: Any, *rest: Any) -> Any:
    shape = next(a for a in rest if isinstance(a, (tuple, list)))
    _inner(input, -len(shape), func.__name__)
    return _on_rows(func, input, *rest)


def _matmul(func: Callable[..., Any], input: Any, other: Any) -> Any:
    if isinstance(other, NestedTensor) or other.ndim > 2:
        raise NotImplementedError(NOT_HERE.format(name="matmul, except with a dense matrix,"))
    return _on_rows(func, input, other)


def _embedding(func: Callable[..., Any], input: NestedTensor, *rest: Any) -> Any:
    return input.like(func(input._values, *rest))


def _along(func: Callable[..., Any], input: NestedTensor, dim: int, *rest: Any) -> Any:
    """softmax and its kind, also along what differs."""
    if dim % input.ndim == input._ragged_dim:
        return _from_padded(func(to_padded_tensor(input, -math.inf), dim, *rest), input)
    return input.like(func(input._values, _inner(input, dim, func.__name__), *rest))


_FILLERS = {"sum": 0.0, "mean": 0.0, "amax": -math.inf, "amin": math.inf}


def _reduced(
    func: Callable[..., Any],
    input: NestedTensor,
    dim: Any = None,
    keepdim: bool = False,
    *rest: Any,
) -> Any:
    name = func.__name__
    if dim is None or dim == ():
        return func(input._values, dim, keepdim, *rest)
    dims = [d % input.ndim for d in ((dim,) if isinstance(dim, int) else dim)]
    if input._ragged_dim in dims and 0 not in dims:
        if name == "mean":
            total = ops.sum(input, dims, keepdim)
            counts = [float(math.prod(n if d == input._ragged_dim else input._sizes()[d]
                                      for d in dims)) for n in input._ragged.lengths]  # fmt: skip
            return total / tensor(counts).reshape(-1, *[1] * (total.ndim - 1)).to(total.dtype)
        return func(to_padded_tensor(input, _FILLERS[name]), tuple(dims), keepdim, *rest)
    inner = tuple(_inner(input, d, name) for d in dims)
    before = 0 if keepdim else sum(d < input._ragged_dim for d in dims)
    return input.like(func(input._values, inner, keepdim, *rest), input._ragged_dim - before)


def _transpose(func: Callable[..., Any], input: NestedTensor, dim0: int, dim1: int) -> Any:
    order = list(range(input.ndim))
    a, b = dim0 % input.ndim, dim1 % input.ndim
    order[a], order[b] = b, a
    return _permute(ops.permute, input, order)


def _permute(func: Callable[..., Any], input: NestedTensor, dims: Sequence[int]) -> Any:
    order = [d % input.ndim for d in dims]
    if order[0] != 0:
        raise NotImplementedError(NOT_HERE.format(name="moving the batch dimension"))
    values = ops.permute(input._values, tuple(d - 1 for d in order[1:]))
    return input.like(values, order.index(input._ragged_dim))


def _reshape(func: Callable[..., Any], input: NestedTensor, shape: Sequence[int]) -> Any:
    at, sizes = input._ragged_dim, list(shape)
    kept = input._sizes()[:at]
    if len(sizes) <= at or tuple(sizes[:at]) != tuple(kept) or int(sizes[at]) != -1:
        raise NotImplementedError(NOT_HERE.format(name=f"a view of another batch, {sizes},"))
    total = input._values.shape[at - 1]
    return input.like(func(input._values, (*kept[1:], total, *map(int, sizes[at + 1 :]))))


def _unflatten(func: Callable[..., Any], input: NestedTensor, dim: int, sizes: Any) -> Any:
    inner = _inner(input, dim, "unflatten")
    added = len(sizes) - 1 if inner < input._ragged_dim - 1 else 0
    return input.like(func(input._values, inner, sizes), input._ragged_dim + added)


def _flatten(func: Callable[..., Any], input: NestedTensor, start: int = 0, end: int = -1) -> Any:
    first, last = _inner(input, start, "flatten"), _inner(input, end, "flatten")
    if first < input._ragged_dim - 1:
        raise NotImplementedError(NOT_HERE.format(name="flattening what comes first"))
    return input.like(func(input._values, first, last))


def _unsqueeze(func: Callable[..., Any], input: NestedTensor, dim: int) -> Any:
    where = dim % (input.ndim + 1)
    if where <= input._ragged_dim:
        raise NotImplementedError(NOT_HERE.format(name=f"unsqueeze at dimension {dim}"))
    return input.like(func(input._values, where - 1))


def _sliced(func: Callable[..., Any], input: NestedTensor, layout: tuple, *rest: Any) -> Any:
    touched = [k for k, entry in enumerate(layout) if entry != 0]
    if any(k <= input._ragged_dim or layout[k] is None for k in touched):
        raise NotImplementedError(NOT_HERE.format(name="indexing what differs"))
    return input.like(func(input._values, layout[1:], *rest))


def _cat(func: Callable[..., Any], tensors: Sequence[Any], dim: int = 0) -> Any:
    first = next(t for t in tensors if isinstance(t, NestedTensor))
    inner = _inner(first, dim, "cat")
    return first.like(func([_beside(first, t, "cat") for t in tensors], inner))


def _attention(
    func: Callable[..., Any],
    query: NestedTensor,
    key: NestedTensor,
    value: NestedTensor,
    attn_mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    enable_gqa: bool = False,
) -> Any:
    """Attention of (batch, heads, j, features), padded, where no query sees what is padding."""
    parts = (query, key, value)
    if attn_mask is not None or any(getattr(p, "_ragged_dim", 0) != 2 for p in parts):
        raise NotImplementedError(
            NOT_HERE.format(name="attention, except of three of (batch, heads, j, features),")
        )
    longest = key._ragged.longest
    there = np.arange(longest) < np.array(key._ragged.lengths)[:, None]
    mask = there[:, None, None, :]
    if is_causal:
        mask = mask & np.tri(query._ragged.longest, longest, dtype=bool)
    q, k, v = (to_padded_tensor(p, 0.0) for p in parts)
    settings: Any = {"attn_mask": tensor(mask), "scale": scale, "enable_gqa": enable_gqa}
    return _from_padded(scaled_dot_product_attention(q, k, v, **settings), query)


_RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("linear", "glu"), _on_rows),
    **dict.fromkeys(("layer_norm", "rms_norm"), _normalized),
    **dict.fromkeys(("softmax", "log_softmax", "softmin"), _along),
    **dict.fromkeys(_FILLERS, _reduced),
    **{"matmul": _matmul, "mm": _matmul, "embedding": _embedding, "transpose": _transpose},
    **{"permute": _permute, "reshape": _reshape, "unflatten": _unflatten, "flatten": _flatten},
    **{"unsqueeze": _unsqueeze, "slice": _sliced, "cat": _cat},
    "scaled_dot_product_attention": _attention,
}
_EVERYWHERE = """
abs acos add alias angle asin atan atan2 bitwise_and bitwise_not bitwise_or ceil celu clamp clone
copysign cos cosh detach div dropout elu eq erf erfc exp exp2 expm1 float_power floor floor_divide
fmax fmin fmod full_like ge gelu gt hardshrink hardsigmoid hardswish hardtanh isfinite isinf isnan
leaky_relu lerp log log10 log1p log2 logical_and logical_not logical_or logit logsigmoid lt le
masked_fill maximum minimum mish mul nan_to_num ne neg normal_like pow rand_like randn_like
reciprocal relu remainder round rsqrt selu sgn sigmoid sign silu sin sinh softplus softshrink
softsign sqrt square sub tan tanh tanhshrink threshold to_copy trunc where xlogy zeros_like
"""
_POINTWISE = frozenset(_EVERYWHERE.split())

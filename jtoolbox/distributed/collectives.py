"""Exchanging tensors between processes. With a single process every one of these is an identity.

Each process gives its array as one row of a global array, one XLA program on one device of every
process combines the rows, and each process takes its copy of the result. On CPU this is slower than
PyTorch's gloo: meant for tests and for small numbers of exchanges.
"""

from __future__ import annotations

import enum
import functools
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jtoolbox.distributed.process_group import ProcessGroup, world
from jtoolbox.engine.graph import OWNED, Node
from jtoolbox.engine.modes import no_grad
from jtoolbox.engine.realize import synchronize
from jtoolbox.engine.record import node_of, value_of, wrap
from jtoolbox.tensor import Tensor

__all__ = [
    "ReduceOp",
    "Work",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "combine",
    "gather",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
]

ROOT = "invalid root rank: {root}. There are processes 0 to {last}."
COUNT = "{name}: expected a list of {size} tensors, one for each process, got {found}"


class ReduceOp(enum.Enum):
    """How `all_reduce` and `reduce` combine what the processes give."""

    SUM = "sum"
    AVG = "mean"
    PRODUCT = "prod"
    MIN = "min"
    MAX = "max"
    BAND = "bitwise_and"
    BOR = "bitwise_or"
    BXOR = "bitwise_xor"


# PyTorch's reductions are of a class inside of ReduceOp.
ReduceOp.RedOpType = ReduceOp  # type: ignore[attr-defined]


class Work:
    """What an exchange with `async_op=True` returns; it is done."""

    def wait(self, timeout: Any = None) -> bool:
        """True: it is done."""
        return True

    def is_completed(self) -> bool:
        """True: it is done."""
        return True


@functools.cache
def _mesh() -> Mesh:
    """One device of each process."""
    first = [
        next(d for d in jax.devices() if d.process_index == rank)
        for rank in range(jax.process_count())
    ]
    return Mesh(np.array(first), ("process",), axis_types=(AxisType.Auto,))


def _combined(how: str | int, rows: jax.Array) -> jax.Array:
    """The rows of all processes: reduced, or row `how`, or all of them ("rows")."""
    if isinstance(how, int):
        return rows[how]
    if how == "rows":
        return rows
    if how.startswith("bitwise"):
        return functools.reduce(getattr(jnp, how), list(rows))
    return getattr(jnp, how)(rows, axis=0).astype(rows.dtype)


@functools.cache
def _program(how: str | int) -> Callable[..., Any]:
    whole = NamedSharding(_mesh(), PartitionSpec())
    return jax.jit(lambda xs: [_combined(how, x) for x in xs], out_shardings=whole)


def combine(arrays: Sequence[Any], how: str | int) -> list[Any]:
    """Arrays of this process combined with those of the others, in one program."""
    mesh = _mesh()
    split = NamedSharding(mesh, PartitionSpec("process"))
    device = mesh.devices.flat[jax.process_index()]
    with jax.enable_x64(True):
        rows = [
            jax.make_array_from_single_device_arrays(
                (mesh.size, *x.shape), split, [jax.device_put(x[None], device)]
            )
            for x in arrays
        ]
        results = jax.block_until_ready(_program(how)(rows))
        return [r.addressable_data(0) for r in results]


def _value(tensor: Tensor) -> Any:
    return value_of(node_of(tensor))


def _write(tensor: Tensor, value: Any) -> None:
    """Puts an array into a tensor, in place."""
    with no_grad():
        tensor.copy_(wrap(Node(node_of(tensor).aval, value, flags=OWNED)))


def _root(root: int | None, other: int | None, size: int) -> int:
    found = root if root is not None else other
    if found is None or not 0 <= found < size:
        raise RuntimeError(ROOT.format(root=found, last=size - 1))
    return found


def _done(async_op: bool) -> Work | None:
    return Work() if async_op else None


def all_reduce(
    tensor: Tensor,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Combines the tensors of all processes, by default their sum, into each of them, in place."""
    if world().size() > 1:
        (value,) = combine([_value(tensor)], op.value)
        _write(tensor, value)
    return _done(async_op)


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Combines the tensors of all processes into that of process `dst`; the others keep theirs."""
    found = world()
    root = _root(dst, group_dst, found.size())
    if found.size() > 1:
        (value,) = combine([_value(tensor)], op.value)
        if found.rank() == root:
            _write(tensor, value)
    return _done(async_op)


def broadcast(
    tensor: Tensor,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Copies the tensor of process `src` into those of all others, in place."""
    found = world()
    root = _root(src, group_src, found.size())
    if found.size() > 1:
        (value,) = combine([_value(tensor)], root)
        if found.rank() != root:
            _write(tensor, value)
    return _done(async_op)


def _rows(tensor: Tensor) -> list[Any]:
    value = _value(tensor)
    return [value] if world().size() == 1 else list(combine([value], "rows")[0])


def all_gather(
    tensor_list: list[Tensor],
    tensor: Tensor,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Writes the tensors of all processes into the tensors of a list, in order of their number."""
    size = world().size()
    if len(tensor_list) != size:
        raise ValueError(COUNT.format(name="all_gather", size=size, found=len(tensor_list)))
    for target, row in zip(tensor_list, _rows(tensor), strict=True):
        _write(target, row)
    return _done(async_op)


def all_gather_into_tensor(
    output_tensor: Tensor,
    input_tensor: Tensor,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Writes the tensors of all processes, joined along the first axis, or stacked, into one."""
    world()
    with jax.enable_x64(True):
        value = jnp.stack(_rows(input_tensor)).reshape(tuple(output_tensor.shape))
    _write(output_tensor, value)
    return _done(async_op)


def gather(
    tensor: Tensor,
    gather_list: list[Tensor] | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Writes the tensors of all processes into the list that process `dst` gives."""
    found = world()
    root = _root(0 if dst is None and group_dst is None else dst, group_dst, found.size())
    rows = _rows(tensor)
    if found.rank() == root:
        for target, row in zip(gather_list or (), rows, strict=True):
            _write(target, row)
    return _done(async_op)


def scatter(
    tensor: Tensor,
    scatter_list: list[Tensor] | None = None,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Copies the n-th tensor of process `src`'s list into the tensor of process n."""
    found = world()
    root = _root(0 if src is None and group_src is None else src, group_src, found.size())
    with jax.enable_x64(True):
        if found.rank() == root:
            value = jnp.stack([_value(t) for t in scatter_list or ()])
        else:
            value = jnp.zeros((found.size(), *tensor.shape), tensor.dtype.dtype)
        if found.size() > 1:
            (value,) = combine([value], root)
        _write(tensor, value[found.rank()])
    return _done(async_op)


def reduce_scatter(
    output: Tensor,
    input_list: list[Tensor],
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Combines the n-th tensors of all processes' lists into the tensor of process n."""
    found = world()
    values = [_value(t) for t in input_list]
    if found.size() > 1:
        values = combine(values, op.value)
    _write(output, values[found.rank()])
    return _done(async_op)


def reduce_scatter_tensor(
    output: Tensor,
    input: Tensor,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """As `reduce_scatter` of the parts of a tensor along its first axis."""
    parts = input.reshape(world().size(), *output.shape)
    return reduce_scatter(output, list(parts), op, group, async_op)


def barrier(
    group: ProcessGroup | None = None,
    async_op: bool = False,
    device_ids: Any = None,
    timeout: Any = None,
) -> Work | None:
    """Waits until all processes are here, with what they have pending done."""
    synchronize()
    if world().size() > 1:
        combine([np.zeros((), np.int32)], "sum")
    return _done(async_op)


def all_gather_object(object_list: list[Any], obj: Any, group: ProcessGroup | None = None) -> None:
    """Fills a list with one object from each process, by pickle: processes must be trusted."""
    if world().size() == 1:
        object_list[0] = obj
        return
    data = np.frombuffer(pickle.dumps(obj), np.uint8)
    sizes = np.asarray(combine([np.array(data.size)], "rows")[0])
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: data.size] = data
    rows = np.asarray(combine([padded], "rows")[0])
    object_list[:] = [pickle.loads(r[:n].tobytes()) for r, n in zip(rows, sizes, strict=True)]


def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: ProcessGroup | None = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Replaces a list's objects with those of process `src`, by pickle."""
    size = world().size()
    root = _root(0 if src is None and group_src is None else src, group_src, size)
    found: list[Any] = [None] * size
    all_gather_object(found, list(object_list))
    object_list[:] = found[root]

"""Another type, another device, a copy: `to` and its short forms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine import Array, op
from jtoolbox.engine.graph import NO_DATA, leaf_node
from jtoolbox.engine.record import absent_node, node_of, value_of, wrap
from jtoolbox.layouts import check_format
from jtoolbox.ops.host import is_tensor, needs_graph

__all__ = ["clone", "cpu", "cuda", "to", "type_as", "type_of"]

_MOVE = (
    "moving a tensor that requires grad from {} to {} inside a recorded computation is not "
    "supported: move the inputs before the computation, or detach() it first."
)
_LEGACY = {
    **{"Float": dtypes.float32, "Double": dtypes.float64, "Half": dtypes.float16},
    **{"BFloat16": dtypes.bfloat16, "Long": dtypes.int64, "Int": dtypes.int32},
    **{"Short": dtypes.int16, "Char": dtypes.int8, "Byte": dtypes.uint8, "Bool": dtypes.bool},
    **{"ComplexFloat": dtypes.complex64, "ComplexDouble": dtypes.complex128},
}


@op(saves="none", name="to_copy")
def _cast(input: Array, dtype: Any) -> Array:
    new = dtypes.canonical(dtypes.as_numpy(dtype))
    x = jnp.asarray(input)
    if x.dtype.kind == "c" and new.kind not in "cb":
        x = x.real
    if new.kind in "iu" and new.itemsize < 4 and dtypes.kind(x.dtype) == 2:
        x = x.astype(np.int32)  # so that what does not fit wraps around, as C's casts do
    return x.astype(new)


def cast(input: Any, dtype: Any) -> Any:
    """`input` with another dtype; itself when it has that one already."""
    wanted = dtypes.as_numpy(dtype)
    if not is_tensor(input):  # Tensors hold 64 bits in any mode
        wanted = dtypes.canonical(wanted)
    if dtypes.as_numpy(input.dtype) == wanted:
        return input
    return _cast(input, dtype)


@op(saves="none", name="clone")
def _clone(input: Array) -> Array:
    return jnp.asarray(input)


def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A copy, through which gradients flow. `memory_format` changes nothing here."""
    check_format(input, memory_format)
    return _clone(input)


def _moved(input: Any, device: Any) -> Any:
    """`input` on a device; itself when it lies there already."""
    if not is_tensor(input):
        return jax.device_put(input, devices.find(device))
    node, place = node_of(input), devices.placement(device)
    if node.aval.device == place:
        return input
    if place is devices.META:
        return wrap(absent_node(node.aval.shape, node.aval.dtype))
    if node.aval.device is devices.META:
        raise NotImplementedError(NO_DATA)
    if needs_graph(input):
        raise RuntimeError(_MOVE.format(input.device, device))
    with jax.enable_x64(True):
        value = jax.device_put(value_of(node), devices.find(device))
    return wrap(leaf_node(value, place))


def to(input: Any, *args: Any, **kwargs: Any) -> Any:
    """Another dtype, device, or both: `to(dtype)`, `to(device, dtype)`, `to(other_tensor)`.

    The same tensor comes back when nothing changes, unless `copy=True`. `non_blocking` and
    `memory_format` are accepted and mean nothing here. A number that does not fit a smaller integer
    type wraps around.
    """
    device, dtype, copy = _parsed(args, **kwargs)
    check_format(input, kwargs.get("memory_format"))
    x = input
    if device is not None:
        x = _moved(x, device)
    if dtype is not None:
        x = cast(x, dtype)
    return clone(x) if copy and x is input else x


def _parsed(
    args: tuple[Any, ...],
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    other: Any = None,
) -> tuple[Any, Any, bool]:
    flags = [a for a in args if isinstance(a, bool)]
    for a in (*args, other):
        if isinstance(a, (dtypes.dtype, type)):
            dtype = a
        elif is_tensor(a) or hasattr(a, "ndim"):
            device, dtype = getattr(a, "device", None), a.dtype
        elif a is not None and not isinstance(a, bool):
            device = a
    return device, dtype, copy or (len(flags) > 1 and flags[1])


def cpu(input: Any, memory_format: Any = None) -> Any:
    """The tensor in the host's memory."""
    return to(input, "cpu")


def cuda(
    input: Any, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> Any:
    """The tensor on a GPU. RuntimeError where there is none."""
    if isinstance(device, int):
        device = f"cuda:{device}"
    return to(input, "cuda" if device is None else device)


def type_as(input: Any, other: Any) -> Any:
    """`input` with the dtype (and device) of `other`."""
    return to(input, other)


def legacy_name(dtype: Any) -> str:
    """The name of a type in PyTorch's messages and old classes: Float, Long, ..."""
    known = dtypes.from_numpy(dtypes.as_numpy(dtype))
    return next((name for name, d in _LEGACY.items() if d is known), known.name)


def type_of(input: Any, dtype: Any = None, non_blocking: bool = False) -> Any:
    """`Tensor.type`: the legacy name of its type, 'torch.FloatTensor', or a cast to a type."""
    if dtype is None:
        where = "cuda." if getattr(input, "is_cuda", False) else ""
        return f"torch.{where}{legacy_name(input.dtype)}Tensor"
    if isinstance(dtype, str):
        folder, _, kind = dtype.rpartition(".")
        name = kind.removesuffix("Tensor")
        if name not in _LEGACY or folder not in ("torch", "torch.cuda"):
            raise ValueError(f"invalid type: '{dtype}'")
        input = _moved(input, "cuda" if folder.endswith("cuda") else "cpu")
        dtype = _LEGACY[name]
    if hasattr(dtype, "place"):  # one of the old classes
        input = _moved(input, dtype.place)
    return cast(input, getattr(dtype, "dtype", dtype) if isinstance(dtype, type) else dtype)

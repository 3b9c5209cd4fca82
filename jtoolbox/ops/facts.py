"""What a Tensor tells about itself beyond shape and type, and what it has no use for here."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import inplace
from jtoolbox.engine.record import wrap
from jtoolbox.engine.views import version_of
from jtoolbox.layouts import strided
from jtoolbox.ops.storage import TypedStorage, address, base_of, storage, untyped_storage
from jtoolbox.ops.strided import empty_strided
from jtoolbox.ops.strides import offset_of, strides_of

__all__ = ["METHODS", "PROPERTIES", "resized"]


def _no(self: Any) -> bool:
    """False: there are no such tensors here."""
    return False


def _is_inference(self: Any) -> bool:
    """False: a result of `inference_mode` may be used for gradients later, here."""
    return False


def _share_memory(self: Any) -> Any:
    """This tensor: the loader's workers share memory by themselves."""
    return self


def _record_stream(self: Any, stream: Any) -> None:
    """Nothing: programs order themselves by their data."""


def data_ptr(self: Any) -> int:
    """Where the first element lies in memory; equal for tensors that share it.

    It holds until the tensor is written or an optimizer takes a step, which give the tensor a new
    array; writing there is undefined. 0 for a tensor without elements, and no address inside of
    `jit` and for one that lies on several devices.
    """
    return address(base_of(self)) + offset_of(self) * self.itemsize


def _is_set_to(self: Any, tensor: Any) -> bool:
    """Whether both are the same elements in the same shape and strides."""
    same = base_of(self) is base_of(tensor) and tuple(self.shape) == tuple(tensor.shape)
    place = offset_of(self) == offset_of(tensor) and strides_of(self) == strides_of(tensor)
    return same and place


def _base(self: Any) -> Any:
    """The tensor that this one is a view of, None where it is none, or was detached from it."""
    link = self._view
    if link is None or link.detached:
        return None
    base = link.family.base()
    if base is None:  # only views are left: the base begins anew
        base = wrap(link.family._node)
        base._family = link.family
        link.family.base = weakref.ref(base)
    return base


def _is_view(self: Any) -> bool:
    """Whether it is a view of another tensor, not one that was detached."""
    return self._view is not None and not self._view.detached


def _version(self: Any) -> int:
    """How often its elements were written in place; views and detached tensors count together.

    Departs from PyTorch: the updates by an optimizer's `step`, and of BatchNorm's statistics, are
    not counted.
    """
    return version_of(self)


def _set(self: Any, *_: Any) -> Any:
    raise RuntimeError(
        "set_ is not supported: a tensor cannot take another one's storage here, since arrays "
        "never change. Use x.data = other, or a view of it such as other.view(...)."
    )


def _no_mkldnn(self: Any, *_: Any) -> Any:
    raise RuntimeError("to_mkldnn: layouts are chosen by the compiler here; leave the call out")


def _no_chalf(self: Any, *_: Any, **__: Any) -> Any:
    raise TypeError("complex32 is not supported: JAX has complex64 (cfloat) and complex128")


def _map(self: Any, tensor: Any, function: Callable[..., Any]) -> Any:
    """Replaces each element by `function(element, other)`, on the host; `tensor` broadcasts."""
    return _mapped(self, (tensor,), function)


def _map2(self: Any, x: Any, y: Any, function: Callable[..., Any]) -> Any:
    """Replaces each element by `function(element, other, third)`, on the host; both broadcast."""
    return _mapped(self, (x, y), function)


def _mapped(self: Any, others: Sequence[Any], function: Callable[..., Any]) -> Any:
    shape = tuple(self.shape)
    columns = [np.broadcast_to(t.detach().numpy(), shape).ravel().tolist() for t in others]
    mine = self.detach().reshape(-1).tolist()
    values = [function(*row) for row in zip(mine, *columns, strict=True)]
    return inplace(self, np.array(values, dtypes.as_numpy(self.dtype)).reshape(shape))


def _dim_order(self: Any, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost."""
    strides = strides_of(self)
    return tuple(sorted(range(self.ndim), key=lambda i: -strides[i]))


def _new_empty_strided(self: Any, size: Any, stride: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """`empty_strided` with the dtype of this tensor as default."""
    return empty_strided(size, stride, dtype=self.dtype if dtype is None else dtype, **kwargs)


def resized(self: Any, *size: Any, memory_format: Any = None) -> Any:
    """`Tensor.resize_`: the first elements in another shape; new ones are zeros.

    PyTorch leaves new elements undefined. RuntimeError for a tensor that requires grad.
    """
    shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    count, numel = int(np.prod(shape, dtype=np.int64)), self.numel()
    flat = self.reshape(-1)
    if count == numel:
        return flat.reshape(tuple(shape))
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if count > numel:
        whole = self.new_zeros(count)
        whole[:numel] = flat
        return whole.reshape(tuple(shape))
    return flat[:count].reshape(tuple(shape))


def _expected(layout: str, name: str) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        raise RuntimeError(
            f"{name} expected {layout} tensor layout but got Strided. Convert it with to_sparse()."
        )

    method.__doc__ = f"`{name}` of a sparse tensor; RuntimeError for this dense one."
    return method


def _to_dense(self: Any, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
    """This tensor, which is dense."""
    return self if dtype is None else self.to(dtype)


def _dimensions(self: Any) -> int:
    """The number of dense dimensions: all of them."""
    return self.ndim


def _zero(self: Any) -> int:
    """0: this tensor is dense."""
    return 0


METHODS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("is_conj", "is_neg", "is_shared", "is_distributed"), _no),
    "_is_view": _is_view,
    **{"is_inference": _is_inference, "is_pinned": lambda self, device=None: False},
    **{
        "share_memory_": _share_memory,
        "record_stream": _record_stream,
        "map_": _map,
        "map2_": _map2,
    },
    **{"data_ptr": data_ptr, "const_data_ptr": data_ptr, "is_set_to": _is_set_to},
    **{"storage": storage, "untyped_storage": untyped_storage},
    **{"storage_type": lambda self: TypedStorage, "set_": _set},
    **{"to_mkldnn": _no_mkldnn, "chalf": _no_chalf},
    **{"storage_offset": offset_of, "dim_order": _dim_order, "to_dense": _to_dense},
    **{"new_empty_strided": _new_empty_strided, "dense_dim": _dimensions, "sparse_dim": _zero},
    **{n: _expected("sparse coordinate", n) for n in ("coalesce", "indices", "is_coalesced")},
    **{"values": _expected("sparse", "values")},
    **{n: _expected("sparse row compressed", n) for n in ("crow_indices", "col_indices")},
    **{n: _expected("sparse column compressed", n) for n in ("ccol_indices", "row_indices")},
}

PROPERTIES: dict[str, Callable[[Any], Any]] = {
    **{
        f"is_{kind}": _no
        for kind in (
            *("ipu", "maia", "mkldnn", "mps", "mtia", "nested", "quantized"),
            *("sparse_csr", "vulkan", "xla", "xpu"),
        )
    },
    **{"_base": _base, "_version": _version},
    **{"name": lambda self: None, "output_nr": lambda self: 0},
    **{"grad_dtype": lambda self: self.dtype, "layout": lambda self: strided},
}

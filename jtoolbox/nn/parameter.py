"""Parameters and buffers: Tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.tensor import Tensor, from_host, holding, plain_results, take_over

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


def _empty() -> Tensor:
    return from_host(np.zeros(0, dtypes.default_float()))


class Parameter(Tensor):
    """A Tensor that a module trains.

    Assigned to an attribute of a `Module`, it appears in `parameters()` and `state_dict()`. It
    has the value of `data`, and requires grad unless told otherwise, whatever the grad mode.
    PyTorch's shares memory with `data`; here a later write of one is not seen in the other.

        self.scale = nn.Parameter(torch.ones(features))
    """

    __torch_function__ = plain_results  # type: ignore[assignment]

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        self = holding(cls, _empty() if data is None else data)
        self.requires_grad = requires_grad
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = super().__deepcopy__(memo)
        twin.grad = None
        return twin

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A Tensor that is part of a module's state but is not trained.

    Assigned to an attribute of a `Module`, it is registered as by `register_buffer`.
    """

    persistent: bool
    __torch_function__ = plain_results  # type: ignore[assignment]

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        self = holding(cls, _empty() if data is None else data)
        self.persistent = persistent
        return self


# --- without a value yet -------------------------------------------------------------------------

_NO_VALUE = (
    "Attempted to use an uninitialized parameter: {name} has no shape and no values yet. Call the "
    "lazy module once with a batch (a dummy one will do), or materialize(shape), before using it."
)
_NO_SHAPE = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
    "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. "
    "Call `forward` to initialize the parameters before accessing their attributes."
)
_NO_SHARING = (
    "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the "
    "parameters before calling `module.share_memory()`."
)


class UninitializedTensorMixin(Tensor):
    """A Tensor of known type and device whose shape comes later, with `materialize`.

    It has no node: whatever the engine would do with it raises ValueError.
    """

    __slots__ = ()
    cls_to_become: type[Tensor] = Tensor
    __torch_function__ = plain_results  # type: ignore[assignment]

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def _begin(self, requires_grad: bool, device: Any, dtype: Any) -> None:
        self._view = self._family = self._grad = None
        chosen = dtypes.default_float() if dtype is None else dtypes.as_numpy(dtype)
        self.__dict__.update(
            _lazy_requires_grad=requires_grad,
            _lazy_device=device,
            _lazy_dtype=dtypes.from_numpy(chosen),
        )

    @property
    def _node(self) -> Any:  # type: ignore[override]
        raise ValueError(_NO_VALUE.format(name=type(self).__name__))

    @property
    def shape(self) -> Any:
        """Not known yet: RuntimeError."""
        raise RuntimeError(_NO_SHAPE)

    def size(self, dim: int | None = None) -> Any:
        """Not known yet: RuntimeError."""
        raise RuntimeError(_NO_SHAPE)

    @property
    def dtype(self) -> dtypes.dtype:
        """The type that its elements will have."""
        return self._lazy_dtype

    @property
    def device(self) -> devices.device:
        """Where it will lie."""
        placed = self._lazy_device
        return devices.default_device() if placed is None else devices.device(placed)

    @property
    def requires_grad(self) -> bool:
        """Whether it will be trained."""
        return self._lazy_requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.__dict__["_lazy_requires_grad"] = bool(wanted)

    @property
    def is_leaf(self) -> bool:
        """True: nothing has computed it."""
        return True

    @property
    def data(self) -> Any:
        """Itself; assigning another uninitialized tensor takes over its type and device."""
        return self

    @data.setter
    def data(self, value: Any) -> None:
        self.__dict__.update(_lazy_device=value._lazy_device, _lazy_dtype=value._lazy_dtype)

    def detach(self) -> Any:
        """Itself, so that a `state_dict` holds it as it is."""
        return self

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: Any = None) -> None:
        """Gives it a shape, and zeros as values; from now on it is an ordinary tensor.

        PyTorch leaves the values undefined.
        """
        own = self.__dict__
        grad, placed, chosen = (own.pop(f"_lazy_{n}") for n in ("requires_grad", "device", "dtype"))
        kind = chosen if dtype is None else dtype
        value = from_host(
            np.zeros(tuple(shape), dtypes.as_numpy(kind)), placed if device is None else device
        )
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        take_over(self, value)
        self.requires_grad = grad

    def to(self, device: Any = None, dtype: Any = None, *_: Any, **__: Any) -> Any:
        """Another one that will have this device and type."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        placed = self._lazy_device if device is None else device
        twin._begin(self.requires_grad, placed, self.dtype if dtype is None else dtype)
        return twin

    def cpu(self) -> Any:
        """`to("cpu")`."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Any:
        """`to("cuda")`."""
        return self.to("cuda" if device is None else device)

    def type(self, dtype: Any) -> Any:
        """`to(dtype=dtype)`."""
        return self.to(dtype=dtype)

    def float(self) -> Any:
        """`to(dtype=float32)`."""
        return self.to(dtype=dtypes.float32)

    def double(self) -> Any:
        """`to(dtype=float64)`."""
        return self.to(dtype=dtypes.float64)

    def half(self) -> Any:
        """`to(dtype=float16)`."""
        return self.to(dtype=dtypes.float16)

    def bfloat16(self) -> Any:
        """`to(dtype=bfloat16)`."""
        return self.to(dtype=dtypes.bfloat16)

    def share_memory_(self) -> Any:
        """Not possible without values: RuntimeError."""
        raise RuntimeError(_NO_SHARING)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = self.to()
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, self._lazy_device, self.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A `Parameter` whose shape comes later: lazy modules have them until their first call.

    Its type, device and `requires_grad` are known. Using it raises ValueError, its shape
    RuntimeError. `materialize(shape)` turns it into a `Parameter`; it stays the same object, so an
    optimizer that holds it follows.
    """

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None):
        self._begin(requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin):
    """A buffer whose shape comes later: `materialize(shape)` turns it into a Tensor."""

    persistent: bool
    cls_to_become = Tensor

    def __init__(
        self,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ):
        self._begin(requires_grad, device, dtype)
        self.persistent = persistent


def is_lazy(param: Any) -> bool:
    """Whether it is an `UninitializedParameter` or `UninitializedBuffer`."""
    return isinstance(param, UninitializedTensorMixin)

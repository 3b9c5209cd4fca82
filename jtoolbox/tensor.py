"""The Tensor: a handle on a value, or on one that is pending. `ops` hangs methods on it."""

from __future__ import annotations

import builtins
import copy
import functools
import math
import operator
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jtoolbox import devices, dtypes
from jtoolbox.engine import overriding, views
from jtoolbox.engine.backward import backward
from jtoolbox.engine.capture import LOST
from jtoolbox.engine.grad_fn import GradFunction, become_boundary, edge_of
from jtoolbox.engine.graph import (
    LEAF,
    NO_DATA,
    OWNED,
    PINNED,
    RETAIN,
    TRACED,
    Absent,
    Handle,
    Node,
    intern_aval,
    stopped,
)
from jtoolbox.engine.handles import RemovableHandle
from jtoolbox.engine.modes import mode
from jtoolbox.engine.realize import flush, fresh
from jtoolbox.engine.record import (
    Array,
    Hooks,
    absent_node,
    after_step,
    node_of,
    op,
    value_of,
    wrap,
)
from jtoolbox.engine.trace import Untraceable

if TYPE_CHECKING:
    from jtoolbox.tensor_operators import Operators
else:
    Operators = Handle


class Size(tuple):
    """A shape: a tuple of ints that prints as PyTorch's and knows its number of elements.

    TypeError for entries that are no integers.
    """

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        return tuple.__new__(cls, [_size_of(n, i) for i, n in enumerate(sizes)])

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def numel(self) -> int:
        """The number of elements: the product of the sizes."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        if not isinstance(other, tuple):
            raise TypeError(
                f'can only concatenate tuple (not "{type(other).__name__}") to torch.Size'
            )
        return Size(super().__add__(other))

    def __radd__(self, other: Any) -> Size:
        return Size(other) + self

    def __mul__(self, count: Any) -> Size:
        return Size(super().__mul__(count))

    __rmul__ = __mul__


def _size_of(entry: Any, place: int) -> int:
    if isinstance(entry, int):
        return entry
    try:
        return operator.index(entry)
    except TypeError:
        raise TypeError(
            f"torch.Size() takes an iterable of 'int' (item {place} is '{type(entry).__name__}')"
        ) from None


def _made(cls: Any, node: Node) -> Any:
    """A new object of a class of Tensors that holds this node."""
    tensor = object.__new__(cls)
    _set_node(tensor, node)
    return tensor


def take_over(tensor: Tensor, value: Tensor) -> None:
    """Begins a Tensor that has no value yet with that of another, which is given up."""
    _set_node(tensor, node_of(value))


def holding(cls: type[Tensor], data: Any) -> Any:
    """A Tensor of this class with the value of a Tensor, an array, or a list (as floats)."""
    value = data if isinstance(data, np.ndarray) else _legacy_data(data)
    return _made(cls, _node_from(value, None, None))


def _legacy_data(value: Any) -> Any:
    """What the old constructors take: sequences and arrays, as the default float type."""
    if isinstance(value, (Tensor, jax.Array)):
        return value
    if not hasattr(value, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type(value).__name__})")
    if isinstance(value, range):
        value = list(value)
    return np.asarray(_to_numpy(value)).astype(dtypes.default_float())


def _set_node(tensor: Handle, node: Node) -> None:
    tensor._node = node
    tensor._view = None
    tensor._family = None
    tensor._grad = None
    node.owner = weakref.ref(tensor)


def _plain_function(
    cls: Any, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
) -> Any:
    """The `__torch_function__` of Parameters and Buffers: results are plain Tensors."""
    with overriding.DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


plain_results = classmethod(_plain_function)


def _branded(result: Any, cls: type) -> Any:
    """Fresh results as instances of a subclass, also inside tuples and lists."""
    if type(result) is Tensor:
        result.__class__ = cls
        return result
    if type(result) in (tuple, list):
        return type(result)(_branded(r, cls) for r in result)
    if isinstance(result, tuple) and hasattr(result, "_replace"):
        return type(result)(*(_branded(r, cls) for r in result))
    return result


def _refuse_dispatch(cls: type, *_: Any, **__: Any) -> Any:
    raise NotImplementedError(
        f"{cls.__name__} defines __torch_dispatch__, which is asked by PyTorch's dispatcher, and "
        "there is none here. Define __torch_function__, which is asked before each operation."
    )


class Tensor(Operators):
    """An n-dimensional array with PyTorch's interface, whose operations JAX compiles.

    `Tensor(data)` takes nested sequences and NumPy arrays as the default float type, tensors as
    they are; `Tensor(2, 3)` gives zeros of that shape (PyTorch leaves them undefined), `Tensor()`
    no elements. TypeError for a number. Under `jax.jit` and `functional_call` a Tensor may hold a
    tracer.
    """

    __slots__ = ()

    def __new__(cls, *data: Any, device: Any = None) -> Self:
        if len(data) == 1 and not isinstance(data[0], (int, Size)):
            return _made(cls, _node_from(_legacy_data(data[0]), None, device))
        shape = (data[0] if isinstance(data[0], Size) else data) if data else (0,)
        return _made(cls, _node_from(np.zeros(shape, dtypes.default_float()), None, device))

    def __init__(self, *data: Any, **settings: Any):
        """Nothing: the constructor has done it, so that subclasses may take their own arguments."""

    # --- subclasses

    def __init_subclass__(cls, **settings: Any):
        super().__init_subclass__(**settings)
        if getattr(cls.__torch_function__, "__func__", None) is not _plain_function:
            overriding.classes.add(cls)
        if cls.__dict__.get("__torch_dispatch__") is not None:
            cls.__new__ = _refuse_dispatch  # type: ignore[method-assign, assignment]

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """What a subclass may override: called for each operation on its instances.

        This one computes, and gives results the class `cls`. `func` is the operation; a function
        that consists of several calls it for each of them. NotImplemented for foreign `types`.
        """
        if not all(issubclass(cls, kind) for kind in types):
            return NotImplemented
        with overriding.DisableTorchFunctionSubclass():
            return _branded(func(*args, **(kwargs or {})), cls)

    def as_subclass(self, cls: type) -> Any:
        """The same elements and the same history as an instance of a subclass of Tensor."""
        if not (isinstance(cls, type) and issubclass(cls, Tensor)):
            raise TypeError(f"as_subclass(): cls must be a subclass of torch.Tensor, got {cls!r}")
        if cls.__new__ is _refuse_dispatch:
            _refuse_dispatch(cls)
        with overriding.DisableTorchFunctionSubclass():
            twin = self.view_as(self)  # type: ignore[attr-defined]
        twin.__class__ = cls
        return twin

    @staticmethod
    def _make_subclass(cls: type, data: Tensor, require_grad: bool = False) -> Any:
        if cls.__new__ is _refuse_dispatch:
            _refuse_dispatch(cls)
        twin = data.detach()
        twin.__class__ = cls  # type: ignore[assignment]
        return twin.requires_grad_(require_grad)

    @staticmethod
    def _make_wrapper_subclass(cls: type, *_: Any, **__: Any) -> Any:
        return _refuse_dispatch(cls)

    # --- what it is

    @property
    def shape(self) -> Size:
        """The sizes of its dimensions. Never runs anything."""
        return tuple.__new__(Size, self._node.aval.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of its elements."""
        return dtypes.from_numpy(self._node.aval.dtype)

    @property
    def device(self) -> devices.device:
        """Where it lies."""
        placed = self._node.aval.device
        return devices.default_device() if placed is None else placed

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._node.aval.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        if dim is None:
            return self.shape
        rank = self.ndim
        if not -max(rank, 1) <= dim < max(rank, 1):
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(rank, 1)}, "
                f"{max(rank, 1) - 1}], but got {dim})"
            )
        return self._node.aval.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self._node.aval.shape)

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.itemsize

    def is_floating_point(self) -> bool:
        """Whether its elements are floats."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.dtype.is_complex

    @property
    def is_cuda(self) -> bool:
        """Whether it lies on a GPU."""
        return self.device.type == "cuda"

    @property
    def is_meta(self) -> bool:
        """Whether it is on the meta device: it has a shape and a type and no elements."""
        return self._node.value.__class__ is Absent

    def get_device(self) -> int:
        """The index of its accelerator, -1 on the CPU."""
        return -1 if self.device.type == "cpu" else self.device.index or 0

    # --- gradients

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded for gradients."""
        return self._node.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        node = node_of(self)
        if wanted == node.requires_grad:
            return
        if not wanted and not node.flags & LEAF:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if wanted and not node.aval.inexact:
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients, got "
                f"{self.dtype}"
            )
        if not wanted:
            fresh = same_value(node)
            fresh.owner = weakref.ref(self)
            self._node = fresh
            return
        node.requires_grad = True
        node.flags |= LEAF

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switches the recording of operations on it, in place, and returns it."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not by recorded operations."""
        node = self._node
        return not node.requires_grad or bool(node.flags & LEAF)

    @property
    def grad_fn(self) -> GradFunction | None:
        """The node of the backward graph that it comes from, None for a leaf."""
        node = node_of(self)
        return edge_of(node)[0] if node.requires_grad and not node.flags & LEAF else None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has added up; None before, and after `zero_grad`."""
        grad: Any = self._grad
        if grad.__class__ is Node:
            grad = self._grad = wrap(grad)
        elif grad is not None and not isinstance(grad, Tensor):
            # The step has used it up: it is computed again, or a frozen step says why it cannot.
            grad = self._grad = wrap(grad._node)
        elif grad is None and not self.is_leaf and not self._node.flags & RETAIN:
            warnings.warn(_GRAD_OF_INNER, stacklevel=2)
        return grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._node.aval.shape != self._node.aval.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: {list(value.shape)} for a tensor "
                    f"of size {list(self.shape)}"
                )
            if value.dtype is not self.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different type: {value.dtype}, expected "
                    f"{self.dtype}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | Tensor | None = None,
    ) -> None:
        """Adds d self / d leaf to `.grad` of every leaf it depends on; runs nothing by itself.

        `gradient` is the cotangent, needed unless self has one element. `retain_graph` keeps the
        graph for another pass, `create_graph` records the gradients' own graph. RuntimeError when
        nothing requires grad, or the graph was released by an earlier pass.
        """
        roots, given = roots_of([self], [gradient])
        chosen = (
            None if inputs is None else [inputs] if isinstance(inputs, Tensor) else list(inputs)
        )
        if chosen is not None and not chosen:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        nodes = None if chosen is None else wanted_nodes(chosen)
        backward(
            roots,
            given,
            create_graph if retain_graph is None else retain_graph,
            create_graph,
            nodes,
        )

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Calls `hook(grad)` when the gradient of this tensor is known; it may return another one.

        On a computed tensor this ends the present program, so register it before the tensor is used
        further: RuntimeError when its users have already run.
        """
        node = node_of(self)
        if not node.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if node.flags & LEAF:
            hooks = self.__dict__.setdefault("_hooks", OrderedDict())
        else:
            become_boundary(node)
            node.hooks = hooks = OrderedDict() if node.hooks is None else node.hooks
        handle = RemovableHandle(hooks)
        hooks[handle.id] = functools.partial(_run_hook, hook)
        return handle

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Calls `hook(tensor)` after `backward` has added to its `.grad`. Leaves only."""
        if not self.is_leaf or not self.requires_grad:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        hooks = self.__dict__.setdefault("_after_hooks", OrderedDict())
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        return handle

    def retain_grad(self) -> None:
        """Keeps the gradient of a computed tensor in its `.grad` too."""
        node = node_of(self)
        if not node.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if not node.flags & LEAF:
            if node.value is None:
                flush(node)
            node.flags |= RETAIN

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this computed tensor."""
        return bool(self._node.flags & RETAIN)

    def detach(self) -> Tensor:
        """The same values without their history. A view: writing it writes this tensor."""
        return _detached(self, "detach")

    def detach_(self) -> Tensor:
        """Forgets the history of this tensor, in place."""
        if self._view is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        fresh = same_value(node_of(self))
        fresh.owner = weakref.ref(self)
        self._node = fresh
        return self

    @property
    def data(self) -> Tensor:
        """The same values without history; writing them does not disturb recorded gradients."""
        return _detached(self, "data")

    @data.setter
    def data(self, value: Any) -> None:
        node = node_of(self)
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if node.requires_grad and not value._node.aval.inexact:
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point or complex "
                f"dtype, got {value.dtype}"
            )
        fresh = same_value(node_of(value))
        fresh.requires_grad, fresh.flags = node.requires_grad, fresh.flags | (node.flags & LEAF)
        if node.requires_grad and not node.flags & LEAF:
            raise RuntimeError("cannot assign .data of a tensor that was computed from others")
        fresh.owner = weakref.ref(self)
        self._node = fresh
        self._view = None
        if self._family is not None:
            self._family = None

    # --- its value

    @property
    def array(self) -> jax.Array:
        """Its value as a `jax.Array`; runs what is pending. The array never changes."""
        node = node_of(self)
        value = value_of(node)
        if value.__class__ is Absent:
            raise NotImplementedError(NO_DATA)
        node.flags |= PINNED
        if isinstance(value, np.ndarray):
            with jax.enable_x64(True):
                value = node.value = jnp.array(value)
        return value

    def __jax_array__(self) -> jax.Array:
        node = node_of(self)
        return value_of(node) if node.flags & TRACED else self.array

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Its value as a read-only NumPy array; runs what is pending.

        PyTorch's shares memory with the tensor; this one is a snapshot, so writing it raises
        ValueError (copy it first). RuntimeError when the tensor requires grad, unless `force`.
        """
        if self.is_meta:
            raise TypeError(
                "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        if self.requires_grad and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use "
                "tensor.detach().numpy() instead."
            )
        return self._host()

    def _host(self) -> np.ndarray:
        node = node_of(self)
        value = value_of(node)
        node.flags |= PINNED
        host = np.asarray(value)
        if host.flags.writeable:
            host = host.view()
            host.flags.writeable = False
        return host

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        host = self.numpy()
        if dtype is not None and host.dtype != dtype:
            return host.astype(dtype)
        return np.array(host) if copy else host

    def item(self) -> Any:
        """The value of a tensor of one element as a Python number; runs what is pending."""
        if self.numel() != 1:
            raise RuntimeError(
                f"a Tensor with {self.numel()} elements cannot be converted to Scalar"
            )
        if self.is_meta:
            raise RuntimeError("Tensor.item() cannot be called on meta tensors")
        return (
            self._host().item()
            if self.dtype is not dtypes.bfloat16
            else builtins.float(self._host().reshape(()))
        )

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._host().tolist()

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError(
                "Boolean value of Tensor with "
                + (
                    "no values is ambiguous"
                    if self.numel() == 0
                    else "more than one value is ambiguous"
                )
            )
        return bool(self.item())

    def _number(self) -> Any:
        if self.numel() != 1:
            raise ValueError(
                "only one element tensors can be converted to Python scalars: this one has shape "
                f"{list(self.shape)}"
            )
        return self.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if dtypes.kind(self._node.aval.dtype) > 1 or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    # Comparison is elementwise; as a key a Tensor is itself.
    __hash__ = Handle.__hash__

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        array: Any = self.array
        return array.__dlpack_device__()

    def __array_wrap__(
        self, array: Any, context: Any = None, return_scalar: bool = False
    ) -> Tensor:
        """What NumPy's functions of Tensors give: Tensors; truth values as uint8."""
        array = np.asarray(array)
        return tensor(array.astype(np.uint8) if array.dtype == np.bool_ else array)

    # --- copies

    def new_tensor(
        self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        """A new tensor with `data`, by default of this tensor's dtype and on its device."""
        place = self._node.aval.device if device is None else device
        kind = self.dtype if dtype is None else dtype
        return tensor(data, dtype=kind, device=place, requires_grad=requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment. Detach it first; a module keeps such a tensor where it "
                "was called with gradients, so call it under no_grad() once."
            )
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        old = node_of(self)
        value = value_of(old)
        if value.__class__ is Absent:
            node = same_value(old)
        else:
            node = Node(old.aval, fresh(value), flags=OWNED)
        node.requires_grad, node.flags = old.requires_grad, node.flags | (old.flags & LEAF)
        _set_node(twin, node)
        if self._view is not None and not old.flags & TRACED:
            views.relink(twin, self, _base_copy(self, memo))
        if self._grad is not None and self._grad is not LOST:
            twin._grad = copy.deepcopy(self.grad, memo)
        for name, entry in self.__dict__.items():
            if name not in ("_hooks", "_after_hooks"):
                twin.__dict__[name] = copy.deepcopy(entry, memo)
        return twin

    def __copy__(self) -> Tensor:
        twin = self.detach()
        twin.__class__ = type(self)
        hidden = ("_hooks", "_after_hooks")
        twin.__dict__.update({k: v for k, v in self.__dict__.items() if k not in hidden})
        return twin.requires_grad_(self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        attributes = {k: v for k, v in self.__dict__.items() if k not in ("_hooks", "_after_hooks")}
        return _rebuild, (type(self), np.array(self._host()), self.requires_grad, attributes)

    def __repr__(self) -> str:
        return Hooks.format(self)

    def __format__(self, spec: str) -> str:
        # As PyTorch: a number prints as one, a Parameter and whatever has dimensions as by `repr`.
        if not self.ndim and type(self) is Tensor and str(self.device) != "meta":
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(Hooks.missing(name))

    # --- in place

    def _assign(self, other: Any) -> Tensor:
        """Gives this handle the value of another one (which it does not share afterwards)."""
        node = other._node if isinstance(other, Tensor) else _node_from(other, None, None)
        if mode.grad and node.requires_grad:
            fresh = views.apply(_alias.op, "cut", _alias.op.body, [node], [0], False)
        else:
            fresh = same_value(node)
        views.rebind(self, wrap(fresh))
        return self

    @property
    def is_sparse(self) -> bool:
        """Whether its layout is sparse: never, here."""
        return False


Hooks.tensor = Tensor


@op(name="alias", saves="none", view=False)
def _alias(x: Array) -> Array:
    return jnp.asarray(x)


def same_value(node: Node) -> Node:
    """Another node of the same value, without history."""
    if node.value is None and mode.finished is not None:
        after_step([node])
    if node.value is None or mode.capture is not None:
        return views.apply(_alias.op, "cut", _alias.op.body, [node], [0], True)
    node.flags |= PINNED
    return Node(node.aval, node.value, flags=node.flags & TRACED | PINNED)


@op(name="detach", saves="none", view=True, differentiable=False, write=lambda base, value: value)
def _detach(x: Array) -> Array:
    return jnp.asarray(x)


def _detached(tensor: Tensor, kind: str) -> Tensor:
    node = node_of(tensor)
    if node.flags & TRACED:
        result = wrap(Node(node.aval, stopped(node.value), flags=TRACED))
        views.viewed(result, _detach.op, [tensor], kind)
        return result
    if node.value is None and mode.finished is not None:
        after_step([node])
    if node.value is not None and mode.capture is None:
        result = wrap(Node(node.aval, node.value, flags=node.flags & OWNED | PINNED))
        node.flags |= PINNED
    else:
        result = wrap(views.apply(_detach.op, "cut", _detach.op.body, [node], [0], True))
    views.viewed(result, _detach.op, [tensor], kind)
    if type(tensor) in overriding.classes:
        result.__class__ = type(tensor)
    return result


def _run_hook(hook: Callable[[Tensor], Any], gradient: Tensor) -> Tensor | None:
    """What a hook makes of a gradient; TypeError or RuntimeError for another kind or shape."""
    result = hook(gradient)
    if result is None:
        return None
    if not isinstance(result, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
    if result.shape != gradient.shape:
        raise RuntimeError(
            f"hook '{getattr(hook, '__name__', hook)}' has changed the size of value: the gradient "
            f"has shape {list(gradient.shape)}, the result {list(result.shape)}"
        )
    return result


def wanted_nodes(inputs: Sequence[Tensor]) -> list[Node]:
    """The nodes of `backward(inputs=...)`. RuntimeError for one that does not require grad."""
    if not all(x.requires_grad for x in inputs):
        raise RuntimeError(
            "backward(inputs=...): can't retain_grad on Tensor that has requires_grad=False"
        )
    return [node_of(x) for x in inputs]


def roots_of(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]
) -> tuple[list[Node], list[Node | None]]:
    """The nodes to differentiate and their cotangents, checked as PyTorch does."""
    roots, given = [], []
    for output, gradient in zip(outputs, gradients, strict=True):
        node = node_of(output)
        if node.flags & TRACED and node.value.__class__ is not Absent:
            raise Untraceable(_TRACED_BACKWARD)
        if not node.requires_grad:
            raise RuntimeError(
                "element 0 of tensors does not require grad and does not have a grad_fn: it "
                "depends on no tensor with requires_grad=True, or was computed under no_grad()."
            )
        if gradient is None:
            if node.aval.dtype.kind == "c":
                raise RuntimeError(
                    "grad can be implicitly created only for real scalar outputs but got "
                    f"{output.dtype}"
                )
            if node.aval.shape and output.numel() != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs: this one has shape "
                    f"{list(output.shape)}. Reduce it with sum() or mean(), or pass gradient=."
                )
            given.append(None)
        else:
            if not isinstance(gradient, Tensor):
                raise TypeError(
                    f"gradients can be either Tensors or None, but got {type(gradient).__name__}"
                )
            if gradient._node.aval.shape != node.aval.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[0] has a shape of {gradient.shape} and "
                    f"output[0] has a shape of {output.shape}."
                )
            if "c" in (kinds := gradient.dtype.dtype.kind + node.aval.dtype.kind) and kinds != "cc":
                raise RuntimeError(
                    "For complex Tensors, both grad_output and output are required to have the "
                    f"same dtype: grad_output[0] has {gradient.dtype} and output[0] has "
                    f"{output.dtype}."
                )
            given.append(node_of(gradient))
        roots.append(node)
    return roots, given


# --- making Tensors ------------------------------------------------------------------------------


def _base_copy(view: Tensor, memo: dict[int, Any]) -> Any:
    """The copy of what a view was cut from, one for all that are copied together."""
    family = view._view.family
    base: Any = family.base()
    if id(family) not in memo:
        # The copy of a Parameter stands alone, as PyTorch's.
        plain = base is not None and type(base).__deepcopy__ is Tensor.__deepcopy__
        if base is not None and plain and base.is_leaf:
            memo[id(family)] = copy.deepcopy(base, memo)
        else:
            memo[id(family)] = wrap(Node(family._node.aval, fresh(value_of(family._node))))
        memo.setdefault(id(memo), []).append(family)
    return memo[id(family)]


def _rebuild(
    kind: Any, value: np.ndarray, requires_grad: bool, attributes: dict[str, Any]
) -> Tensor:
    tensor = _made(kind, Node(intern_aval(value.shape, value.dtype), value))
    tensor.requires_grad_(requires_grad)
    tensor.__dict__.update(attributes)
    return tensor


def from_host(array: np.ndarray, device: Any = None) -> Tensor:
    """A Tensor that takes over a fresh NumPy array without copying. Nobody may write it later."""
    return wrap(_node_from(array, None, device, copied=True))


def _to_numpy(data: Any) -> np.ndarray:
    """Nested lists, numbers, arrays and Tensors as one NumPy array."""
    if isinstance(data, (list, tuple)) and _holds_tensors(data):
        data = [_to_numpy(v) for v in data]
    elif isinstance(data, Tensor):
        data = data._host()
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"expected sequences of equal length: {error}") from None
    except TypeError as error:
        raise TypeError(f"cannot make a tensor of {type(data).__name__}: {error}") from None
    if array.dtype.kind in "OUSM":
        raise _no_number(next(iter(np.ravel(np.array(data, dtype=object))), None))
    return array


def _no_number(found: Any) -> Exception:
    name = type(found).__name__
    if isinstance(found, (str, bytes)):
        return TypeError(
            f"can't convert {name} to a tensor: only numbers, bools and nested sequences of them"
        )
    if isinstance(found, (int, float)):
        return ValueError(OVERFLOW)
    return RuntimeError(
        f"Could not infer dtype of {name}: a tensor takes numbers, bools and nested sequences"
    )


OVERFLOW = "Overflow when unpacking long long: an int outside of int64's range came"


def _holds_tensors(data: Any) -> bool:
    return any(
        isinstance(v, Tensor) or (isinstance(v, (list, tuple)) and _holds_tensors(v)) for v in data
    )


_GRAD_OF_INNER = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
    "attribute won't be populated during autograd.backward(). If you indeed want the .grad field "
    "to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. If you "
    "access the non-leaf Tensor by mistake, make sure you access the leaf Tensor instead."
)
_TRACED_BACKWARD = (
    "backward() and autograd.grad() differentiate tensors with values, and this one is being "
    "traced by JAX (in functional_call, func.grad, vmap or jit). Use func.grad or jax.grad inside."
)
_ARRAYS = (np.ndarray, np.generic, jax.Array, Tensor)
_NUMBERS = frozenset((bool, int, float, complex))


def _leaf_types(data: Any) -> set[Any]:
    """The types of the entries of nested sequences: Python's of numbers, dtypes of the rest."""
    if isinstance(data, _ARRAYS):
        return {np.dtype(data._node.aval.dtype if isinstance(data, Tensor) else data.dtype)}
    if not isinstance(data, (list, tuple)):
        return {type(data)}
    found = set(map(type, data))
    if found <= _NUMBERS:
        return found or {float}
    return set().union(*map(_leaf_types, data))


_PYTHON_TYPES = {
    bool: lambda: np.dtype(np.bool_),
    int: lambda: np.dtype(np.int64),
    float: dtypes.default_float,
    complex: lambda: dtypes.get_default_dtype().to_complex().dtype,
}


def _natural(data: Any, array: np.ndarray) -> np.dtype:
    """The dtype that PyTorch gives to this data: numbers take defaults, arrays keep theirs."""
    types = _leaf_types(data)
    known = [_PYTHON_TYPES[t]() if t in _NUMBERS else t for t in types]
    if not all(isinstance(t, np.dtype) for t in known):
        return array.dtype
    if array.dtype == np.uint64 and array.dtype not in known:
        raise ValueError(OVERFLOW)
    return functools.reduce(dtypes.promote_types, known)


def _node_from(data: Any, dtype: Any, device: Any, copied: bool = False) -> Node:
    wanted = dtypes.as_numpy(dtype)
    if isinstance(data, Handle):
        data = value_of(node_of(data))
    if data.__class__ is Absent:
        return absent_node(data.shape, data.dtype if wanted is None else wanted)
    if isinstance(data, Tracer):
        value = data if wanted is None else data.astype(wanted)
        return Node(intern_aval(value.shape, value.dtype), value, flags=TRACED)
    if isinstance(data, jax.Array):
        with jax.enable_x64(True):
            value = data if wanted is None or data.dtype == wanted else data.astype(wanted)
        flags = PINNED
    else:
        value = data if copied else _to_numpy(data)
        wanted = _natural(data, value) if wanted is None else wanted
        if value.dtype != wanted:
            value = _cast(value, wanted, exact=not isinstance(data, np.ndarray))
        dtypes.from_numpy(value.dtype)
        flags = 0
    place = devices.placement(device)
    if place is devices.META:
        return absent_node(value.shape, value.dtype)
    if place is not None:
        with jax.enable_x64(True):
            value = jax.device_put(value, devices.find(place))
        flags = OWNED
    return Node(intern_aval(value.shape, value.dtype, place), value, flags=flags)


def _cast(array: Any, wanted: np.dtype, exact: bool) -> np.ndarray:
    """The values in another type. `exact` numbers must fit; those of arrays wrap, as in C."""
    old, new = dtypes.kind(array.dtype), dtypes.kind(wanted)
    if exact and old == 3 and new < 3:
        raise TypeError(f"must be real number, not complex: {wanted} cannot hold it")
    if exact and new == 1 and old in (1, 2) and array.size:
        _check_range(array, wanted)
    with np.errstate(over="ignore", invalid="ignore"):
        return (array.real if old == 3 and new < 3 else array).astype(wanted)


def _check_range(array: np.ndarray, wanted: np.dtype) -> None:
    """As PyTorch: negative integers wrap in unsigned types when their size fits."""
    limits = np.iinfo(wanted)
    low, high = array.min(), array.max()
    least = -int(limits.max) if not limits.min and array.dtype.kind == "i" else limits.min
    if not (np.isfinite(low) and np.isfinite(high) and low >= least and high <= limits.max):
        raise RuntimeError(
            f"value cannot be converted to type {wanted} without overflow: {low}..{high}"
        )


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new Tensor with a copy of `data`: numbers, nested sequences, NumPy or JAX arrays, Tensors.

    Python floats take the default float type, ints int64; arrays keep their type. `pin_memory` is
    accepted and means nothing here.
    """
    if isinstance(data, np.ndarray) and dtype is None:
        data = _copied(data)
    result = wrap(_node_from(data, dtype, device))
    return result.requires_grad_() if requires_grad else result


def zeros_of(shape: Any, dtype: Any) -> Tensor:
    """Zeros of a shape and type, without running a program."""
    return wrap(_node_from(np.zeros(shape, dtypes.as_numpy(dtype)), None, None, copied=True))


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a Tensor: itself when it already is one of that type and place, else a copy."""
    if isinstance(data, Tensor):
        same_type = dtype is None or dtypes.as_numpy(dtype) == data._node.aval.dtype
        same_place = device is None or devices.placement(device) == data._node.aval.device
        return data if same_type and same_place else data.to(dtype=dtype, device=device)
    return tensor(data, dtype=dtype, device=device)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """As `as_tensor`, with `copy=True` for a copy in any case."""
    result = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype, device)
    return result.requires_grad_() if requires_grad else result


def _copied(array: np.ndarray) -> np.ndarray:
    """A copy in memory that programs use as it is: what is not so aligned, XLA copies once more."""
    size = array.nbytes
    if size < SMALL:
        return np.array(array)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    copy = memory[start : start + size].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


# XLA's alignment in bytes, and the size below which finding an aligned place costs more.
ALIGNMENT, SMALL = 64, 2**14
_BATCHES = frozenset(np.dtype(t) for t in (np.float32, np.int64, np.uint8, np.float64, np.int32))


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A Tensor with a copy of a NumPy array.

    PyTorch shares the memory; here a change of one is not seen in the other.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if ndarray.dtype in _BATCHES:  # the usual ones, without the questions that `tensor` asks
        return wrap(Node(intern_aval(ndarray.shape, ndarray.dtype), _copied(ndarray)))
    return tensor(ndarray)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A Tensor from any object with DLPack's protocol; copied."""
    if isinstance(ext_tensor, Tensor):
        return tensor(ext_tensor)
    with jax.enable_x64(True):
        return wrap(_node_from(jnp.array(jnp.from_dlpack(ext_tensor), copy=True), None, None))


def is_tensor(obj: Any) -> bool:
    """Whether an object is a Tensor."""
    return isinstance(obj, Tensor)

"""`Module`: the base of all layers and models.

A module keeps its parameters, buffers and submodules in three dicts, `_parameters`, `_buffers` and
`_modules`, filled by plain assignment: `self.fc = nn.Linear(4, 2)`.

NOTE: mirrors. PyTorch finds `self.weight` in `__getattr__`, after the normal lookup has failed,
which costs some 15 times a plain attribute: a good part of what recording the operation may cost.
Here the three dicts are `Registry`s, which keep each entry as a plain attribute too. They stay the
truth: what is put into or deleted from them appears and disappears as an attribute.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

from jtoolbox.engine import enter_module, leave_module, mode, structure_changed
from jtoolbox.nn.conversion import Conversion
from jtoolbox.nn.hooks import Hooks, global_hooks, registered
from jtoolbox.nn.parameter import Buffer, Parameter
from jtoolbox.nn.registry import Registry, type_name
from jtoolbox.nn.state_dict import StateDict
from jtoolbox.nn.traversal import Traversal
from jtoolbox.tensor import Tensor

__all__ = ["Module"]

_HOOK_TABLES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_REGISTRIES = ("_parameters", "_buffers", "_modules")
_EXISTS = "attribute '{name}' already exists"
_NON_LEAF = (
    "Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
    "explicitly. To express '{name}' as a function of another Tensor, compute the value in the "
    "forward() method."
)
_NO_PERSISTENT_ARGUMENT = (
    "Registering a non-persistent buffer on a Module subclass that implements register_buffer() "
    "without the persistent argument is not allowed."
)


def indent(text: str, spaces: int = 2) -> str:
    """The text with every line but the first indented; blank lines become empty."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line if line.strip() else "" for line in rest)])


def _forward_unimplemented(self: Any, *input: Any) -> None:
    """Computes the module's result; every module defines it, and callers call the module."""
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )


class Module(Traversal, Conversion, Hooks, StateDict):
    """Base class of all layers and models.

    A subclass calls `super().__init__()`, assigns its layers and parameters to attributes, and
    defines `forward`. Assigned modules, `Parameter`s and `Buffer`s are registered: `parameters()`,
    `state_dict()`, `to()` and `train()` find them.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.hidden = nn.Linear(784, 100)
                self.out = nn.Linear(100, 10)

            def forward(self, x):
                return self.out(F.relu(self.hidden(x)))

        net = Net()
        logits = net(x)

    `training` is True until `eval()`.
    """

    training: bool
    call_super_init: bool = False
    dump_patches: bool = False

    def __init__(self, *args: Any, **kwargs: Any):
        name = type(self).__name__
        if kwargs and not self.call_super_init:
            raise TypeError(
                f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
            )
        if args and not self.call_super_init:
            raise TypeError(
                f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        attributes = self.__dict__
        attributes["training"] = True
        for registry in _REGISTRIES:
            attributes[registry] = Registry(self)
        attributes["_non_persistent_buffers_set"] = set()
        attributes["_is_full_backward_hook"] = None
        for table in _HOOK_TABLES:
            attributes[table] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    forward: Callable[..., Any] = _forward_unimplemented

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # One lookup of the thread's state: each `mode.depth` would cost another 0.1 us.
        state = mode.__dict__
        if not state["depth"]:
            enter_module(self, args)
        state["depth"] += 1
        try:
            if (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
                or (global_hooks.used and global_hooks.any)
            ):
                result = self._call_with_hooks(args, kwargs)
            else:
                result = self.forward(*args, **kwargs)
        finally:
            state["depth"] -= 1
        if not state["depth"]:
            leave_module()
        return result

    # Registration

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a Tensor that is state but not trained, such as BatchNorm's `running_mean`.

        It is an attribute of that name, moves with `to()`, and is saved in `state_dict()` if
        `persistent`. With None, only the name is noted.
        """
        self._check_name("buffer", name, "_buffers")
        if not (tensor is None or isinstance(tensor, Tensor)):
            raise TypeError(
                f"cannot assign '{type_name(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = registered(global_hooks.buffer_registration, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter as an attribute of that name; None notes the name only."""
        self._check_name("parameter", name, "_parameters")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{type_name(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if not param.is_leaf:
                raise ValueError(_NON_LEAF.format(name=name))
            param = registered(global_hooks.parameter_registration, self, name, param)
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule as an attribute of that name."""
        if not (module is None or isinstance(module, Module)):
            raise TypeError(f"{type_name(module)} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = registered(global_hooks.module_registration, self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, kind: str, name: Any, registry: str) -> None:
        if registry not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type_name(name)}")
        if hasattr(self, name) and name not in self.__dict__[registry]:
            raise KeyError(_EXISTS.format(name=name))
        if "." in name:
            got = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')

    # Attributes

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__
        for registry in _REGISTRIES:
            if name in attributes.get(registry, ()):
                return attributes[registry][name]
        message = f"'{type(self).__name__}' object has no attribute '{name}'"
        if "_parameters" not in attributes and not name.startswith("__"):
            message += "; Module.__init__() was not called: start __init__ with super().__init__()"
        raise AttributeError(message)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _REGISTRIES:
            self._set_registry(name, value)
        elif isinstance(value, Parameter):
            self._adopt(name, "_parameters", "parameters")
            self.register_parameter(name, value)
        elif name in self.__dict__.get("_parameters", ()):
            if value is not None:
                raise _wrong_type(name, value, "parameter", "torch.nn.Parameter or None")
            self.register_parameter(name, None)
        elif isinstance(value, Module):
            self._adopt(name, "_modules", "module")
            self._set_module(name, value)
        else:
            self._set_other(name, value)

    def _adopt(self, name: str, registry: str, kind: str) -> None:
        """Makes a name free for an entry of the registry, whatever it stood for before."""
        attributes = self.__dict__
        if registry not in attributes:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if name in attributes[registry]:
            return
        for other in _REGISTRIES:
            attributes[other].pop(name, None)
        attributes.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def _set_module(self, name: str, value: Module | None) -> None:
        self._modules[name] = registered(global_hooks.module_registration, self, name, value)

    def _set_other(self, name: str, value: Any) -> None:
        """Assigns what is neither a parameter nor a module: a buffer, None, a plain attribute."""
        attributes = self.__dict__
        if name in attributes.get("_modules", ()):
            if value is not None:
                raise _wrong_type(name, value, "child module", "torch.nn.Module or None")
            self._set_module(name, None)
        elif isinstance(value, Buffer) or name in attributes.get("_buffers", ()):
            if not (value is None or isinstance(value, Tensor)):
                raise _wrong_type(name, value, "buffer", "torch.nn.Buffer, torch.Tensor or None")
            self._set_buffer(name, value)
        else:
            super().__setattr__(name, value)

    def _set_buffer(self, name: str, value: Tensor | None) -> None:
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        persistent = name not in self._non_persistent_buffers_set
        if isinstance(value, Buffer):
            persistent = value.persistent
        if persistent:
            self.register_buffer(name, value)
        elif _takes_persistent(type(self)):
            self.register_buffer(name, value, persistent=False)
        else:
            raise RuntimeError(_NO_PERSISTENT_ARGUMENT)

    def _set_registry(self, name: str, entries: Any) -> None:
        for old in self.__dict__.get(name, ()):
            self.__dict__.pop(old, None)
        self.__dict__[name] = Registry(self, entries)

    def __delattr__(self, name: str) -> None:
        for registry in _REGISTRIES:
            if name in self.__dict__.get(registry, ()):
                del self.__dict__[registry][name]
                if registry == "_buffers":
                    self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__}
        for registry in _REGISTRIES:
            names.update(self.__dict__.get(registry, ()))
        return sorted(name for name in names if not name[:1].isdigit())

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for registry in _REGISTRIES:
            entries = dict(state.get(registry, ()))
            for name, value in entries.items():
                if state.get(name) is value:
                    state.pop(name, None)
            state[registry] = entries
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = self.__dict__
        for table in _HOOK_TABLES:
            attributes[table] = OrderedDict()
        attributes["_non_persistent_buffers_set"] = set()
        attributes["_is_full_backward_hook"] = None
        attributes.update(state)
        for registry in _REGISTRIES:
            attributes[registry] = Registry(self, attributes.get(registry, ()))

    # Modes and gradients

    def train(self, mode: bool = True) -> Self:
        """Sets `training` here and below: Dropout, BatchNorm and others act by it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        structure_changed()
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """The same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets `requires_grad` of all parameters: False freezes them."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or fills them with zeros."""
        for param in self.parameters():
            if set_to_none:
                param.grad = None
            elif param.grad is not None:
                param.grad.detach_().zero_()

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing, and is here so that ported code runs: every step is compiled as it is."""

    # Printing

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """The settings to show in `repr`: a line, or several."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [
            f"({name}): {indent(repr(module))}" for name, module in self._modules.items()
        ]
        name = self._get_name()
        if len(extra_lines) == 1 and not child_lines:
            return f"{name}({extra_lines[0]})"
        if extra_lines or child_lines:
            return f"{name}(\n  " + "\n  ".join(extra_lines + child_lines) + "\n)"
        return f"{name}()"


def _takes_persistent(kind: type[Module]) -> bool:
    """Whether the class's `register_buffer`, which may be its own, knows `persistent`."""
    own = kind.register_buffer
    return own is Module.register_buffer or "persistent" in inspect.signature(own).parameters


def _wrong_type(name: str, value: Any, kind: str, expected: str) -> TypeError:
    return TypeError(f"cannot assign '{type_name(value)}' as {kind} '{name}' ({expected} expected)")

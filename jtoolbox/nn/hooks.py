"""Hooks of modules: what runs before and after `forward` and around a module's backward pass.

`Hooks` is the part of `Module` that registers hooks and runs a call that has some. A call without
hooks never comes here: `Module.__call__` checks first.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from jtoolbox.engine.handles import RemovableHandle
from jtoolbox.nn.backward_hooks import BackwardHook

__all__ = [
    "RemovableHandle",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

Hook = Callable[..., Any]

_MIXED_BACKWARD = (
    "Cannot use both regular backward hooks and full backward hooks {where}. "
    "Please use only one of them."
)
_PRE_HOOK_RESULT = (
    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}."
)
_SILENCED = (
    "{which} forward hook with ``always_call=True`` raised an exception that was silenced as "
    "another error was raised in forward: {error}"
)


class WrappedHook:
    """A hook that may get its module as first argument, without keeping the module alive."""

    def __init__(self, hook: Hook, module: Any = None):
        functools.update_wrapper(self, hook)
        self.hook = hook
        self.with_module = module is not None
        if module is not None:
            self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        module = self.module() if self.with_module else None
        return {"hook": self.hook, "with_module": self.with_module, "module": module}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook, self.with_module = state["hook"], state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


class GlobalHooks:
    """Hooks common to all modules. `used` is False until one around calls is registered."""

    def __init__(self) -> None:
        self.used = False
        self.forward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.forward: OrderedDict[int, Hook] = OrderedDict()
        self.forward_with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.forward_always: OrderedDict[int, bool] = OrderedDict()
        self.backward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.backward: OrderedDict[int, Hook] = OrderedDict()
        self.backward_is_full: bool | None = None
        self.buffer_registration: OrderedDict[int, Hook] = OrderedDict()
        self.module_registration: OrderedDict[int, Hook] = OrderedDict()
        self.parameter_registration: OrderedDict[int, Hook] = OrderedDict()

    @property
    def any(self) -> bool:
        """Whether any hook would run in a call."""
        return bool(self.forward_pre or self.forward or self.backward_pre or self.backward)


global_hooks = GlobalHooks()


def register(hooks: OrderedDict[int, Hook], hook: Hook, prepend: bool = False, **flags: Any) -> Any:
    """Adds a hook; `flags` are pairs (table, wanted) that note the hook's options by its number."""
    handle = RemovableHandle(hooks, extra_dict=[table for table, _ in flags.values()])
    hooks[handle.id] = hook
    for table, wanted in flags.values():
        if wanted:
            table[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def registered(hooks: OrderedDict[int, Hook], module: Any, name: str, value: Any) -> Any:
    """What registration hooks make of a value about to be registered."""
    for hook in hooks.values():
        output = hook(module, name, value)
        if output is not None:
            value = output
    return value


def register_module_buffer_registration_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, name, buffer)` whenever any module registers a buffer."""
    return register(global_hooks.buffer_registration, hook)


def register_module_module_registration_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, name, submodule)` whenever any module registers a submodule."""
    return register(global_hooks.module_registration, hook)


def register_module_parameter_registration_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, name, param)` whenever any module registers a parameter."""
    return register(global_hooks.parameter_registration, hook)


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, args)` before every module's `forward`, ahead of the module's own."""
    global_hooks.used = True
    return register(global_hooks.forward_pre, hook)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls `hook(module, args, output)` after every module's `forward`, ahead of its own hooks."""
    global_hooks.used = True
    return register(
        global_hooks.forward,
        hook,
        with_kwargs=(global_hooks.forward_with_kwargs, with_kwargs),
        always_call=(global_hooks.forward_always, always_call),
    )


def _register_global_backward(hook: Hook, full: bool) -> RemovableHandle:
    if global_hooks.backward_is_full is (not full):
        raise RuntimeError(_MIXED_BACKWARD.format(where="as a global Module hook"))
    global_hooks.backward_is_full = full
    global_hooks.used = True
    return register(global_hooks.backward, hook)


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """The deprecated form of `register_module_full_backward_hook`."""
    return _register_global_backward(hook, full=False)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` in the backward pass of every module."""
    return _register_global_backward(hook, full=True)


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """Calls `hook(module, grad_output)` before the backward pass of every module."""
    global_hooks.used = True
    return register(global_hooks.backward_pre, hook)


class Hooks:
    """The part of `Module` that keeps hooks and runs calls with them."""

    forward: Callable[..., Any]
    _backward_pre_hooks: OrderedDict[int, Hook]
    _backward_hooks: OrderedDict[int, Hook]
    _is_full_backward_hook: bool | None
    _forward_hooks: OrderedDict[int, Hook]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: OrderedDict[int, Hook]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args)` before `forward`; what it returns replaces the arguments.

        With `with_kwargs`, the hook is called as `hook(module, args, kwargs)` and returns None or a
        pair (args, kwargs). `prepend` puts it before the module's other hooks.
        """
        table = self._forward_pre_hooks_with_kwargs
        return register(self._forward_pre_hooks, hook, prepend, with_kwargs=(table, with_kwargs))

    def register_forward_hook(
        self,
        hook: Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Calls `hook(module, args, output)` after `forward`; what it returns replaces the output.

        With `with_kwargs`, the hook is called as `hook(module, args, kwargs, output)`. With
        `always_call`, it is called even when `forward` raises.
        """
        return register(
            self._forward_hooks,
            hook,
            prepend,
            with_kwargs=(self._forward_hooks_with_kwargs, with_kwargs),
            always_call=(self._forward_hooks_always_called, always_call),
        )

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_output)` when the gradient of the output is known.

        The hook returns None or a tuple that replaces `grad_output` in the rest of the pass.
        """
        return register(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` when the input's gradient is known.

        Both are tuples with one entry for each positional argument or output, None where it is no
        tensor. The hook returns None or a tuple that replaces `grad_input`. Gradients of keyword
        arguments are not seen.
        """
        return self._register_backward(hook, prepend, full=True)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """The deprecated form of `register_full_backward_hook`.

        In PyTorch the `grad_input` of such a hook belongs to the last operation of the module; here
        it is the gradient of the module's inputs.
        """
        return self._register_backward(hook, False, full=False)

    def _register_backward(self, hook: Hook, prepend: bool, full: bool) -> RemovableHandle:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(_MIXED_BACKWARD.format(where="on a single Module"))
        self._is_full_backward_hook = full
        return register(self._backward_hooks, hook, prepend)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call of the module, all its hooks and the global ones included."""
        called: set[int] = set()
        results: list[Any] = [None]
        try:
            args, kwargs = self._run_forward_pre_hooks(args, kwargs)
            backward = self._backward_hook()
            if backward is not None:
                args = backward.watch_inputs(args)
            results[0] = self.forward(*args, **kwargs)
            for hook_id, call in self._forward_hook_calls(args, kwargs):
                called.add(hook_id)
                output = call(results[0])
                if output is not None:
                    results[0] = output
            return results[0] if backward is None else backward.watch_outputs(results[0])
        except Exception:
            self._run_always_called_hooks(args, kwargs, results[0], called)
            raise

    def _run_forward_pre_hooks(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        hooks = (*global_hooks.forward_pre.items(), *self._forward_pre_hooks.items())
        for hook_id, hook in hooks:
            if hook_id in self._forward_pre_hooks_with_kwargs:
                result = hook(self, args, kwargs)
                if result is None:
                    continue
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(_PRE_HOOK_RESULT.format(result=result))
                args, kwargs = result
            else:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)
        return args, kwargs

    def _forward_hook_calls(self, args: Any, kwargs: Any) -> Iterator[tuple[int, Hook]]:
        """Each forward hook in order, with its number, as a function of the output."""
        with_kwargs = {**global_hooks.forward_with_kwargs, **self._forward_hooks_with_kwargs}
        hooks = (*global_hooks.forward.items(), *self._forward_hooks.items())
        for hook_id, hook in hooks:
            given = (self, args, kwargs) if hook_id in with_kwargs else (self, args)
            yield hook_id, functools.partial(hook, *given)

    def _run_always_called_hooks(
        self, args: Any, kwargs: Any, result: Any, called: set[int]
    ) -> None:
        """After an error: the hooks with `always_call` that have not had their turn."""
        for hook_id, call in self._forward_hook_calls(args, kwargs):
            everywhere = hook_id in global_hooks.forward_always
            if hook_id in called or not (
                everywhere or hook_id in self._forward_hooks_always_called
            ):
                continue
            try:
                output = call(result)
                result = result if output is None else output
            except Exception as error:
                which = "global module" if everywhere else "module"
                warnings.warn(_SILENCED.format(which=which, error=error), stacklevel=4)

    def _backward_hook(self) -> BackwardHook | None:
        pre = [*global_hooks.backward_pre.values(), *self._backward_pre_hooks.values()]
        after = [*global_hooks.backward.values(), *self._backward_hooks.values()]
        return BackwardHook(self, after, pre) if pre or after else None

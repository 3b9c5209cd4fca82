"""Hooks of optimizers: what runs around `step`, `state_dict` and `load_state_dict`."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

from jtoolbox.engine import finish_step, mode
from jtoolbox.engine.handles import RemovableHandle

__all__ = [
    "Hooks",
    "as_step",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
]

_PRE_HOOK_RESULT = (
    "step pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}."
)


# Hooks of all optimizers, under the names of an optimizer's own.
_global: defaultdict[str, OrderedDict[int, Callable[..., Any]]] = defaultdict(OrderedDict)


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` before each step of every optimizer, first of all.

    As an optimizer's own, it may return new (args, kwargs).
    """
    return _add(_global["step_pre"], hook)


def register_optimizer_step_post_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` after each step of every optimizer, last of all."""
    return _add(_global["step_post"], hook)


def _add(hooks: OrderedDict[int, Callable[..., Any]], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


class Hooks:
    """The part of `Optimizer` that registers hooks and runs them."""

    _hooks: defaultdict[str, OrderedDict[int, Callable[..., Any]]]
    _stepping = False
    # Whether operations inside `step` are recorded. A step that decides by values runs them at
    # once: what is pending between two decisions differs, and each would be a new program.
    recorded = True

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs).

        The first of `args` is the optimizer.
        """
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` before `state_dict`."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` after `state_dict`; it may return another one."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` before `load_state_dict`; it may return a new one."""
        return self._register("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` after `load_state_dict`."""
        return self._register("load_state_dict_post", hook, prepend)

    def _register(
        self, kind: str, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        hooks = self._hooks[kind]
        handle = _add(hooks, hook)
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def _run_hooks(self, kind: str, *result: Any) -> Any:
        """Runs the hooks of a kind on what came before; what they return takes its place."""
        for hook in list(self._hooks[kind].values()):
            changed = hook(self, *result)
            if changed is not None and result:
                result = (changed,)
        return result[0] if result else None


def as_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """A `step` with its hooks, after which everything recorded waits to run as one program.

    A step that calls the one of its base class is one step. Inside, operations are recorded as in a
    module: a step written with operations on `p.data` is one program, too.
    """

    @functools.wraps(step)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:
            return step(self, *args, **kwargs)
        if self._hooks or _global:
            (_, *args), kwargs = _before(self, (self, *args), kwargs)  # type: ignore[assignment]
        self._stepping = True
        mode.depth += self.recorded
        try:
            result = step(self, *args, **kwargs)
        finally:
            mode.depth -= self.recorded
            self._stepping = False
        finish_step(self)
        if self._hooks or _global:
            for hook in [*self._hooks["step_post"].values(), *_global["step_post"].values()]:
                hook(self, (self, *args), kwargs)
        return result

    return wrapped


def _before(optimizer: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for hook in [*_global["step_pre"].values(), *optimizer._hooks["step_pre"].values()]:
        result = hook(optimizer, args, kwargs)
        if result is None:
            continue
        if not isinstance(result, tuple) or len(result) != 2:
            raise RuntimeError(_PRE_HOOK_RESULT.format(result=result))
        args, kwargs = result
    return args, kwargs

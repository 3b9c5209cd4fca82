"""`torch.jit`'s names: every step is compiled anyway, so scripting and tracing change nothing."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

from jtoolbox.nn.module import Module

__all__ = ["NAMES"]

NO_FILE = (
    "torch.jit.{name}: TorchScript files hold PyTorch's code and are neither written nor read. "
    "Use torch.save(model.state_dict(), path) and model.load_state_dict(torch.load(path))"
)


class ScriptModule(Module):
    """The type of scripted modules in PyTorch. `script` returns the module itself here."""


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """The module or function as it is: what it records is compiled as a whole anyway."""
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The module or function as it is. The example is not run; later inputs may differ from it."""
    return func


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """The module as it is."""
    return mod


def freeze(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """The module as it is."""
    return mod


def optimize_for_inference(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """The module as it is."""
    return mod


def unused(fn: Any) -> Any:
    """The function as it is; in PyTorch a mark for the compiler."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function as it is; in PyTorch a mark for the compiler, with or without arguments."""
    return drop if callable(drop) else lambda fn: fn


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own, for the plain types."""
    return builtins.isinstance(obj, target_type)


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The function's result, computed now: XLA runs independent parts side by side."""
    return func(*args, **kwargs)


def wait(future: Any) -> Any:
    """What `fork` returned."""
    return future


def save(m: Any, f: Any, *args: Any, **kwargs: Any) -> None:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_FILE.format(name="save"))


def load(f: Any, *args: Any, **kwargs: Any) -> Any:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_FILE.format(name="load"))


# What `jtoolbox.jit` carries under PyTorch's names.
NAMES: dict[str, Any] = {
    **{"script": script, "script_if_tracing": script, "export": unused, "interface": unused},
    **{
        "trace": trace,
        "trace_module": trace_module,
        "freeze": freeze,
        "ScriptModule": ScriptModule,
    },
    **{"optimize_for_inference": optimize_for_inference, "unused": unused, "ignore": ignore},
    **{"annotate": annotate, "isinstance": isinstance, "is_scripting": is_scripting},
    **{"is_tracing": is_tracing, "fork": fork, "wait": wait, "save": save, "load": load},
    **{"script_method": unused, "ScriptFunction": Callable, "Final": Final},
    **{"_script_if_tracing": script, "_overload": unused, "_overload_method": unused},
}

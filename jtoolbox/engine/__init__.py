"""The engine: records pure functions, plans, compiles and runs them."""

from jtoolbox.engine import views
from jtoolbox.engine.backward import backward, gradients
from jtoolbox.engine.compile import clear_programs, program_count
from jtoolbox.engine.graph import Handle, Node
from jtoolbox.engine.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    mode,
    no_grad,
    set_grad_enabled,
    structure_changed,
)
from jtoolbox.engine.realize import flush, synchronize
from jtoolbox.engine.record import Array, Key, inplace, numpy_names, op
from jtoolbox.engine.scope import enter_module, leave_module
from jtoolbox.engine.step import finish_step, gradients_dropped

__all__ = [
    "Array",
    "Handle",
    "Key",
    "Node",
    "backward",
    "clear_programs",
    "enable_grad",
    "enter_module",
    "finish_step",
    "flush",
    "gradients",
    "gradients_dropped",
    "inference_mode",
    "inplace",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "leave_module",
    "mode",
    "no_grad",
    "numpy_names",
    "op",
    "program_count",
    "set_grad_enabled",
    "structure_changed",
    "synchronize",
    "views",
]

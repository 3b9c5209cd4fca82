"""Puts the parts together: methods and printing onto Tensor, settings of JAX. Imported first."""

from __future__ import annotations

from jtoolbox import environment
from jtoolbox.engine.record import Hooks
from jtoolbox.ops import methods, printing
from jtoolbox.tensor import Tensor

environment.reuse_memory()
environment.enable_cache()
methods.install(Tensor)
Hooks.format = staticmethod(printing.format_tensor)  # type: ignore[attr-defined]
Hooks.missing = staticmethod(methods.missing_attribute)  # type: ignore[attr-defined]

"""Reports on what the library does: `set_logs(recompiles=True)` explains every compilation."""

from jtoolbox.engine.explain import RecompileWarning, set_logs

__all__ = ["RecompileWarning", "set_logs"]

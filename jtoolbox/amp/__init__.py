"""Mixed precision: `autocast`, and `GradScaler` for float16."""

from jtoolbox.amp import autocast_mode, grad_scaler
from jtoolbox.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from jtoolbox.amp.grad_scaler import GradScaler

__all__ = [
    "GradScaler",
    "autocast",
    "autocast_mode",
    "custom_bwd",
    "custom_fwd",
    "grad_scaler",
    "is_autocast_available",
]

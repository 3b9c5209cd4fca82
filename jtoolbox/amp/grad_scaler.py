"""Loss scaling for float16, whose small gradients would vanish."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine import Array, inplace, op
from jtoolbox.tensor import Tensor, from_host

__all__ = ["GradScaler"]

NO_DEVICE = "GradScaler is enabled, but device '{device}' is not available. Disabling."
NO_SCALE = (
    "Attempted {what} but _scale is None.  This may indicate your script did not use "
    "scaler.scale(loss or outputs) earlier in the iteration."
)
NO_GRADIENTS = "No inf checks were recorded for this optimizer."
NO_OPTIMIZER = "No inf checks were recorded prior to update."
EMPTY = (
    "The source state dict is empty, possibly because it was saved from a disabled instance of "
    "GradScaler."
)
CLOSURE = "Closure use is not currently supported if GradScaler is enabled."
READY, UNSCALED, STEPPED = range(3)


@op(name="unscale", differentiable=False, saves="none")
def _unscale(gradients: Sequence[Array], scale: Array) -> Any:
    """Whether any gradient is infinite or NaN, and the gradients divided by the scale."""
    found = jnp.stack([jnp.any(~jnp.isfinite(g)) for g in gradients]).any()
    inverse = (1 / scale.astype(jnp.float64)).astype(jnp.float32)
    return found, *[(g * inverse).astype(g.dtype) for g in gradients]


class GradScaler:
    """Multiplies losses by a scale S, divides gradients by S, and adapts S.

        scaler.scale(loss).backward()
        scaler.step(optimizer)  # gradients / S; skipped when one of them is inf or NaN
        scaler.update()

    S starts at `init_scale`, is multiplied by `backoff_factor` after a skipped step and by
    `growth_factor` after `growth_interval` steps in a row without one. `step` has to know whether
    to skip, so the backward pass and the update are two programs, and a step under `jtoolbox.jit`
    cannot use it; bfloat16 needs no scaler. A `device` that is not here disables it with a warning.
    Micikevicius et al., "Mixed Precision Training", https://arxiv.org/abs/1710.03740.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        self._device = device
        kind = devices.device(device).type
        if enabled and kind not in ("cpu", devices.accelerator_type()):
            warnings.warn(NO_DEVICE.format(device=device), stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._scale: float | None = None
        self._growth_tracker = 0
        self._init_scale = init_scale
        if enabled:
            if not growth_factor > 1.0:
                raise AssertionError("The growth factor must be > 1.0.")
            if not backoff_factor < 1.0:
                raise AssertionError("The backoff factor must be < 1.0.")
            self._growth_factor = growth_factor
            self._backoff_factor = backoff_factor
            self._growth_interval = growth_interval
        self._optimizers: dict[int, dict[str, Any]] = {}

    def scale(self, outputs: Any) -> Any:
        """A loss, or a list or tuple of tensors, times the scale."""
        if not self._enabled:
            return outputs
        if self._scale is None:
            self._scale = float(self._init_scale)
        if isinstance(outputs, Tensor):
            return outputs * self._scale_tensor(outputs)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(v) for v in outputs)
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _scale_tensor(self, like: Tensor) -> Tensor:
        value = from_host(np.array(self._scale, np.float32))
        return value if like._node.aval.device is None else value.to(like.device)

    def _state(self, optimizer: Any, what: str) -> dict[str, Any]:
        if self._scale is None:
            raise AssertionError(NO_SCALE.format(what=what))
        return self._optimizers.setdefault(id(optimizer), {"stage": READY, "found": None})

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of an optimizer's parameters by the scale, for clipping them.

        RuntimeError when called twice before `update`, or after `step`.
        """
        if not self._enabled:
            return
        state = self._state(optimizer, "unscale_")
        if state["stage"] == UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] == STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        self._unscale(optimizer, state)
        state["stage"] = UNSCALED

    def _unscale(self, optimizer: Any, state: dict[str, Any]) -> None:
        params = [p for g in optimizer.param_groups for p in g["params"] if p._grad is not None]
        gradients = [p.grad for p in params]
        if any(g.dtype is dtypes.float16 for g in gradients):
            raise ValueError("Attempting to unscale FP16 gradients.")
        if gradients:
            scale = self._scale_tensor(gradients[0])
            state["found"], *new = _unscale(gradients, scale)
            for gradient, value in zip(gradients, new, strict=True):
                inplace(gradient, value)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscales the gradients, unless that was done, and runs `optimizer.step(*args)`, unless
        one of them is inf or NaN. Returns what the optimizer's step returns; None if skipped.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError(CLOSURE)
        state = self._state(optimizer, "step")
        if state["stage"] == STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] == READY:
            self._unscale(optimizer, state)
        if state["found"] is None:
            raise AssertionError(NO_GRADIENTS)
        state["found"] = bool(state["found"])
        state["stage"] = STEPPED
        return None if state["found"] else optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapts the scale to what the steps since the last `update` found, or sets it."""
        if not self._enabled:
            return
        if self._scale is None:
            raise AssertionError(NO_SCALE.format(what="update"))
        if new_scale is not None:
            if isinstance(new_scale, Tensor) and (
                new_scale.numel() != 1 or new_scale.requires_grad
            ):
                raise AssertionError(
                    "new_scale should be a float or a 1-element tensor with requires_grad=False"
                )
            self._scale = float(new_scale)
        else:
            found = [s["found"] for s in self._optimizers.values() if s["found"] is not None]
            if not found:
                raise AssertionError(NO_OPTIMIZER)
            self._adapt(any(bool(f) for f in found))
        self._optimizers.clear()

    def _adapt(self, overflow: bool) -> None:
        scale = np.float32(self._scale)
        if overflow:
            self._scale = float(scale * np.float32(self._backoff_factor))
            self._growth_tracker = 0
            return
        self._growth_tracker += 1
        if self._growth_tracker == self._growth_interval:
            with np.errstate(over="ignore"):
                grown = scale * np.float32(self._growth_factor)
            self._scale = float(grown if np.isfinite(grown) else scale)
            self._growth_tracker = 0

    def get_scale(self) -> float:
        """The scale now; 1.0 when disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale

    def is_enabled(self) -> bool:
        """Whether it scales at all."""
        return self._enabled

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by when it grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets what the scale is multiplied by when it grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a skipped step."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets what the scale is multiplied by after a skipped step."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many steps in a row must succeed before the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets how many steps in a row must succeed before the scale grows."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """Scale, settings and counter under PyTorch's names; empty when disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`; RuntimeError for an empty one."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(EMPTY)
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale = float(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]

"""Types of what recurrent networks give under autocast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox.engine.autocast import policy_of
from jtoolbox.engine.graph import Handle
from jtoolbox.engine.record import node_of

__all__ = ["as_the_state"]


def as_the_state(results: Sequence[Any], places: Sequence[int], input: Any, state: Any) -> tuple:
    """The results, of which those at `places` take the type of the state that they continue.

    PyTorch on a CPU adds these up outside of its low-precision products; without a state they
    continue zeros of the input's type. Without autocast nothing changes.
    """
    device = node_of(input).aval.device if isinstance(input, Handle) else None
    policy = policy_of(device)
    if policy is None or policy.device != "cpu":
        return tuple(results)
    continued: Any = state[-1] if state else input
    return tuple(_cast(r, continued.dtype) if i in places else r for i, r in enumerate(results))


def _cast(value: Any, dtype: Any) -> Any:
    return value.astype(dtype) if not isinstance(value, Handle) else value.to(dtype)  # type: ignore[attr-defined]

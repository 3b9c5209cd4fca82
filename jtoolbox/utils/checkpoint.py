"""Trading computation for memory: inner values are computed again in the backward pass."""

from __future__ import annotations

import contextlib
import enum
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jtoolbox import cuda
from jtoolbox.engine.modes import mode
from jtoolbox.engine.region import Mark, merge
from jtoolbox.nn.container import Sequential
from jtoolbox.tensor import Tensor
from jtoolbox.utils._pytree import tree_leaves

__all__ = [
    "CheckpointError",
    "CheckpointPolicy",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]

_POLICY = (
    "{name} is not supported: what is saved is XLA's choice. Leave it away, or use "
    "jax.checkpoint(policy=...) on a functional_call"
)


class CheckpointError(RuntimeError):
    """What PyTorch raises when a recomputation differs; here it cannot: it is the same program."""


class CheckpointPolicy(enum.Enum):
    """What to do with a value, for `create_selective_checkpoint_contexts`."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


def create_selective_checkpoint_contexts(*args: Any, **kwargs: Any) -> Any:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(_POLICY.format(name="create_selective_checkpoint_contexts"))


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing: the default of `context_fn`."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class set_checkpoint_early_stop:
    """Accepted, as a context: XLA computes again only what gradients need."""

    def __init__(self, enable: bool):
        self.enable = enable

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        pass


class set_checkpoint_debug_enabled(set_checkpoint_early_stop):
    """Accepted, as a context: a recomputation is the same program and cannot differ."""

    def __init__(self, enabled: bool | None):
        super().__init__(bool(enabled))


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Detached tensors that require grad where the given ones do; the rest as it is."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    return tuple(
        x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in inputs
    )


# One function object, since the recorded call is remembered under it.
_transform = functools.partial(jax.checkpoint)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[..., Any] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which only the results are kept for the backward pass.

    What it recorded becomes one operation under `jax.checkpoint`: memory for its inner values is
    given back after the forward pass, and they are computed again, with the same random masks, when
    gradients pass. Gradients are those of the plain call, for parameters used inside as well, and
    buffers are updated once. The function runs as it is where no gradients are recorded, under
    `functional_call` and other JAX transformations (use `jax.checkpoint` there), and where it asks
    for a value. The settings are accepted; `context_fn` raises NotImplementedError.
    Chen et al., "Training Deep Nets with Sublinear Memory Cost", https://arxiv.org/abs/1604.06174.
    """
    if context_fn is not None and context_fn is not noop_context_fn:
        raise NotImplementedError(_POLICY.format(name="checkpoint(context_fn=...)"))
    if mode.functional is not None or not mode.grad:
        return function(*args, **kwargs)
    mark = Mark()
    result = function(*args, **kwargs)
    merge(mark, "CheckpointFunctionBackward", _transform)
    return result


def checkpoint_sequential(
    functions: Sequential | Sequence[Callable[..., Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Applies functions one after another in so many segments, each but the last a `checkpoint`.

    `functions` are a `Sequential` or a list. `preserve_rng_state` is accepted.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if isinstance(functions, Sequential) else list(functions)
    size = len(steps) // segments

    def run(part: Sequence[Callable[..., Any]]) -> Callable[[Any], Any]:
        return lambda x: functools.reduce(lambda value, step: step(value), part, x)

    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(run(steps[start:end]), input, preserve_rng_state=preserve)
    return run(steps[end:])(input)


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The GPUs on which tensors among the arguments lie, and the states of their generators.

    Every device draws from the default generator here, so each state is its.
    """
    tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.is_cuda]
    numbers = list(dict.fromkeys(t.get_device() for t in tensors))
    return numbers, [cuda.get_rng_state(number) for number in numbers]


def set_device_states(
    devices: Sequence[int], states: Sequence[Tensor], *, device_type: str | None = None
) -> None:
    """Sets the states that `get_device_states` gave."""
    for device, state in zip(devices, states, strict=True):
        cuda.set_rng_state(state, device)

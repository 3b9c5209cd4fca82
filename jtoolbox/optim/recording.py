"""Recording an update: the rule for one array, lifted to all arrays of a group, as one call.

The call's inputs are parameters, gradients, state and the group's numbers. The numbers are data, so
that a changed `lr` compiles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from weakref import ref

import jax.numpy as jnp

from jtoolbox.engine import Node, mode
from jtoolbox.engine.graph import LEAF, OVERWRITTEN, Call
from jtoolbox.engine.record import make_call, node_of, record, wrap
from jtoolbox.engine.views import rebind

__all__ = ["freeze_numbers", "lift", "record_update"]

Array = Any
Rule = Callable[..., tuple[Array, dict[str, Array]]]

_FROZEN = (
    "the settings of a parameter group changed in kind under jtoolbox.jit or scan: the step was "
    "recorded with {old} and now has {new}. Wrap the step anew after such a change; new values of "
    "the same numbers need nothing."
)

_calls: dict[Hashable, Call] = {}


def record_update(
    key: tuple[Hashable, ...],
    make: Callable[[], tuple[str, Callable[..., Any], tuple[Any, ...]]],
    params: Sequence[Any],
    state: Sequence[Any],
    numbers: Mapping[str, float],
) -> Node:
    """Records one call that gives `params` and then `state` their new values; its node.

    `make` returns its name, function and statics, once for each `key` and types of the inputs.
    """
    gradients = [p._grad for p in params]
    inputs: tuple[Any, ...] = (
        *[p._node if p._view is None else node_of(p) for p in params],
        *[g if g.__class__ is Node else node_of(g) for g in gradients],
        *[s._node for s in state],
        *numbers.values(),
    )
    avals = tuple([i.aval if i.__class__ is Node else i.__class__ for i in inputs])
    call = _calls.get((key, avals))
    if call is None:
        name, function, statics = make()
        device = inputs[0].aval.device
        call = make_call(name, function, avals, device=device, statics=statics)
        _calls[key, avals] = call
    handles = (*params, *state)
    nodes = record(call, inputs, False)
    capture = mode.capture
    if capture is not None:
        capture.rebound += [(h, h._node) for h in handles if h._view is h._family is None]
    for handle, node in zip(handles, nodes, strict=True):
        if handle._view is not None or handle._family is not None:
            rebind(handle, wrap(node))
            continue
        old = handle._node
        if old.requires_grad:  # a leaf that requires grad stays one
            node.requires_grad = True
            node.flags = LEAF
        old.flags |= OVERWRITTEN
        node.owner = ref(handle)
        handle._node = node
    return nodes[0].inputs[0]


def lift(
    rule: Rule,
    count: int,
    names: tuple[str, ...],
    numbers: tuple[str, ...],
    flags: Mapping[str, Any],
) -> Callable[..., tuple[Array, ...]]:
    """The rule for one array as a function of all arrays of a group, flat in and flat out."""

    def function(*values: Any) -> tuple[Array, ...]:
        arrays = values[: (2 + len(names)) * count]
        given = dict(zip(numbers, values[len(arrays) :], strict=True))
        columns = [arrays[i * count : (i + 1) * count] for i in range(2 + len(names))]
        new_values, new_states = [], []
        for p, g, *entries in zip(*columns, strict=True):
            real = jnp.finfo(p.dtype).dtype
            h = SimpleNamespace(**{k: jnp.asarray(v).astype(real) for k, v in given.items()})
            given_state = dict(zip(names, entries, strict=True))
            state = {n: _as_real(s) for n, s in given_state.items()}
            new, new_state = rule(_as_real(p), _as_real(g.astype(p.dtype)), state, h, **flags)
            new_values.append(_as(p.dtype, new))
            new_states.append([_as(s.dtype, new_state[n]) for n, s in given_state.items()])
        return (*new_values, *[s[i] for i in range(len(names)) for s in new_states])

    return function


def _as_real(x: Array) -> Array:
    """A complex array as pairs of real ones: a rule treats its parts apart, as in PyTorch."""
    return jnp.stack([x.real, x.imag], -1) if jnp.iscomplexobj(x) else x


def _as(dtype: Any, x: Array) -> Array:
    """The result of a rule in the type of what it replaces."""
    if jnp.issubdtype(dtype, jnp.complexfloating) and not jnp.iscomplexobj(x):
        x = x[..., 0] + 1j * x[..., 1]
    return x.astype(dtype)


class FrozenNumbers:
    """What a frozen step asks before each call: the numbers of the next update, which it counts."""

    def __init__(self, optimizer: Any, group: dict[str, Any], states: list[Any], step: int):
        self.optimizer = optimizer
        self.group = group
        self.states = states
        self.step = step
        self.undone = False
        self.kind = self._kind(optimizer.numbers(group, step))

    def _kind(self, numbers: Mapping[str, float]) -> tuple[Any, ...]:
        return tuple(numbers), self.optimizer.flags(self.group)

    def __call__(self) -> list[float]:
        if self.optimizer.counts_steps:
            step = int(self.states[0]["step"]._node.value) + 1
        else:
            step = self.step if self.undone else self.step + 1
        numbers = self.optimizer.numbers(self.group, step)
        if self._kind(numbers) != self.kind:
            raise RuntimeError(_FROZEN.format(old=self.kind, new=self._kind(numbers)))
        if self.optimizer.counts_steps:
            self.optimizer._count(self.states, step)
        self.undone = False
        return list(numbers.values())

    def undo(self) -> None:
        """Makes the recorded update the next one again."""
        self.undone = True
        if self.optimizer.counts_steps:
            self.optimizer._count(self.states, self.step - 1)


def freeze_numbers(
    node: Node, optimizer: Any, group: dict[str, Any], states: list[Any], step: int
) -> None:
    """While a step is being frozen, tells where its later calls get the numbers of an update."""
    if mode.capture is not None:
        reader = FrozenNumbers(optimizer, group, states, step)
        mode.capture.numbers(node, reader, reader.undo)

"""Any optax optimizer as one with `param_groups`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine.graph import leaf_node
from jtoolbox.engine.record import node_of, wrap
from jtoolbox.optim.optimizer import Optimizer
from jtoolbox.optim.recording import freeze_numbers, record_update

__all__ = ["Optax"]

_NO_SETTING = "{factory}() has no settings {unknown}; it takes {accepted}"
_NOT_FINITE = "Invalid {name}: {value}. It must be a finite number."
_NO_GRADIENT = (
    "{missing} of {count} parameters of this group have no gradient; optax updates all of them "
    "together. Put the others in another group."
)


class Optax(Optimizer):
    """An optax optimizer: `Optax(model.parameters(), optax.lion, learning_rate=1e-4)`.

    `factory` is a function that returns an `optax.GradientTransformation`. The numbers given here
    are settings of the group, with `learning_rate` under PyTorch's name: they are read at every
    step, so changing `param_groups[0]["lr"]` takes effect at once and compiles nothing. Other
    values go to the factory as they are.

        def clipped(learning_rate):
            return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))

        optimizer = Optax(model.parameters(), clipped, learning_rate=1e-3)

    Every group has its own optax state, which `state_dict` holds as a flat list under its first
    parameter. All parameters of a group must have gradients at each step (RuntimeError says how
    many have none). An integer that must be known when compiling (`every_k_schedule` of
    `optax.MultiSteps`) belongs inside the factory.
    """

    def __init__(self, params: Iterable[Any], factory: Callable[..., Any], **settings: Any):
        _check_settings(factory, settings)
        self.factory = factory
        numbers = {n: v for n, v in settings.items() if type(v) in (int, float)}
        self.names = {_TORCH_NAMES.get(n, n): n for n in numbers}
        self.fixed = {n: v for n, v in settings.items() if n not in numbers}
        super().__init__(params, {ours: numbers[theirs] for ours, theirs in self.names.items()})

    def check(self, group: Mapping[str, Any]) -> None:
        for name in self.names:
            if not np.isfinite(float(group[name])):
                raise ValueError(_NOT_FINITE.format(name=name, value=group[name]))

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        return {theirs: group[ours] for ours, theirs in self.names.items()}

    def _step_group(self, group: dict[str, Any]) -> None:
        params = [p for p in group["params"] if p._grad is not None]
        if not params:
            return
        missing = len(group["params"]) - len(params)
        if missing:
            raise RuntimeError(_NO_GRADIENT.format(missing=missing, count=len(group["params"])))
        state = self.state[params[0]]
        numbers = self.numbers(group, 1)
        if "optax" not in state:
            state["optax"] = self._start(params, numbers)
        leaves = state["optax"]
        key = (_hashable(self.factory, self.fixed), tuple(numbers), len(params))

        def make() -> tuple[str, Callable[..., Any], tuple[Any, ...]]:
            function = _update(self.factory, self.fixed, tuple(numbers), len(params), len(leaves))
            return "Optax.step", function, ()

        node = record_update(key, make, params, leaves, numbers)
        freeze_numbers(node, self, group, [state], 1)

    def _start(self, params: list[Any], numbers: dict[str, float]) -> list[Any]:
        """The leaves of the optax state before the first update."""
        nodes = [node_of(p) for p in params]
        # A leaf's value is there already; asking for .array would keep it from being donated.
        values = [
            n.value if n.value is not None else p.array for n, p in zip(nodes, params, strict=True)
        ]
        with jax.enable_x64(True):
            tree = self.factory(**numbers, **self.fixed).init([jnp.asarray(v) for v in values])
            leaves = [np.array(leaf) for leaf in jax.tree.leaves(tree)]
        return [wrap(leaf_node(leaf, nodes[0].aval.device)) for leaf in leaves]


_TORCH_NAMES = {"learning_rate": "lr"}


def _check_settings(factory: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    accepted = inspect.signature(factory).parameters
    if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return
    unknown = [name for name in settings if name not in accepted]
    if unknown:
        name = getattr(factory, "__name__", repr(factory))
        message = _NO_SETTING.format(factory=name, unknown=unknown, accepted=list(accepted))
        raise TypeError(message)


def _hashable(factory: Callable[..., Any], fixed: dict[str, Any]) -> Any:
    """What tells two optimizers apart for the cache of programs."""
    try:
        key = (factory, tuple(fixed.items()))
        hash(key)
    except TypeError:
        return id(fixed)
    return key


def _update(
    factory: Callable[..., Any],
    fixed: dict[str, Any],
    names: tuple[str, ...],
    count: int,
    states: int,
) -> Callable[..., tuple[Any, ...]]:
    """One optax update as a function of parameters, gradients, state and numbers, all flat."""

    def function(*values: Any) -> tuple[Any, ...]:
        params, gradients = list(values[:count]), list(values[count : 2 * count])
        leaves = values[2 * count : 2 * count + states]
        numbers = dict(zip(names, values[2 * count + states :], strict=True))
        numbers = {n: jnp.asarray(v).astype(params[0].dtype) for n, v in numbers.items()}
        transformation = factory(**numbers, **fixed)
        treedef = jax.tree.structure(jax.eval_shape(transformation.init, params))
        state = jax.tree.unflatten(treedef, leaves)
        updates, new = transformation.update(gradients, state, params)
        updated = [p + u for p, u in zip(params, updates, strict=True)]
        back = [n.astype(o.dtype) for n, o in zip(jax.tree.leaves(new), leaves, strict=True)]
        return (*[u.astype(p.dtype) for u, p in zip(updated, params, strict=True)], *back)

    return function

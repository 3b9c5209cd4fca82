"""Any optax optimizer as one with `param_groups`."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jtoolbox.engine.graph import LEAF, OVERWRITTEN, Node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import leaf_node, make_call, node_of, record, wrap
from jtoolbox.optim.optimizer import NumberReader, Optimizer

__all__ = ["Optax"]


class Optax(Optimizer):
    """An optax optimizer: `Optax(model.parameters(), optax.lion, learning_rate=1e-4)`.

    `factory` is a function of numbers that returns an `optax.GradientTransformation`; the numbers
    given here are settings of the group, read at every step, so changing
    `param_groups[0]["learning_rate"]` (or its alias "lr") takes effect at once and compiles nothing.
    Every group has its own optax state, which `state_dict` holds as a flat list. All parameters of a
    group must have gradients at each step: RuntimeError names how many have none.
    """

    def __init__(self, params: Iterable[Any], factory: Callable[..., Any], **settings: Any):
        self.factory = factory
        accepted = inspect.signature(factory).parameters
        unknown = [name for name in settings if name not in accepted]
        if unknown:
            raise TypeError(f"{factory.__name__}() has no settings {unknown}; it takes {list(accepted)}")
        self.names = tuple(n for n, v in settings.items() if type(v) in (int, float))
        self.fixed = {n: v for n, v in settings.items() if n not in self.names}
        self._trees: dict[int, Any] = {}
        super().__init__(params, {n: settings[n] for n in self.names})

    def check(self, group: Mapping[str, Any]) -> None:
        for name in self.names:
            if not np.isfinite(float(group[name])):
                raise ValueError(f"Invalid {name}: {group[name]}. It must be a finite number.")

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        return {name: group[name] for name in self.names}

    def _step_group(self, group: dict[str, Any]) -> None:
        params = [p for p in group["params"] if p._grad is not None]
        if not params:
            return
        if len(params) != len(group["params"]):
            raise RuntimeError(
                f"{len(group['params']) - len(params)} of {len(group['params'])} parameters of this group "
                "have no gradient; optax updates all of them together. Put the others in another group."
            )
        state = self.state[params[0]]
        if "optax" not in state:
            state["optax"] = self._start(group, params)
        self._record_optax(group, params, state["optax"])

    def _start(self, group: dict[str, Any], params: list[Any]) -> list[Any]:
        with jax.enable_x64(True):
            arrays = [np.zeros(p.shape, p._node.aval.dtype) for p in params]
            values = [p.array for p in params] if mode.capture is None else arrays
            tree = self.factory(**self.numbers(group, 1), **self.fixed).init(values)
            leaves = jax.tree.leaves(tree)
        return [wrap(leaf_node(np.array(leaf), params[0]._node.aval.device)) for leaf in leaves]

    def _record_optax(self, group: dict[str, Any], params: list[Any], state: list[Any]) -> None:
        numbers = self.numbers(group, 1)
        gradients = [p._grad for p in params]
        inputs = (
            *[node_of(p) for p in params],
            *[g if g.__class__ is Node else node_of(g) for g in gradients],
            *[s._node for s in state],
            *numbers.values(),
        )
        key = (len(params), tuple([i.aval if i.__class__ is Node else i.__class__ for i in inputs]))
        call = self._calls.get(key)
        if call is None:
            function = self._function(len(params), len(state))
            avals = [i.aval if i.__class__ is Node else i.__class__ for i in inputs]
            call = self._calls[key] = make_call("Optax.step", function, avals, device=inputs[0].aval.device)
        nodes = record(call, inputs, False)
        if mode.capture is not None:
            reader = NumberReader(self, group, [], 1)
            mode.capture.numbers(nodes[0].inputs[0], reader, reader.undo)
        for handle, node in zip((*params, *state), nodes, strict=True):
            old = handle._node
            if old.requires_grad:
                node.requires_grad = True
                node.flags |= LEAF
            old.flags |= OVERWRITTEN
            node.owner = weakref.ref(handle)
            handle._node = node

    def _function(self, count: int, states: int) -> Callable[..., Any]:
        names, fixed, factory = self.names, self.fixed, self.factory

        def function(*values: Any) -> tuple[Any, ...]:
            params, gradients = list(values[:count]), list(values[count : 2 * count])
            leaves = values[2 * count : 2 * count + states]
            numbers = dict(zip(names, values[2 * count + states :], strict=True))
            numbers = {n: jnp.asarray(v).astype(params[0].dtype) for n, v in numbers.items()}
            transformation = factory(**numbers, **fixed)
            treedef = jax.tree.structure(jax.eval_shape(transformation.init, params))
            state = jax.tree.unflatten(treedef, leaves)
            updates, new = transformation.update(gradients, state, params)
            updated = optax.apply_updates(params, updates)
            back = [n.astype(o.dtype) for n, o in zip(jax.tree.leaves(new), leaves, strict=True)]
            return (*[u.astype(p.dtype) for u, p in zip(updated, params, strict=True)], *back)

        return function

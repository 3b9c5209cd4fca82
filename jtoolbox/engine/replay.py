"""A plan's steps run on the values JAX traces: this is where gradients come from.

The engine holds no derivative rule. A backward pass is a step like any other (`Gradient`); to run
it, the steps between its roots and what they are differentiated by are replayed inside `jax.vjp`.
Inner values that somebody else needs come out of that same replay, so nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox.engine.autocast import within
from jtoolbox.engine.graph import Aval, Call
from jtoolbox.engine.plan import Plan


class Gradient(Call):
    """The call of a backward pass: inputs are roots, cotangents, and what to differentiate by."""

    __slots__ = ("roots", "given", "wrt")

    def __init__(self, roots: int, given: tuple[bool, ...], wrt: tuple[Aval, ...]):
        super().__init__("Gradient", _no_function, wrt, saves="none", avals=wrt)
        self.roots = roots
        self.given = given
        self.wrt = wrt

    def split(self, inputs: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """The inputs as roots, cotangents, and wrt."""
        given = self.roots + sum(self.given)
        return inputs[: self.roots], inputs[self.roots : given], inputs[given:]


def _no_function(*_: Any) -> Any:
    raise RuntimeError("a gradient step is replayed by its evaluation, not called")


def conjugate(value: Any) -> Any:
    """Between PyTorch's gradients of complex numbers and JAX's: each other's conjugates."""
    return jnp.conj(value) if jnp.iscomplexobj(value) else value


class Region:
    """The steps that lie between `wrt` and `roots`, and what they need from outside."""

    def __init__(self, plan: Plan, roots: tuple[int, ...], wrt: tuple[int, ...], end: int):
        self.roots, self.wrt = roots, wrt
        depends = set(wrt)
        for s in range(end):
            if any(i in depends for i in plan.steps[s].inputs):
                depends.add(s)
        needed = {r for r in roots if r >= 0 and r in depends}
        for s in range(end - 1, -1, -1):
            if s in needed:
                needed.update(
                    i for i in plan.steps[s].inputs if i is not None and i >= 0 and i in depends
                )
        self.steps = sorted(needed)
        inner = needed | set(wrt)
        outside = {i for s in self.steps for i in plan.steps[s].inputs if i is not None}
        self.externals = sorted((outside | set(roots)) - inner)
        self.visited = False


class Evaluation:
    """Values of steps and slots (slot k under -1 - k), computed on demand and in order.

    `deltas` are zeros added to inner steps, by which those steps are differentiated. `inside` a
    `jax.vjp`, steps through which no gradient flows are cut off.
    """

    def __init__(
        self,
        plan: Plan,
        values: dict[int, Any],
        gradients: Iterable[int],
        deltas: dict[int, Any],
        inside: bool,
    ):
        self.plan = plan
        self.values = values
        self.deltas = deltas
        self.inside = inside
        self.owner: dict[int, int] = {}
        self.regions: dict[int, Region] = {}
        for s in sorted(gradients, reverse=True):
            if s in self.owner:  # a backward pass that a later one differentiates
                continue
            step = plan.steps[s]
            roots, _, wrt = step.call.split(step.inputs)  # type: ignore[attr-defined]
            self.regions[s] = region = Region(plan, roots, wrt, s)
            for inner in region.steps:
                self.owner.setdefault(inner, s)

    def need(self, target: int) -> Any:
        """The value of a step; computes what is missing for it first."""
        stack = [target]
        while stack:
            s = stack[-1]
            if s in self.values:
                stack.pop()
                continue
            number = s if s in self.regions else self.owner.get(s)
            if number is not None and not self.regions[number].visited:
                self.differentiate(number)
                continue
            missing = [
                i for i in self.plan.steps[s].inputs if i is not None and i not in self.values
            ]
            if missing:
                stack.extend(missing)
            else:
                self.values[s] = self.call(s)
                stack.pop()
        return self.values[target]

    def call(self, s: int) -> Any:
        """Runs one step."""
        step = self.plan.steps[s]
        if isinstance(step.call, Gradient):
            roots, _, wrt = step.call.split(step.inputs)
            return self.gradient(s, Region(self.plan, roots, wrt, s))
        result = step.call.function(*[None if i is None else self.values[i] for i in step.inputs])
        if self.inside and not step.grad:
            result = jax.lax.stop_gradient(result)
        return result + self.deltas[s] if s in self.deltas else result

    def differentiate(self, number: int) -> None:
        """Runs the backward pass of this number together with the steps it claimed."""
        region = self.regions[number]
        region.visited = True
        if number not in self.values:
            self.values[number] = self.gradient(number, region)

    def gradient(self, number: int, region: Region) -> Any:
        """The gradients that the step of this number stands for."""
        step = self.plan.steps[number]
        _, given, _ = step.call.split(step.inputs)  # type: ignore[attr-defined]
        for n in (*region.externals, *given):
            self.need(n)
        roots, pull = self.pullback(region)
        cotangents = []
        left = iter(given)
        for root, has in zip(roots, step.call.given, strict=True):  # type: ignore[attr-defined]
            value = self.values[next(left)] if has else jnp.ones_like(root)
            value = jnp.broadcast_to(jnp.asarray(value, root.dtype), root.shape)
            cotangents.append(conjugate(value))
        result = tuple(conjugate(g) for g in pull(cotangents))
        return jax.lax.stop_gradient(result) if self.inside and not step.grad else result

    def pullback(self, region: Region) -> tuple[list[Any], Any]:
        """Replays a region under `jax.vjp`: the values of its roots, and the pullback from them."""
        plan = self.plan
        primals = [
            self.values[w]
            if w < 0
            else jnp.zeros(plan.steps[w].call.out.shape, plan.steps[w].call.out.dtype)
            for w in region.wrt
        ]
        inner = [s for s in region.steps if isinstance(plan.steps[s].call, Gradient)]
        replayed = set(region.steps)

        def forward(*primals: Any) -> tuple[list[Any], dict[int, Any]]:
            values = {n: v for n, v in self.values.items() if n not in replayed}
            deltas = dict(self.deltas)
            for w, primal in zip(region.wrt, primals, strict=True):
                if w < 0:
                    values[w] = primal
                else:
                    deltas[w] = deltas[w] + primal if w in deltas else primal
            local = Evaluation(plan, values, inner, deltas, inside=True)
            exports = {s: local.need(s) for s in region.steps}
            return [local.need(r) for r in region.roots], exports

        roots, pull, exports = jax.vjp(forward, *primals, has_aux=True)
        for s, value in exports.items():
            self.values.setdefault(s, value)
        return roots, pull


def replay(plan: Plan, slots: list[Any]) -> tuple[list[Any], Any]:
    """All outputs of a plan, and the pullback of its roots (None when it has none)."""
    with within(None):
        return _replay(plan, slots)


def _replay(plan: Plan, slots: list[Any]) -> tuple[list[Any], Any]:
    values = {-1 - k: v for k, v in enumerate(slots)}
    gradients = [s for s, step in enumerate(plan.steps) if isinstance(step.call, Gradient)]
    evaluation = Evaluation(plan, values, gradients, {}, inside=False)
    pull = None
    if plan.roots:
        region = Region(plan, plan.roots, plan.wrt, len(plan.steps))
        for n in region.externals:
            evaluation.need(n)
        _, pull = evaluation.pullback(region)
    return [evaluation.need(s) for s in plan.outputs], pull

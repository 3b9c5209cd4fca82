"""Step three of four: compile. A plan becomes one jitted program, kept under the plan's key.

Compiler options stand in `settings`.
"""

from __future__ import annotations

import functools
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from jtoolbox.engine.few_rows import TAG, touching_few_rows
from jtoolbox.engine.graph import Node
from jtoolbox.engine.layouts import channels_last, layouts_chosen
from jtoolbox.engine.one_kernel import first_run
from jtoolbox.engine.pattern import picker
from jtoolbox.engine.pieces import RUNS, in_pieces
from jtoolbox.engine.plan import Gathered, Plan, make_plan
from jtoolbox.engine.replay import replay
from jtoolbox.engine.settings import compiler_options
from jtoolbox.engine.sums import summing_together

# NOTE: numbers. JAX takes an array of its own several microseconds faster than a Python number. So
# numbers that come again and again, such as an unchanged learning rate, are handed over as arrays.
NUMBERS = frozenset((int, float))
SETTLED = 2
MOST_CONSTANTS = 1000
_constants: dict[Any, Any] = {}


def constant(number: Any) -> Any:
    """The array of a number that was seen before; the number itself the first times."""
    key = (number.__class__, number)
    seen = _constants.get(key, 0)
    if seen.__class__ is not int:
        return seen
    if number:  # 0.0 and -0.0 are equal and yet not the same
        if len(_constants) >= MOST_CONSTANTS:
            _constants.clear()
        with jax.enable_x64(True):
            _constants[key] = seen + 1 if seen < SETTLED else jax.device_put(number)
    return number


class Program:
    """A compiled plan. `run` feeds it; `number` stands for it in the keys of its pullbacks."""

    __slots__ = ("plan", "function", "donated", "kept", "donated_of", "kept_of", "number", "runs",
                 "numbers", "forwarded", "mesh", "shardings", "__weakref__")  # fmt: skip

    def __init__(self, gathered: Gathered, number: int):
        self.plan = plan = make_plan(gathered)
        self.number = number
        self.mesh, self.shardings = _layout(gathered)
        self.runs = 0
        self.numbers: list[int] = []
        self.forwarded: tuple[tuple[int, int], ...] | None = None
        self.donated = plan.donated
        chosen = set(plan.donated)
        self.kept = tuple(k for k in range(plan.slots) if k not in chosen)
        self.donated_of, self.kept_of = picker(self.donated), picker(self.kept)
        order = (*self.donated, *self.kept)
        back = [order.index(k) for k in range(plan.slots)]
        evaluate = evaluation(plan)

        def program(donated: Sequence[Any], kept: Sequence[Any]) -> tuple[list[Any], Any]:
            values = [*donated, *kept]
            return evaluate([values[k] for k in back])

        self.function = jax.jit(
            program if self.mesh is None else self._kept_in_place(program),
            donate_argnums=(0,) if self.donated else (),
            compiler_options=options(plan),
        )

    def run(self, leaves: list[Any]) -> tuple[list[Any], Any]:
        """Runs on the values of the leaves, in slot order."""
        self.runs += 1
        if self.runs > SETTLED:
            for k in self.numbers:
                leaves[k] = constant(leaves[k])
        elif self.mesh is None:
            self.numbers = [k for k, v in enumerate(leaves) if v.__class__ in NUMBERS]
        donated, kept = self.donated_of(leaves), self.kept_of(leaves)
        with jax.enable_x64(True):
            if self.runs > 1:
                if self.runs == RUNS and self.mesh is None:
                    chosen = options(self.plan)
                    self.function = in_pieces(self.function, chosen, (donated, kept))
                result = self.function(donated, kept)
                # NOTE: CPU meshes. Collectives of steps nobody awaits starve XLA's few threads.
                return jax.block_until_ready(result) if self.mesh is not None else result
            with warnings.catch_warnings():
                # A donated array may find no result of its own layout: then it is simply freed.
                warnings.filterwarnings("ignore", message="Some donated buffers were not usable")
                if self.mesh is not None:
                    return self.function(donated, kept)
                given = (0,) if self.donated else ()
                self.function, result = first_run(self.function, given, donated, kept)
                return result

    def _kept_in_place(self, program: Any) -> Any:
        """The program with results that replace inputs on a mesh laid out as those inputs."""

        def placed(donated: Sequence[Any], kept: Sequence[Any]) -> tuple[list[Any], Any]:
            outputs, pull = program(donated, kept)
            for k, sharding in self.shardings.items():
                outputs[k] = jax.lax.with_sharding_constraint(outputs[k], sharding)
            return outputs, pull

        return placed


def _layout(gathered: Gathered) -> tuple[Any, dict[int, Any]]:
    """The mesh that inputs lie on, and the layout of each output that replaces an input."""
    nodes = [leaf for leaf in gathered.leaves if leaf.__class__ is Node]
    mesh = next((n.aval.device.mesh for n in nodes if hasattr(n.aval.device, "mesh")), None)
    if mesh is None:
        return None, {}
    outputs = {node: k for k, node in enumerate(gathered.outputs)}
    shardings = {}
    for slot in gathered.donated:
        leaf = gathered.leaves[slot]
        owner = leaf.owner()  # gone if the model was dropped while its last step waited
        new = None if owner is None else owner._node
        if new in outputs:
            known = getattr(leaf.value, "sharding", None)
            whole = NamedSharding(mesh, PartitionSpec())
            shardings[outputs[new]] = known if isinstance(known, NamedSharding) else whole
    return mesh, shardings


def evaluation(plan: Plan) -> Callable[[list[Any]], tuple[list[Any], Any]]:
    """What a plan computes, as a function of the values of its slots, in the fastest way."""
    evaluate: Any = functools.partial(replay, plan)
    if plan.roots:
        return evaluate
    tags = {tag for step in plan.steps for tag in step.call.tags}
    if TAG in tags:
        evaluate = touching_few_rows(evaluate)
    if "convolution" in tags and layouts_chosen():
        evaluate = summing_together(channels_last(evaluate))
    return evaluate


def options(plan: Plan) -> dict[str, Any] | None:
    """Compiler options for a plan on the present backend."""
    return compiler_options({tag for step in plan.steps for tag in step.call.tags})


_programs: dict[tuple, Program] = {}
# How often gradients that a program did not write out were asked for afterwards, by its key.
reads: Counter[tuple] = Counter()


def program_for(gathered: Gathered) -> tuple[Program, bool]:
    """The program of a key, and whether it is new."""
    program = _programs.get(gathered.key)
    if program is not None:
        return program, False
    program = _programs[gathered.key] = Program(gathered, len(_programs) + 1)
    return program, True


def program_count() -> int:
    """How many programs have been made since the start (or since `clear_programs`)."""
    return len(_programs)


def clear_programs() -> None:
    """Forgets all programs."""
    _programs.clear()
    reads.clear()

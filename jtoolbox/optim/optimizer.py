"""The base of all optimizers: groups, state, and one recorded update for a group's parameters.

A subclass gives the rule for one array (`init`, `update`) and names the numbers that it reads
(`numbers`) and its switches (`flags`). The rest is here and beside it: walking groups, lifting the
rule to all parameters with the numbers as data (`recording.py`), `state_dict.py`, `hooks.py`.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, overload

import jax
import numpy as np

from jtoolbox.engine import Node, enable_grad, gradients_dropped, mode
from jtoolbox.engine.graph import intern_aval, leaf_node
from jtoolbox.engine.record import node_of, wrap
from jtoolbox.optim.hooks import (
    Hooks,
    as_step,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from jtoolbox.optim.recording import freeze_numbers, lift, record_update
from jtoolbox.optim.state_dict import pack, unpack
from jtoolbox.tensor import Tensor, from_host

__all__ = [
    "Optimizer",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "required",
]

Array = Any
State = dict[str, Any]
required: Any = object()

_NOT_A_LIST = (
    "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
    "{kind}: pass model.parameters(), or a list [tensor]"
)
_NO_PARAMETERS = "optimizer got an empty parameter list: pass model.parameters(), or a list of them"
_SET = (
    "optimizer parameters need to be organized in ordered collections, but the ordering of tensors "
    "in sets will change between runs. Please use a list instead."
)
_NOT_A_TENSOR = "optimizer can only optimize Tensors, but one of the params is {kind}"
_NOT_A_LEAF = (
    "can't optimize a non-leaf Tensor: one of shape {shape} was computed from others. Optimize "
    "those, or a new leaf: x.detach().requires_grad_()"
)
_REQUIRED = "parameter group didn't specify a value of required optimization parameter {name}"
_DUPLICATE = (
    "optimizer contains a parameter group with duplicate parameters; in future, this will cause an "
    "error; see github.com/pytorch/pytorch/issues/40967 for more information. jtoolbox updates "
    "them once a step"
)
_TWICE = "some parameters appear in more than one parameter group"
_SOME_NAMED = "all optimizer params should be with/without names. Some param names are missing"
_NAMED = (
    "all optimizer param groups should be with/without names. cannot add param group {kind} names "
    "to the optimizer"
)
_ONE_NUMBER = "Tensor lr must be 1-element, and so any other setting; one of shape {shape} came"
_NO_RULE = "an optimizer defines update(p, g, state, h), or overrides step()"
_STEP = intern_aval((), np.dtype(np.float32))


class Optimizer(Hooks):
    """Updates parameters from their gradients: `zero_grad()`, `loss.backward()`, `step()`.

    `params` are Tensors, (name, Tensor) pairs, or dicts with a list under "params" and settings of
    their own. A new optimizer is a rule for one array:

        class Sign(Optimizer):
            def __init__(self, params, lr=1e-3, decay=0.9):
                super().__init__(params, dict(lr=lr, decay=decay))

            def init(self, p):
                return {"average": np.zeros_like(p)}

            @staticmethod
            def update(p, g, state, h):
                average = h.decay * state["average"] + (1 - h.decay) * g
                return p - h.lr * jnp.sign(average), {"average": average}

    `h` holds the group's numbers (`lr`, `decay`) as data: changing `param_groups[0]["lr"]` takes
    effect at the next step and compiles nothing. A subclass may override `step` as in PyTorch
    instead, with tensor operations on `p.data` and `p.grad`.
    """

    counts_steps = False  # whether the state of each parameter has PyTorch's "step"

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError(_NOT_A_LIST.format(kind=params.type()))
        self.defaults = defaults
        self.state: defaultdict[Any, State] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._hooks = defaultdict(OrderedDict)
        groups = list(params)
        if not groups:
            raise ValueError(_NO_PARAMETERS)
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = as_step(cls.__dict__["step"])  # type: ignore[method-assign]

    # --- the rule, given by subclasses

    def init(self, p: Array) -> State:
        """The state of one array before its first update: arrays under PyTorch's names.

        Like `update`, it is also given the `flags` as keywords.
        """
        return {}

    def start(self, p: Array, group: Mapping[str, Any]) -> State:
        """`init` for a rule whose state starts from a setting: that of Rprop starts at `lr`."""
        return self.init(p, **self.flags(group))

    @staticmethod
    def update(p: Array, g: Array, state: State, h: Any) -> tuple[Array, State]:
        """The new value and state of one array, from gradient, state and numbers `h`. Pure."""
        raise NotImplementedError(_NO_RULE)

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        """The numbers that the rule reads as attributes of `h`: every one of the group's settings.

        `step` is the number of the update, from 1, where the class says `counts_steps`; otherwise 1
        in the update that makes the state and 2 in later ones.
        """
        return {
            name: value if type(value) is int else number(value)
            for name, value in group.items()
            if (isinstance(value, numbers.Real) and not isinstance(value, bool))
            or (isinstance(value, Tensor) and math.prod(value.shape) == 1)
        }

    def flags(self, group: Mapping[str, Any]) -> dict[str, Hashable]:
        """The switches of the rule, passed to it as keywords; a change of one compiles anew."""
        return {}

    def check(self, group: Mapping[str, Any]) -> None:
        """Raises ValueError for settings out of range: by default a negative or infinite `lr`."""
        check_number("learning rate", group.get("lr", 0.0))

    # --- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters with settings of their own; what they leave out takes the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = {**param_group, **_listed(param_group["params"])}
        self._check_params(group)
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(_REQUIRED.format(name=name))
            group.setdefault(name, default)
        self.check(group)
        self.param_groups.append(group)
        mode.structure += 1

    def _check_params(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            if not isinstance(p, Tensor):
                raise TypeError(_NOT_A_TENSOR.format(kind=type(p)))
            if not p.is_leaf:
                raise ValueError(_NOT_A_LEAF.format(shape=tuple(p.shape)))
        new = {id(p) for p in group["params"]}
        if len(new) != len(group["params"]):
            warnings.warn(_DUPLICATE, stacklevel=4)
        for other in self.param_groups:
            if ("param_names" in group) != ("param_names" in other):
                kind = "with" if "param_names" in group else "without"
                raise ValueError(_NAMED.format(kind=kind))
            if not new.isdisjoint(id(p) for p in other["params"]):
                raise ValueError(_TWICE)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients; with `set_to_none=False` they become zeros instead."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    zeros = np.zeros(p._node.aval.shape, p._node.aval.dtype)
                    p.grad = from_host(zeros, None if p._node.aval.device is None else p.device)
        gradients_dropped(self)

    # --- one step

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], Any]) -> Any: ...
    @as_step
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient, in one program with what is pending.

        `closure` computes the loss anew and returns it (some algorithms need it several times).
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        before, mode.grad = mode.grad, False
        try:
            for group in self.param_groups:
                self._step_group(group)
        finally:
            mode.grad = before
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        """Records the update of a group: one for the parameters at the same step, of like state."""
        params = [p for p in group["params"] if p._grad is not None]
        states = [self.state[p] for p in params]
        step = self._common_step(states)
        if step:
            self._record(group, params, states, step)
            return
        parts: dict[tuple[Any, ...], list[Any]] = {}
        for p, state in zip(params, states, strict=True):
            step = self._advance(p, state, group)
            parts.setdefault((step, *state), []).append(p)
        for (step, *_), members in parts.items():
            self._record(group, members, [self.state[p] for p in members], step)

    def _common_step(self, states: list[State]) -> int:
        """The number of the update that comes now, if all parameters agree on it, else 0."""
        if not states or not all(states):
            return 0
        names = states[0].keys()
        for state in states:
            if state.keys() != names:
                return 0
            for value in state.values():
                if value is None:
                    return 0
        if not self.counts_steps:
            return 2
        counter = states[0]["step"]._node
        if counter.value is None or any(state["step"]._node is not counter for state in states):
            return 0
        return int(counter.value) + 1

    def _advance(self, p: Any, state: State, group: dict[str, Any]) -> int:
        """The number of the update that comes now; makes the state before the first."""
        first = not state
        if first:
            self._make_state(p, state, group)
        if not self.counts_steps:
            return 1 if first else 2
        count = state["step"]
        return int(count._node.value if count._node.value is not None else count.item()) + 1

    def _make_state(self, p: Any, state: State, group: dict[str, Any]) -> None:
        if type(self).init is Optimizer.init:
            return
        aval = node_of(p).aval
        with jax.enable_x64(True):
            found = self.start(np.zeros(aval.shape, aval.dtype), group)
        if self.counts_steps:
            state["step"] = from_host(np.zeros((), np.float32))
        for name, value in found.items():
            state[name] = wrap(leaf_node(np.asarray(value), aval.device))

    def _record(
        self, group: dict[str, Any], params: list[Any], states: list[State], step: int
    ) -> None:
        flags, given = self.flags(group), self.numbers(group, step)
        names = tuple([n for n in states[0] if n != "step"])
        entries = [state[name] for name in names for state in states]
        key = (type(self), self.update, len(params), names, tuple(flags.items()), tuple(given))

        def make() -> tuple[str, Callable[..., Any], tuple[Any, ...]]:
            function = lift(self.update, len(params), names, tuple(given), flags)
            return f"{type(self).__name__}.step", function, (*flags.items(), tuple(given))

        node = record_update(key, make, params, entries, given)
        if self.counts_steps:
            self._count(states, step)
        freeze_numbers(node, self, group, states, step)

    def _count(self, states: list[State], step: int) -> None:
        node = Node(_STEP, np.array(step, np.float32))
        for state in states:
            counter = state["step"]
            if counter._node.aval is _STEP:
                counter._node = node
            else:
                counter._assign(np.array(step, np.float32))

    # --- saving

    def state_dict(self) -> dict[str, Any]:
        """State and settings in PyTorch's layout, parameters by number; `torch` can load it."""
        self._run_hooks("state_dict_pre")
        return self._run_hooks("state_dict_post", pack(self.param_groups, self.state))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over state and settings from a `state_dict`, jtoolbox's or PyTorch's (as loaded).

        ValueError when its groups do not fit this optimizer's; nothing is changed then.
        """
        state_dict = self._run_hooks("load_state_dict_pre", dict(state_dict))
        self.__setstate__(unpack(self.param_groups, state_dict))
        mode.structure += 1
        self._run_hooks("load_state_dict_post")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_hooks"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_hooks", defaultdict(OrderedDict))

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [*([""] if i else []), f"Parameter Group {i}"]
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join([*lines, ")"])


def _listed(params: Any) -> dict[str, list[Any]]:
    """The "params" of a group as a list, and "param_names" when they came as (name, Tensor)."""
    if isinstance(params, set):
        raise TypeError(_SET)
    params = [params] if isinstance(params, Tensor) else list(params)
    names = [p[0] for p in params if isinstance(p, tuple)]
    if not names:
        return {"params": params}
    if len(names) != len(params):
        raise ValueError(_SOME_NAMED)
    return {"params": [p for _, p in params], "param_names": names}


def check_number(what: str, value: Any, low: float = 0.0, high: float = math.inf) -> None:
    """Raises PyTorch's ValueError unless `value` is a finite number with low <= value < high."""
    found = number(value)
    if not (math.isfinite(found) and low <= found and found < high):
        limits = f"at least {low:g}" + ("" if high == math.inf else f" and below {high:g}")
        raise ValueError(f"Invalid {what}: {value}. It must be a finite number, {limits}.")


def number(value: Any) -> float:
    """A setting as a float; of a Tensor also while a step is recorded, whose values none may ask.

    A frozen step reads it again before each call. ValueError for more elements than one.
    """
    if isinstance(value, Tensor):
        if math.prod(value.shape) != 1:
            raise ValueError(_ONE_NUMBER.format(shape=tuple(value.shape)))
        known = node_of(value).value
        return float(value) if known is None else float(np.asarray(known).reshape(()))
    return float(value)

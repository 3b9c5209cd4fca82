"""The base of all optimizers: groups, state, and one recorded update for all parameters of a group.

A subclass gives the rule for one array (`init`, `update`) and names the numbers it reads (`numbers`)
and its switches (`flags`). Everything else is here: walking groups, lifting the rule to all
parameters, feeding the numbers as data so that a changed `lr` compiles nothing, `state_dict`.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
import warnings
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Handle, Node, enable_grad, flush_step, mode, no_grad
from jtoolbox.engine.graph import LEAF, OVERWRITTEN, Call, intern_aval, leaf_node
from jtoolbox.engine.handles import RemovableHandle
from jtoolbox.engine.record import make_call, node_of, record, wrap
from jtoolbox.engine.views import rebind
from jtoolbox.tensor import Tensor, from_host

__all__ = ["Optimizer", "required"]

Array = Any
State = dict[str, Any]
required = object()

_NO_PARAMETERS = "optimizer got an empty parameter list: pass model.parameters(), or a list of them"
_STEP = intern_aval((), np.dtype(np.float32))


class Optimizer:
    """Updates parameters from their gradients: `zero_grad()`, `loss.backward()`, `step()`.

    `params` are Tensors, (name, Tensor) pairs, or dicts with a list under "params" and settings of
    their own. A new optimizer is a rule for one array:

        class Sign(Optimizer):
            def __init__(self, params, lr=1e-3, decay=0.9):
                super().__init__(params, dict(lr=lr, decay=decay))

            def init(self, p):
                return {"average": jnp.zeros_like(p)}

            @staticmethod
            def update(p, g, state, h):
                average = h.decay * state["average"] + (1 - h.decay) * g
                return p - h.lr * jnp.sign(average), {"average": average}

    `h` holds the group's numbers (`lr`, `decay`) as data: changing `param_groups[0]["lr"]` takes
    effect at the next step and compiles nothing. A subclass may override `step` as in PyTorch
    instead, with tensor operations on `p.data` and `p.grad`.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {params.type()}"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, State] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._hooks: dict[str, OrderedDict[int, Callable]] = defaultdict(OrderedDict)
        self._calls: dict[tuple, Call] = {}
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
            cls.step = _flushed(cls.__dict__["step"])  # type: ignore[method-assign]

    # --- the rule, given by subclasses

    def init(self, p: Array) -> State:
        """The state of one array before its first update: arrays under PyTorch's names."""
        return {}

    @staticmethod
    def update(p: Array, g: Array, state: State, h: Any) -> tuple[Array, State]:
        """The new value and state of one array, from gradient, state and numbers `h`. Pure."""
        raise NotImplementedError("an optimizer defines update(p, g, state, h), or overrides step()")

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        """The numbers that the rule reads as attributes of `h`, in update number `step` (from 1).

        By default every float or int setting of the group that is no switch.
        """
        return {
            name: value
            for name, value in group.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }

    def flags(self, group: Mapping[str, Any]) -> dict[str, Hashable]:
        """The switches of the rule, passed to it as keywords; a change of one compiles anew."""
        return {}

    counts_steps = False  # whether PyTorch's state of each parameter has a "step"

    # --- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters with settings of their own; what they leave out takes the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of "
                "tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        names = None
        if params and isinstance(params[0], tuple):
            names = [name for name, _ in params]
            params = [p for _, p in params]
        group = {**param_group, "params": params}
        if names is not None:
            group["param_names"] = names
        self._check_params(params)
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, default)
        self.check(group)
        self.param_groups.append(group)
        mode.structure += 1

    def _check_params(self, params: list[Any]) -> None:
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p)}")
            if not (p.is_leaf or self.defaults.get("differentiable")):
                raise ValueError("can't optimize a non-leaf Tensor")
        known = {id(p) for group in self.param_groups for p in group["params"]}
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will "
                "cause an error; see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )
        if any(id(p) in known for p in params):
            raise ValueError("some parameters appear in more than one parameter group")

    def check(self, group: Mapping[str, Any]) -> None:
        """Raises ValueError for settings out of range. By default `lr` must be finite and not negative."""
        check_number("learning rate", group.get("lr", 0.0))

    # --- one step

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], Any]) -> Any: ...
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient, in one program with what is pending.

        `closure` computes the loss anew and returns it (some algorithms need it several times).
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._run_hooks("step_pre")
        before, mode.grad = mode.grad, False
        try:
            for group in self.param_groups:
                self._step_group(group)
        finally:
            mode.grad = before
        flush_step()
        self._run_hooks("step_post")
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        """Records the update of a group's parameters; those at another step number separately."""
        parts: dict[int, list[Any]] = {}
        for p in group["params"]:
            if p._grad is not None:
                step = self._advance(p)
                part = parts.get(step)
                if part is None:
                    parts[step] = [p]
                else:
                    part.append(p)
        for step, params in parts.items():
            self._record(group, params, step)

    def _advance(self, p: Any) -> int:
        """The number of the update that comes now (from 1); makes the state before the first."""
        state = self.state[p]
        if not state and not self._initialized(p):
            self._make_state(p, state)
        count = state.get("step")
        if count is None:
            seen = self._seen
            seen[p] = step = min(seen.get(p, 0) + 1, 2)
            return step
        step = int(count._node.value if count._node.value is not None else count.item()) + 1
        return step

    @functools.cached_property
    def _seen(self) -> dict[Any, int]:
        """How often each parameter was updated, up to two: the first update may be special."""
        return {}

    def _initialized(self, p: Any) -> bool:
        return p in self._seen

    def _make_state(self, p: Any, state: State) -> None:
        node = node_of(p)
        zeros = np.zeros(node.aval.shape, node.aval.dtype)
        with jax.enable_x64(True):
            found = self.init(zeros)
        if self.counts_steps:
            state["step"] = from_host(np.zeros((), np.float32))
        for name, value in found.items():
            state[name] = wrap(leaf_node(np.asarray(value), node.aval.device))

    def _record(self, group: dict[str, Any], params: list[Any], step: int) -> None:
        flags = self.flags(group)
        numbers = self.numbers(group, step)
        names = [n for n in self.state[params[0]] if n != "step"]
        states = [self.state[p] for p in params]
        handles = [s[name] for name in names for s in states]
        gradients = [p._grad for p in params]
        inputs = (
            *[p._node if p._view is None else node_of(p) for p in params],
            *[g if g.__class__ is Node else node_of(g) for g in gradients],
            *[h._node for h in handles],
            *numbers.values(),
        )
        key = (
            len(params), tuple(names), tuple(flags.items()), tuple(numbers),
            tuple([i.aval if i.__class__ is Node else i.__class__ for i in inputs]),
        )  # fmt: skip
        call = self._calls.get(key)
        if call is None:
            call = self._make_call(key, inputs, flags, tuple(numbers), tuple(names))
        nodes = record(call, inputs, False)
        if self.counts_steps:
            self._count(states, step)
        if mode.capture is not None:
            reader = NumberReader(self, group, states, step)
            mode.capture.numbers(nodes[0].inputs[0], reader, reader.undo)
        for handle, node in zip((*params, *handles), nodes, strict=True):
            old = handle._node
            if handle._view is not None or handle._family is not None:
                rebind(handle, wrap(node))
                continue
            if old.requires_grad:
                node.requires_grad = True
                node.flags |= LEAF
            old.flags |= OVERWRITTEN
            node.owner = weakref.ref(handle)
            handle._node = node

    def _count(self, states: list[State], step: int) -> None:
        node = Node(_STEP, np.array(step, np.float32))
        for state in states:
            counter = state["step"]
            if counter._node.aval is _STEP:
                counter._node = node
            else:
                counter._assign(np.array(step, np.float32))

    def _make_call(
        self, key: tuple, inputs: tuple, flags: dict[str, Any], numbers: tuple[str, ...], names: tuple[str, ...]
    ) -> Call:
        call = _rule_calls.get((type(self), self.update, key))
        if call is None:
            function = lift(self.update, key[0], names, numbers, flags)
            avals = [i.aval if i.__class__ is Node else i.__class__ for i in inputs]
            device = inputs[0].aval.device
            statics = (*flags.items(), numbers)
            call = make_call(
                f"{type(self).__name__}.step", function, avals, device=device, statics=statics
            )
            _rule_calls[type(self), self.update, key] = call
        self._calls[key] = call
        return call

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients; with `set_to_none=False` they become zeros instead."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    zeros = np.zeros(p.grad.shape, p.grad.dtype.dtype)
                    p.grad = from_host(zeros, None if p._node.aval.device is None else p.device)

    # --- saving

    def state_dict(self) -> dict[str, Any]:
        """State and settings in PyTorch's layout, parameters by number; `torch` can load it."""
        for hook in list(self._hooks["state_dict_pre"].values()):
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {numbers[id(p)] if isinstance(p, Handle) else p: s for p, s in self.state.items() if s}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._hooks["state_dict_post"].values()):
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over state and settings from a `state_dict`, jtoolbox's or PyTorch's (as loaded).

        ValueError when its groups do not fit this optimizer's; nothing is changed then.
        """
        state_dict = dict(state_dict)
        for hook in list(self._hooks["load_state_dict_pre"].values()):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        for name in ("state", "param_groups"):
            if name not in state_dict:
                raise KeyError(f"'{name}': an optimizer's state_dict has 'state' and 'param_groups'")
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(saved)}, this optimizer has {len(self.param_groups)}"
            )
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            if len(ours["params"]) != len(theirs["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group: {len(theirs['params'])} parameters, here {len(ours['params'])}"
                )
        numbers = itertools.chain.from_iterable(g["params"] for g in saved)
        params = itertools.chain.from_iterable(g["params"] for g in self.param_groups)
        by_number = dict(zip(numbers, params, strict=True))
        state: defaultdict[Any, State] = defaultdict(dict)
        for number, entries in state_dict["state"].items():
            p = by_number.get(number, number)
            state[p] = {k: self._loaded(p, k, v) for k, v in entries.items()} if isinstance(p, Handle) else entries
        groups = []
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            group = {**ours, **copy.deepcopy({k: v for k, v in theirs.items() if k != "params"})}
            group["params"] = ours["params"]
            groups.append(group)
        self.state, self.param_groups = state, groups
        self._seen.clear()
        self._seen.update({p: 2 for p in state})
        mode.structure += 1
        for hook in list(self._hooks["load_state_dict_post"].values()):
            hook(self)

    def _loaded(self, p: Tensor, name: str, value: Any) -> Any:
        """A state entry on the parameter's device and, but for "step", in its float type."""
        if value is None or isinstance(value, (bool, str, list, tuple, dict)):
            return copy.deepcopy(value)
        array = np.array(value.detach() if hasattr(value, "detach") else value)
        if name == "step":
            return from_host(array.astype(np.float32))
        if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
            array = array.astype(p._node.aval.dtype)
        return wrap(leaf_node(jnp.array(array), p._node.aval.device)) if array.size else from_host(array)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._hooks = defaultdict(OrderedDict)
        self._calls = {}
        self._seen.update({p: 2 for p in self.state})

    # --- hooks

    def _register(self, kind: str, hook: Callable, prepend: bool = False) -> RemovableHandle:
        hooks = self._hooks[kind]
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def _run_hooks(self, kind: str) -> None:
        hooks = self._hooks.get(kind)
        for hook in list(hooks.values()) if hooks else ():
            hook(self, (), {})

    def register_step_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before each step."""
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer)` before `state_dict`."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` after `state_dict`; it may return another one."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` before `load_state_dict`; it may return another one."""
        return self._register("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer)` after `load_state_dict`."""
        return self._register("load_state_dict_post", hook, prepend)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join([*lines, ")"])


class NumberReader:
    """The numbers of the next update of some parameters, for a step that is frozen; counts it."""

    def __init__(self, optimizer: Optimizer, group: dict[str, Any], states: list[State], step: int):
        self.optimizer = optimizer
        self.group = group
        self.states = states
        self.step = step
        self.undone = False

    def __call__(self) -> list[float]:
        if self.optimizer.counts_steps:
            step = int(self.states[0]["step"]._node.value) + 1
            self.optimizer._count(self.states, step)
        else:
            step = self.step if self.undone else self.step + 1
        self.undone = False
        return list(self.optimizer.numbers(self.group, step).values())

    def undo(self) -> None:
        """Makes the recorded update the next one again."""
        self.undone = True
        if self.optimizer.counts_steps:
            self.optimizer._count(self.states, self.step - 1)


_rule_calls: dict[tuple, Call] = {}


def _flushed(step: Callable[..., Any]) -> Callable[..., Any]:
    """A subclass's own `step`: what it recorded runs when it returns."""

    @functools.wraps(step)
    def wrapped(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._run_hooks("step_pre")
        result = step(self, *args, **kwargs)
        flush_step()
        self._run_hooks("step_post")
        return result

    return wrapped


def lift(
    rule: Callable[..., tuple[Array, State]],
    count: int,
    names: tuple[str, ...],
    numbers: tuple[str, ...],
    flags: dict[str, Any],
) -> Callable[..., tuple[Array, ...]]:
    """The rule for one array as a function of all arrays of a group, flat in and flat out."""

    def function(*values: Any) -> tuple[Array, ...]:
        arrays = values[: (2 + len(names)) * count]
        given = dict(zip(numbers, values[len(arrays) :], strict=True))
        columns = [arrays[i * count : (i + 1) * count] for i in range(2 + len(names))]
        news, news_state = [], []
        for p, g, *entries in zip(*columns, strict=True):
            real = jnp.finfo(p.dtype).dtype
            h = SimpleNamespace(**{k: jnp.asarray(v).astype(real) for k, v in given.items()})
            state = dict(zip(names, entries, strict=True))
            new, new_state = rule(p, g.astype(p.dtype), state, h, **flags)
            news.append(new.astype(p.dtype))
            news_state.append([new_state[n].astype(s.dtype) for n, s in state.items()])
        return (*news, *[s[i] for i in range(len(names)) for s in news_state])

    return function


def check_number(what: str, value: Any, low: float = 0.0, high: float = math.inf) -> None:
    """Raises PyTorch's ValueError unless `value` is a finite number with low <= value < high."""
    number = float(value)
    if not (math.isfinite(number) and low <= number and number < high):
        limits = f"at least {low:g}" + ("" if high == math.inf else f" and below {high:g}")
        raise ValueError(f"Invalid {what}: {value}. It must be a finite number, {limits}.")


_ = no_grad

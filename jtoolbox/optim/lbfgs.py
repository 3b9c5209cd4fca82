"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jtoolbox.engine import enable_grad, no_grad
from jtoolbox.ops.joining import cat, stack
from jtoolbox.optim.optimizer import Optimizer, State, number
from jtoolbox.optim.strong_wolfe import Point, strong_wolfe
from jtoolbox.tensor import Tensor

__all__ = ["LBFGS"]

_ONE_GROUP = (
    "LBFGS doesn't support per-parameter options (parameter groups): it treats all parameters as "
    "one vector"
)
_LINE_SEARCH = "only 'strong_wolfe' is supported as line_search_fn (or None), got {name!r}"
_CURVATURE = 1e-10  # smaller products of a step and its change of gradient are not remembered


class LBFGS(Optimizer):
    """L-BFGS: quasi-Newton steps from the last `history_size` changes of parameters and gradient.

    `step(closure)` takes up to `max_iter` iterations; `closure` clears the gradients, computes the
    loss, calls `backward()` and returns the loss. It stops after `max_eval` calls of it (1.25
    max_iter if None), when the largest |g| is at most `tolerance_grad`, or when the step or the
    change of the loss is at most `tolerance_change`. Each iteration goes p = p + t d, where d is
    -H g, and t is `lr` (less in the very first) or found by the line search "strong_wolfe". All
    parameters form one group (ValueError otherwise). Every decision needs values, so it cannot
    stand in `jtoolbox.jit`. Nocedal and Wright, "Numerical Optimization", algorithms 7.4, 7.5, 3.5,
    https://doi.org/10.1007/978-0-387-40065-5.
    """

    recorded = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        defaults = {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(_ONE_GROUP)

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Up to `max_iter` iterations; the loss that `closure` returned first, before them."""
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(_LINE_SEARCH.format(name=group["line_search_fn"]))
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        objective = Objective(group["params"], enable_grad()(closure))
        first = objective.evaluate()
        if _largest(objective.gradient) > group["tolerance_grad"]:
            _iterate(group, state, objective)
        state["func_evals"] += objective.evaluations
        return first


class Objective:
    """The loss as a function of all parameters as one vector."""

    def __init__(self, params: Sequence[Any], closure: Callable[[], Any]):
        self.params = params
        self.closure = closure
        self.evaluations = 0
        self.loss: float
        self.gradient: Any

    def evaluate(self) -> Any:
        """Calls the closure, and keeps loss and gradient; its result."""
        result = self.closure()
        self.evaluations += 1
        self.loss = float(result)
        self.gradient = cat([_flat(p if p.grad is None else p.grad, p) for p in self.params])
        return result

    def values(self) -> list[Any]:
        """A copy of the parameters."""
        return [p.detach().clone() for p in self.params]

    def place(self, start: Sequence[Any], d: Any, t: float) -> None:
        """Sets the parameters to start + t d."""
        offset = 0
        for p, value in zip(self.params, start, strict=True):
            pairs = p.is_complex()
            count = p.numel() * (1 + pairs)
            part = d[offset : offset + count]
            if pairs:
                part = part[0::2] + 1j * part[1::2]
            p.copy_(value + t * part.view(p.shape))
            offset += count

    def along(self, start: Sequence[Any], d: Any, t: float) -> Point:
        """What a line search sees at start + t d."""
        self.place(start, d, t)
        self.evaluate()
        return Point(t, self.loss, self.gradient, _dot(self.gradient, d))


def _flat(g: Any, p: Any) -> Any:
    """A gradient as a vector; zeros for a parameter without one, of which `g` is the value."""
    g = g.detach()
    g = (stack([g.real, g.imag], -1) if g.is_complex() else g).reshape(-1)
    return g * 0 if p.grad is None else g


def _iterate(group: dict[str, Any], state: State, objective: Objective) -> None:
    """Iterations until a limit is reached. What the next ones need is left in the state."""
    memory = {name: state.get(name) for name in _MEMORY}
    for n in range(1, group["max_iter"] + 1):
        state["n_iter"] += 1
        g, loss = objective.gradient, objective.loss
        first = state["n_iter"] == 1
        d = _direction(g, memory, state, group["history_size"], first)
        lr = group["lr"]
        t = lr if isinstance(lr, int) else number(lr)
        t = t * min(1.0, 1.0 / g.abs().sum().item()) if first else t
        memory |= {"d": d, "t": t, "prev_flat_grad": g, "prev_loss": loss}
        slope = _dot(g, d)
        if slope > -group["tolerance_change"]:
            break
        last = n == group["max_iter"]
        memory["t"] = t = _move(group, objective, Point(0.0, loss, g, slope), d, t, last)
        if last or _finished(group, objective, d, t, loss):
            break
    state.update(memory)


_MEMORY = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")


def _move(
    group: dict[str, Any], objective: Objective, here: Point, d: Any, t: float, last: bool
) -> float:
    """Goes along d and evaluates the loss there, but not after the last iteration; the step t."""
    start = objective.values()
    if group["line_search_fn"] is None:
        objective.place(start, d, t)
        if not last:
            objective.evaluate()
        return t
    found = strong_wolfe(
        lambda t: objective.along(start, d, t), here, t, _largest(d), group["tolerance_change"]
    )
    objective.loss, objective.gradient = found.loss, found.gradient
    objective.place(start, d, found.t)
    return found.t


def _finished(group: dict[str, Any], objective: Objective, d: Any, t: float, before: float) -> bool:
    change = group["tolerance_change"]
    return (
        objective.evaluations >= group["max_eval"]
        or _largest(objective.gradient) <= group["tolerance_grad"]
        or _largest(d * t) <= change
        or abs(objective.loss - before) < change
    )


def _direction(g: Any, memory: State, state: State, size: int, first: bool) -> Any:
    """-H g by the two loops over the changes remembered, the newest of which is added before."""
    if first:
        memory |= {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1}
        return -g
    _remember(g - memory["prev_flat_grad"], memory["d"] * memory["t"], memory, size)
    changes, steps, inverses = memory["old_dirs"], memory["old_stps"], memory["ro"]
    weights = state.setdefault("al", [None] * size)
    q = -g
    for i in reversed(range(len(changes))):
        weights[i] = steps[i].dot(q) * inverses[i]
        q = q - changes[i] * weights[i]
    d = q * memory["H_diag"]
    for i in range(len(changes)):
        d = d + steps[i] * (weights[i] - changes[i].dot(d) * inverses[i])
    return d


def _remember(y: Any, s: Any, memory: State, size: int) -> None:
    """Adds a change y of the gradient by a step s, unless their product is not positive."""
    product = y.dot(s)
    if product.item() <= _CURVATURE:
        return
    news = {"old_dirs": y, "old_stps": s, "ro": 1.0 / product}
    for name, new in news.items():
        memory[name] = [*memory[name], new][-size:]
    memory["H_diag"] = product / y.dot(y)


def _dot(x: Any, y: Any) -> float:
    return x.dot(y).item()


def _largest(x: Any) -> float:
    return x.abs().max().item()

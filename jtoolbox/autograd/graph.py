"""Hooks on several tensors of a graph at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.engine.backward import after_backward
from jtoolbox.engine.handles import RemovableHandle
from jtoolbox.tensor import Tensor

__all__ = ["register_multi_grad_hook"]


class _Gathered:
    """The gradients of some tensors that one backward pass brings."""

    def __init__(self, count: int, hook: Callable[..., None], each: bool):
        self.found: list[Tensor | None] = [None] * count
        self.hook = hook
        self.first = each
        self.handles: list[RemovableHandle] = []

    def arrive(self, place: int, gradient: Tensor) -> None:
        """Keeps a gradient; in mode "any" the first one of a pass calls the hook at once."""
        none_yet = all(g is None for g in self.found)
        self.found[place] = gradient
        if self.first and none_yet:
            self.hook(gradient)

    def finish(self, _: Any) -> None:
        """After the pass: in mode "all" the hook is given what has arrived."""
        found = self.found
        self.found = [None for _ in found]
        if not self.first and any(g is not None for g in found):
            self.hook(found)

    def remove(self) -> None:
        """Takes the hooks away again."""
        for handle in self.handles:
            handle.remove()
        if self.finish in after_backward:
            after_backward.remove(self.finish)


class _Handle(RemovableHandle):
    """What `register_multi_grad_hook` returns."""

    def __init__(self, gathered: _Gathered):
        self.gathered = gathered

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        self.gathered.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all"
) -> RemovableHandle:
    """Calls `fn` with the gradients of several tensors, once for each backward pass.

    In mode "all" `fn` is given one entry for each tensor when the pass is over, None for those that
    it did not reach; in mode "any" the first gradient that arrives. Each tensor must require grad
    (RuntimeError), ValueError for another mode. As with `register_hook`, a computed tensor must not
    have been used before. Departs from PyTorch: only `backward` calls it in mode "all", not
    `autograd.grad`.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    gathered = _Gathered(len(tensors), fn, mode == "any")

    def watch(place: int) -> Callable[[Tensor], None]:
        return lambda gradient: gathered.arrive(place, gradient)

    gathered.handles = [t.register_hook(watch(i)) for i, t in enumerate(tensors)]
    after_backward.append(gathered.finish)
    return _Handle(gathered)

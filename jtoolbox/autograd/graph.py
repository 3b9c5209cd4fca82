"""The backward graph: its edges, hooks on several tensors at once, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from jtoolbox.engine import modes
from jtoolbox.engine.backward import after_backward
from jtoolbox.engine.grad_fn import GradFunction, edge_of
from jtoolbox.engine.handles import RemovableHandle
from jtoolbox.engine.record import node_of
from jtoolbox.engine.views import count_write
from jtoolbox.tensor import Tensor

__all__ = [
    *("GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks"),
    *("get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu"),
    "saved_tensors_hooks",
]

Node = GradFunction
NO_HOOKS = (
    "saved_tensors_hooks is not supported: which values a backward pass keeps, and which it "
    "computes again, is decided when the whole program is compiled. To save memory use "
    "torch.utils.checkpoint; to see or change gradients, hooks on tensors and grad_fn."
)
_forbidden: list[str] = []


class GradientEdge(NamedTuple):
    """A place in the backward graph, for `autograd.grad` and `backward`: an output of a node."""

    node: GradFunction
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The place of a tensor in the backward graph. RuntimeError if it does not require grad."""
    node = node_of(tensor)
    if not node.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    return GradientEdge(*edge_of(node))


def increment_version(tensor: Tensor | Sequence[Tensor]) -> None:
    """Counts a write to tensors that happened elsewhere: a backward pass that needs what they held
    raises."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        count_write(t)


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Inside, what a backward pass needs may be written in place: it has the old values."""
    before = modes.mode.overwriting
    modes.mode.overwriting = True
    try:
        yield
    finally:
        modes.mode.overwriting = before


class saved_tensors_hooks:
    """Not supported: entering it raises NotImplementedError, which says what to use instead."""

    def __init__(self, pack_hook: Callable[..., Any], unpack_hook: Callable[..., Any]):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        raise RuntimeError(_forbidden[-1]) if _forbidden else NotImplementedError(NO_HOOKS)

    def __exit__(self, *exception: Any) -> None:
        pass


class save_on_cpu:
    """Changes nothing: where a program keeps its values until the backward pass is XLA's choice.

    As in PyTorch the gradients are the same with and without it.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        pass

    def __enter__(self) -> None:
        if _forbidden:
            raise RuntimeError(_forbidden[-1])

    def __exit__(self, *exception: Any) -> None:
        pass


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, entering `saved_tensors_hooks` raises RuntimeError with this message."""
    _forbidden.append(error_message)
    try:
        yield
    finally:
        _forbidden.pop()


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

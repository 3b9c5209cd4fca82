"""Training in several processes: each works on its own batch, gradients are averaged."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.distributed.collectives import combine
from jtoolbox.distributed.process_group import ProcessGroup, world
from jtoolbox.engine.backward import after_backward
from jtoolbox.engine.graph import LEAF, OWNED, Node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import node_of, value_of, wrap
from jtoolbox.nn.module import Module

__all__ = ["DistributedDataParallel"]

NO_PARAMETERS = (
    "DistributedDataParallel is not needed when a module doesn't have any parameter that requires "
    "a gradient."
)
PREFIX = "module."


class DistributedDataParallel(Module):
    """Averages gradients over all processes: `model = DistributedDataParallel(model)`.

    Call `torch.distributed.init_process_group` first and give each process its own batches
    (`DistributedSampler`). Parameters and buffers start as those of process 0; buffers are taken
    from it again before each forward pass in training. After each `backward` the gradients are the
    means over the processes, so equal batch sizes train as one device does on the whole batch.
    `no_sync()` leaves that out, for accumulation. The averaging runs what is pending, so a step is
    several programs and cannot be frozen by `jtoolbox.jit`. All processes must run the same steps.
    Other settings are accepted: there are no buckets, and unused parameters need no search.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        **settings: Any,
    ):
        super().__init__()
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(NO_PARAMETERS)
        self.process_group = world()
        self.module = module
        self.device_ids = None if device_ids is None else list(device_ids)
        self.output_device = output_device
        self.dim = dim
        self.broadcast_buffers = broadcast_buffers is None or broadcast_buffers
        self.find_unused_parameters = find_unused_parameters
        self.require_backward_grad_sync = True
        self._called = False
        if self.process_group.size() > 1:
            if init_sync:
                self._take_over([*module.parameters(), *module.buffers()])
            _register(self)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The module's result on this process's batch."""
        if self.process_group.size() > 1:
            if self.broadcast_buffers and self.training:
                self._take_over(list(self.module.buffers()))
            self._called = self._called or mode.grad
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Inside, gradients stay this process's own; the next backward outside averages the sum."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Loads the state, from keys with "module." in front, as PyTorch's, or without."""
        if not any(k.startswith(PREFIX) for k in state_dict):
            state_dict = {PREFIX + k: v for k, v in state_dict.items()}
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def _take_over(self, tensors: list[Any]) -> None:
        """Gives tensors the values that process 0 has."""
        if not tensors:
            return
        values = combine([value_of(node_of(t)) for t in tensors], 0)
        for tensor, value in zip(tensors, values, strict=True):
            old = node_of(tensor)
            node = Node(old.aval, value, None, (), old.requires_grad, old.flags & LEAF | OWNED)
            node.owner = old.owner
            tensor._node = node

    def _average(self, gradients: Sequence[Node]) -> None:
        """After a backward pass that reached this module: the means of all gradients."""
        if not (self._called and self.require_backward_grad_sync):
            return
        params = [p for p in self.module.parameters() if p.requires_grad]
        arrived = set(gradients)
        if not any(_gradient(p) in arrived for p in params):
            return
        self._called = False
        with jax.enable_x64(True):
            values = [
                jnp.zeros(tuple(p.shape), p.dtype.dtype) if g is None else value_of(g)
                for p, g in ((p, _gradient(p)) for p in params)
            ]
        used = np.array([_gradient(p) is not None for p in params], np.float32)
        *means, anywhere = combine([*values, used], "mean")
        for p, mean, has in zip(params, means, np.asarray(anywhere), strict=True):
            if has:
                node = Node(node_of(p).aval, mean, flags=OWNED)
                held: Any = p.grad
                if held is None:
                    p._grad = wrap(node)
                else:
                    held._node = node
                    node.owner = weakref.ref(held)


def _gradient(p: Any) -> Node | None:
    grad = p._grad
    return grad if grad is None or grad.__class__ is Node else node_of(grad)


def _register(module: DistributedDataParallel) -> None:
    """Calls the module after each backward pass, as long as it lives."""
    reference = weakref.ref(module, lambda _: after_backward.remove(call))

    def call(gradients: Sequence[Node]) -> None:
        found = reference()
        if found is not None:
            found._average(gradients)

    after_backward.append(call)

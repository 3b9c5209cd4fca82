"""Training on several devices: the batch is split over them, the program stays one.

The engine is JAX's: inputs are placed on a `Mesh`, parameters are replicated on it, and XLA inserts
the collectives. BatchNorm statistics and mean losses are over the whole batch, so results equal one
device's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jtoolbox import devices
from jtoolbox.engine import Array, op
from jtoolbox.engine.graph import LEAF, OWNED, TRACED, Handle, Node, intern_aval
from jtoolbox.engine.record import node_of, value_of, wrap
from jtoolbox.nn.module import Module

__all__ = ["DataParallel", "data_parallel"]

AXIS = "batch"


@op(saves="none", name="split_over_devices")
def _split(x: Array, sharding: Any, device: Any) -> Array:
    """The same values, laid out over the devices of a mesh."""
    return jax.lax.with_sharding_constraint(x, sharding)


def _chosen(device_ids: Sequence[Any] | None) -> list[Any]:
    """Local devices by number, among those of the default kind, or by name; all if left out."""
    there = jax.local_devices()
    found = []
    for d in range(len(there)) if device_ids is None else device_ids:
        if isinstance(d, int) and not 0 <= d < len(there):
            raise RuntimeError(
                f"device_ids has {d}, but JAX has {len(there)} {there[0].platform} devices here: "
                f"choose from 0 to {len(there) - 1}"
            )
        found.append(there[d] if isinstance(d, int) else devices.find(d))
    return found


class DataParallel(Module):
    """Splits each batch over local devices: `model = nn.DataParallel(model)`.

    `device_ids` are devices (or their numbers), all local ones of the default kind if left out;
    `dim` is the batch axis of the inputs. A batch that does not divide by the number of devices is
    given whole to each, which is exact and slower. `state_dict` has the wrapped module's keys,
    without PyTorch's "module." prefix; `load_state_dict` takes both. `output_device` is accepted
    and means nothing: results stay where they are computed.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ):
        super().__init__()
        found = _chosen(device_ids)
        self.module = module
        self.dim = dim
        self.device_ids = list(range(len(found)))
        self.mesh = Mesh(np.array(found), (AXIS,), axis_types=(AxisType.Auto,))
        self.placement = devices.mesh_placement(self.mesh)
        self._replicate()

    def _sharding(self, shape: Sequence[int]) -> NamedSharding:
        """Split along the batch axis where it divides, replicated where not."""
        if len(shape) <= self.dim or shape[self.dim] % self.mesh.size:
            return NamedSharding(self.mesh, PartitionSpec())
        return NamedSharding(self.mesh, PartitionSpec(*[None] * self.dim, AXIS))

    def _replicate(self) -> None:
        """Puts parameters and buffers on all devices, those that are not there yet."""
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            node = node_of(tensor)
            if node.aval.device is self.placement or node.flags & TRACED:
                continue
            with jax.enable_x64(True):
                value = jax.device_put(value_of(node), everywhere)
            aval = intern_aval(node.aval.shape, node.aval.dtype, self.placement)
            new = Node(aval, value, None, (), node.requires_grad, node.flags & LEAF | OWNED)
            new.owner = node.owner
            tensor._node = new

    def _placed(self, value: Any) -> Any:
        """An argument on the mesh: Tensors and arrays are split, everything else stays."""
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            return type(value)(self._placed(v) for v in value)
        if isinstance(value, dict):
            return {k: self._placed(v) for k, v in value.items()}
        if not isinstance(value, Handle):
            return value
        node = node_of(value)
        if node.flags & TRACED or node.aval.device is self.placement:
            return value
        sharding = self._sharding(node.aval.shape)
        if node.value is None or node.requires_grad:
            return _split(value, sharding, self.placement)
        with jax.enable_x64(True):
            array = jax.device_put(node.value, sharding)
        return wrap(Node(intern_aval(array.shape, array.dtype, self.placement), array, flags=OWNED))

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The wrapped module's result on the split inputs."""
        self._replicate()
        return self.module(*self._placed(inputs), **self._placed(kwargs))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The wrapped module's, without a "module." prefix."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Loads the wrapped module's state, from keys with or without "module." in front."""
        prefix = "module."
        if state_dict and all(k.startswith(prefix) for k in state_dict):
            state_dict = {k[len(prefix) :]: v for k, v in state_dict.items()}
        result = self.module.load_state_dict(state_dict, strict=strict, assign=assign)
        self._replicate()
        return result


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """The module's result on a batch that is split over devices, as `DataParallel` gives it.

    The module's parameters stay on all of these devices afterwards.
    """
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*arguments, **(module_kwargs or {}))

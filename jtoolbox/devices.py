"""Devices under PyTorch's names: 'cpu', 'cuda' (JAX's gpu), 'tpu', with an index among several."""

from __future__ import annotations

from typing import Any

import jax

_PLATFORMS = {"cpu": "cpu", "cuda": "gpu", "gpu": "gpu", "tpu": "tpu", "xla": "tpu"}


class device:
    """A device: `device('cuda:0')`, `device('cpu')`, `device('cuda', 1)`, or a `jax.Device`.

    On `device('meta')` tensors have a shape and a type and no elements: operations infer shapes.
    Inside `with device(...):` it is the default one.

    A name without index means the first device of its kind. Whether the device is there is checked
    when something is put on it. RuntimeError for a name that is no device type.
    """

    __slots__ = ("type", "index")

    def __init__(self, type: Any = "cpu", index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        elif isinstance(type, jax.Device):
            type, index = type.platform, type.id
        elif isinstance(type, int):
            type, index = accelerator_type() or "cuda", type
        name, _, number = str(type).partition(":")
        if name not in _PLATFORMS and name != "meta":
            raise RuntimeError(
                f"Expected one of cpu, cuda, gpu, tpu device type at start of device string: {type}"
            )
        if number:
            if not number.isdigit() or index is not None:
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        self.type = "cuda" if name == "gpu" else name
        self.index = index

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> Any:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        before = _default()
        set_default_device(self)
        _defaults.append(before)
        return self

    def __exit__(self, *exception: Any) -> None:
        set_default_device(_defaults.pop())


# Of tensors that have a shape and a type and no elements.
META = device("meta")

_defaults: list[device | None] = []
_chosen: device | None = None


def _default() -> device | None:
    return _chosen


def accelerator_type() -> str | None:
    """'cuda' or 'tpu' when JAX runs on one by default, else None."""
    platform = jax.default_backend()
    return (
        None
        if platform == "cpu"
        else {"gpu": "cuda", "cuda": "cuda", "rocm": "cuda"}.get(platform, platform)
    )


def default_device() -> device:
    """The device of tensors made without one: JAX's default device unless it was set."""
    if _chosen is not None:
        return _chosen
    kind = accelerator_type()
    return device("cpu") if kind is None else device(kind, 0)


def set_default_device(d: Any) -> None:
    """Sets the device of tensors made without one; None gives it back to JAX."""
    global _chosen
    chosen = None if d is None else device(d)
    if chosen is not None and chosen.type != "meta":
        find(chosen)
    _chosen = chosen


def find(d: Any) -> Any:
    """The JAX device of this name. RuntimeError, with the devices there are, when it is absent."""
    d = device(d)
    try:
        there = jax.local_devices(backend=_PLATFORMS[d.type]) if d.type != "meta" else []
    except RuntimeError:
        there = []
    index = d.index or 0
    if index < len(there):
        return there[index]
    present = ", ".join(str(device(x)) for x in jax.local_devices())
    raise RuntimeError(
        f"device '{d}' is not available: JAX has {present} here. Use "
        "`jtoolbox.cuda.is_available()` to choose, or install a jax build for that device."
    )


class MeshPlacement(device):
    """The mark of tensors that lie on all devices of a mesh. To PyTorch's eyes, on its first."""

    __slots__ = ("mesh",)

    def __init__(self, mesh: Any):
        super().__init__(mesh.devices.flat[0])
        self.mesh = mesh

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


_placements: dict[Any, MeshPlacement] = {}


def mesh_placement(mesh: Any) -> MeshPlacement:
    """The one mark of this mesh."""
    if mesh not in _placements:
        _placements[mesh] = MeshPlacement(mesh)
    return _placements[mesh]


def placement(d: Any) -> device | None:
    """The engine's mark of a device: None for the default one, so most tensors carry none."""
    if d is None and _chosen is not None and _chosen.type == "meta":
        return META
    if d is None:
        return _chosen if _chosen is not None and find(_chosen) != jax.local_devices()[0] else None
    if d == META or d == "meta":
        return META
    chosen = find(d)
    return None if chosen == jax.local_devices()[0] else device(chosen)

"""JAX's GPUs under PyTorch's names, so that `cuda.is_available()` chooses as in PyTorch."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import jax

from jtoolbox import devices, random, streams
from jtoolbox.engine.realize import synchronize as _synchronize

__all__ = [
    "can_device_access_peer",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_count",
    "device_of",
    "get_arch_list",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_rng_state_all",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "is_tf32_supported",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
    "synchronize",
]


def _gpus() -> list[Any]:
    try:
        return jax.local_devices(backend="gpu")
    except RuntimeError:
        return []


def is_available() -> bool:
    """Whether JAX has a GPU here."""
    return bool(_gpus())


def device_count() -> int:
    """How many GPUs JAX has here."""
    return len(_gpus())


# Asked for by programs that save the states of GPUs' generators: here there is the default one.
_initialized = False


def init() -> None:
    """Nothing on a machine with GPUs; RuntimeError on one without."""
    devices.find("cuda")


def is_initialized() -> bool:
    """Whether there is a GPU: JAX starts it by itself."""
    return is_available()


def current_device() -> int:
    """The number of the default GPU; RuntimeError when there is none."""
    devices.find("cuda")
    chosen = devices.default_device()
    return chosen.index or 0 if chosen.type == "cuda" else 0


def _name(device: Any) -> Any:
    if device is None:
        return "cuda"
    return f"cuda:{device}" if isinstance(device, int) else device


def set_device(device: Any) -> None:
    """Makes a GPU the place of new tensors; a negative number changes nothing."""
    if not (isinstance(device, int) and device < 0):
        devices.set_default_device(_name(device))


class device:
    """A GPU chosen for the block: `with torch.cuda.device(1):`. A negative number, or None,
    changes nothing.
    """

    def __init__(self, device: Any):
        self.idx = device if isinstance(device, int) else devices.device(device).index or 0
        self._before: Any = None
        self._chosen = None if self.idx < 0 else devices.device("cuda", self.idx)

    def __enter__(self) -> None:
        if self._chosen is not None:
            self._chosen.__enter__()

    def __exit__(self, *exception: Any) -> None:
        if self._chosen is not None:
            self._chosen.__exit__(*exception)


class device_of(device):
    """The GPU of a tensor chosen for the block; nothing for a tensor that lies elsewhere."""

    def __init__(self, obj: Any):
        super().__init__(obj.get_device() if obj.is_cuda else -1)


class Properties(NamedTuple):
    """What is known of a GPU. `total_memory` is what JAX may use, in bytes."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


def get_device_properties(device: Any = None) -> Properties:
    """Name, compute capability, memory and number of processors of a GPU."""
    found = devices.find(_name(device))
    major, minor = get_device_capability(device)
    memory = (found.memory_stats() or {}).get("bytes_limit", 0)
    processors = getattr(found, "core_count", 0)
    return Properties(found.device_kind, major, minor, int(memory), int(processors))


def get_device_name(device: Any = None) -> str:
    """The kind of a GPU, as its maker names it."""
    return devices.find(_name(device)).device_kind


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a GPU, such as (9, 0)."""
    found = devices.find(_name(device))
    numbers = re.findall(r"\d+", str(getattr(found, "compute_capability", "")))
    return (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else (0, 0)


def get_arch_list() -> list[str]:
    """Empty: XLA compiles for the GPU that is there."""
    return []


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether both are GPUs here: XLA moves data between them."""
    return bool(devices.find(_name(device)) and devices.find(_name(peer_device)))


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 can be computed with: always, when there is a GPU."""
    return is_available()


def is_tf32_supported() -> bool:
    """Whether the GPU has TF32: from compute capability 8 on."""
    return is_available() and get_device_capability()[0] >= 8


def manual_seed(seed: int) -> None:
    """Seeds the generator, which is one for all devices."""
    random.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Gives the generator, which is one for all devices, a seed of the operating system."""
    random.seed()


seed_all = seed


def initial_seed() -> int:
    """The seed of the generator, which is one for all devices; RuntimeError without a GPU."""
    init()
    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of the generator, which is one for all devices; RuntimeError without a GPU."""
    init()
    return random.get_rng_state()


def get_rng_state_all() -> list[Any]:
    """The state of the generator, once for each GPU."""
    return [random.get_rng_state() for _ in _gpus()]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Continues the generator where `get_rng_state` was called."""
    random.set_rng_state(new_state)


def set_rng_state_all(new_states: Any) -> None:
    """Continues the generator where `get_rng_state_all` was called."""
    for state in new_states:
        random.set_rng_state(state)


def synchronize(device: Any = None) -> None:
    """Runs what is pending and waits for it; RuntimeError when there is no GPU."""
    devices.find(_name(device))
    _synchronize()


def ipc_collect() -> None:
    """Nothing on a machine with GPUs, whose memory is not shared between processes; RuntimeError on
    one without."""
    init()


def current_stream(device: Any = None) -> streams.Stream:
    """The stream of a GPU; RuntimeError when there is none."""
    devices.find(_name(device))
    return streams.current_stream(device)


default_stream = current_stream

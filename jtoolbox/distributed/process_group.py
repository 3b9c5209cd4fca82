"""Starting and ending several processes, by `torchrun`'s environment variables.

MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE say where the first process listens and which one this
is; LOCAL_RANK which of the machine's GPUs it uses. JAX connects the processes. One process needs
nothing of it.

NOTE: the order. JAX's processes connect before its devices are first used, so `init_process_group`
comes before tensors and `cuda.is_available()`. `python -m jtoolbox run` connects before the script.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import jax

__all__ = [
    "Backend",
    "GroupMember",
    "ProcessGroup",
    "connect",
    "destroy_process_group",
    "get_backend",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "is_available",
    "is_backend_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "new_group",
]

BACKENDS = ("gloo", "nccl", "mpi", "xccl", "ucc")
NOT_INITIALIZED = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)
TWICE = "trying to initialize the default process group twice!"
NO_VARIABLE = (
    "Error initializing torch.distributed using env:// rendezvous: environment variable {name} "
    "expected, but not set. Start the script with torchrun, or set MASTER_ADDR, MASTER_PORT, RANK "
    "and WORLD_SIZE."
)
NO_METHOD = "init_method '{method}' is not supported: use env:// or tcp://host:port"
NO_BACKEND = "Invalid backend: '{backend}'. Supported are gloo and nccl; both mean JAX's own."
TOO_LATE = (
    "init_process_group must come before JAX's devices are first used (a tensor, "
    "cuda.is_available()). Move it to the top of the script, or start the script with `python -m "
    "jtoolbox run`, which connects first. JAX says: {error}"
)
SUBGROUP = (
    "new_group(ranks={ranks}) of {size} processes is not supported: a collective always involves "
    "all processes. Use ranks=None."
)


class Backend(str):
    """The name of a backend, in small letters: `Backend("GLOO")` is "gloo"."""

    UNDEFINED = "undefined"
    GLOO, NCCL, MPI, XCCL, UCC = BACKENDS
    backend_list = [UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI]
    default_device_backend_map = {"cpu": GLOO, "cuda": NCCL, "xpu": XCCL, "mps": GLOO}

    def __new__(cls, name: str) -> Backend:
        """ValueError for what is no string."""
        if not isinstance(name, str):
            raise ValueError("Backend constructor parameter must be string-ish")
        return super().__new__(cls, name.lower())


class ProcessGroup:
    """All processes. There are no smaller groups."""

    def __init__(self, rank: int, size: int, backend: str):
        self._rank, self._size, self.backend = rank, size, backend

    def rank(self) -> int:
        """The number of this process."""
        return self._rank

    def size(self) -> int:
        """The number of processes."""
        return self._size

    def name(self) -> str:
        """The backend that was asked for."""
        return self.backend


class GroupMember:
    """`GroupMember.WORLD` is the group of all processes."""

    WORLD: ProcessGroup | None = None
    NON_GROUP_MEMBER: Any = -100


group = GroupMember


def is_available() -> bool:
    """True."""
    return True


def is_backend_available(backend: str) -> bool:
    """Whether a backend's name is accepted; all of them mean JAX's own collectives."""
    return backend.lower() in BACKENDS[:2]


def is_gloo_available() -> bool:
    """True: JAX's collectives on CPU are gloo's."""
    return True


def is_nccl_available() -> bool:
    """Whether JAX runs on GPUs, where its collectives are NCCL's."""
    return jax.default_backend() in ("gpu", "cuda")


def is_mpi_available() -> bool:
    """False."""
    return False


def is_torchelastic_launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_initialized() -> bool:
    """Whether `init_process_group` was called."""
    return GroupMember.WORLD is not None


def world() -> ProcessGroup:
    """The group of all processes; ValueError before `init_process_group`."""
    if GroupMember.WORLD is None:
        raise ValueError(NOT_INITIALIZED)
    return GroupMember.WORLD


def get_rank(group: ProcessGroup | None = None) -> int:
    """The number of this process; ValueError before `init_process_group`."""
    return world().rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """The number of processes; ValueError before `init_process_group`."""
    return world().size()


def get_backend(group: ProcessGroup | None = None) -> str:
    """The backend that was asked for."""
    return world().name()


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """The number of this process on its machine, from LOCAL_RANK."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment: pass fallback_rank")
    return int(fallback_rank)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The same number: the only group is that of all processes."""
    return group_rank


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The same number: the only group is that of all processes."""
    return global_rank


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The numbers of all processes."""
    return list(range(get_world_size()))


def new_group(ranks: Sequence[int] | None = None, *args: Any, **kwargs: Any) -> ProcessGroup:
    """The group of all processes; NotImplementedError for fewer."""
    found = world()
    if ranks is not None and sorted(ranks) != list(range(found.size())):
        raise NotImplementedError(SUBGROUP.format(ranks=list(ranks), size=found.size()))
    return found


def _variable(environment: Mapping[str, str], name: str) -> str:
    if name not in environment:
        raise ValueError(NO_VARIABLE.format(name=name))
    return environment[name]


def _meeting_place(method: str | None, size: int, rank: int) -> tuple[str, int, int]:
    """(address of the first process, number of processes, number of this one)."""
    environment = os.environ
    if method is not None and method.startswith("tcp://"):
        if size < 0 or rank < 0:
            raise ValueError("init_method tcp:// needs world_size and rank")
        return method.removeprefix("tcp://"), size, rank
    if method is not None and not method.startswith("env://"):
        raise ValueError(NO_METHOD.format(method=method))
    rank = int(_variable(environment, "RANK")) if rank < 0 else rank
    size = int(_variable(environment, "WORLD_SIZE")) if size < 0 else size
    host = _variable(environment, "MASTER_ADDR")
    port = int(_variable(environment, "MASTER_PORT"))
    # There torchrun itself listens at the port that it names.
    port += environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return f"{host}:{port}", size, rank


def connect(address: str, size: int, rank: int, timeout: timedelta | None = None) -> None:
    """Connects this process with the others; nothing when that was done, or for a single one."""
    if size == 1 or jax.distributed.is_initialized():
        return
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM ends a process as ever
    local = os.environ.get("LOCAL_RANK")
    try:
        jax.distributed.initialize(
            address,
            size,
            rank,
            local_device_ids=None if local is None else int(local),
            cluster_detection_method="deactivate",
            initialization_timeout=300 if timeout is None else int(timeout.total_seconds()),
            # By default the first process would listen at every interface of the machine.
            coordinator_bind_address=address if rank == 0 else None,
        )
    except RuntimeError as error:
        if "before" in str(error):
            raise RuntimeError(TOO_LATE.format(error=error)) from None
        raise
    sys.excepthook = _ending(sys.excepthook)


def connect_by_environment() -> None:
    """Connects when torchrun's environment variables say that there are several processes."""
    names = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE")
    if all(name in os.environ for name in names) and int(os.environ["WORLD_SIZE"]) > 1:
        connect(*_meeting_place(None, -1, -1))


def _ending(report: Any) -> Any:
    """An excepthook that ends the process at once: leaving in order waits for the others."""

    def hook(*exception: Any) -> None:
        report(*exception)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    return hook


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Connects all processes: by torchrun's environment variables, or `tcp://host:port`.

    "gloo" and "nccl" are accepted as `backend` and mean JAX's own collectives. Call it before any
    tensor is made. ValueError for a missing variable or a second call. An exception that ends one
    process ends it at once, so that the others notice.
    """
    if GroupMember.WORLD is not None:
        raise ValueError(TWICE)
    chosen = "gloo" if backend is None else str(backend).lower()
    if any(part.split(":")[-1] not in BACKENDS for part in chosen.split(",")):
        raise ValueError(NO_BACKEND.format(backend=backend))
    if store is not None:
        raise ValueError(NO_METHOD.format(method="store=..."))
    address, size, number = _meeting_place(init_method, world_size, rank)
    connect(address, size, number, timeout)
    GroupMember.WORLD = ProcessGroup(number, size, chosen)


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Ends the connection; AssertionError when there is none."""
    if GroupMember.WORLD is None:
        raise AssertionError("Process group cannot be None: call init_process_group first")
    GroupMember.WORLD = None
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()

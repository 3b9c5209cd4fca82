"""Stand-ins for modules of PyTorch's that libraries import at their start, and that are left out.

torchvision, timm, PyTorch Geometric and others import quantisation, `torch.fx` or `torch._dynamo`
whether they are used or not. A stand-in lets the import pass. Its names are classes that may be
subclassed and named in annotations and `isinstance` tests; calling one raises NotImplementedError,
which says why it is left out. Decorators that mark functions for PyTorch's compiler give the
function back, and questions about that compiler are answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from jtoolbox.programs import custom_ops

__all__ = ["MODULES", "Namespace", "StandIn", "load_library", "reason", "stands_in"]

COMPILER = "it belongs to PyTorch's compiler, and XLA compiles everything here"
LAUNCHER = "start processes with torchrun's environment variables"
PRIVATE = "it is private to PyTorch"
SHARDED = "jtoolbox.nn.parallel.fully_shard shards, with jax.sharding underneath"
STORES = "JAX connects the processes; init_process_group takes env:// or tcp://host:port"
TORCHSCRIPT = "TorchScript is left out"

# Module, without "torch."; why it is left out. What lies under one is left out with it.
MODULES = {
    "_C": PRIVATE,
    "_custom_ops": COMPILER,
    "_dynamo": COMPILER,
    "_higher_order_ops": COMPILER,
    "_inductor": COMPILER,
    "_jit_internal": TORCHSCRIPT,
    "_ops": COMPILER,
    "_prims_common": PRIVATE,
    "_subclasses": COMPILER,
    "_tensor_str": PRIVATE,
    "_utils": PRIVATE,
    "ao": "quantisation is left out",
    "distributed._composable": PRIVATE,
    "distributed._functional_collectives": PRIVATE,
    "distributed._tensor": PRIVATE,
    "distributed.algorithms": "jtoolbox.nn.parallel has what is there for several processes",
    "distributed.checkpoint": "torch.save writes a whole state_dict, and process 0 may write it",
    "distributed.constants": PRIVATE,
    "distributed.device_mesh": SHARDED,
    "distributed.elastic": "processes are not started again; a loop goes on from a checkpoint",
    "distributed.fsdp": SHARDED,
    "distributed.launch": LAUNCHER,
    "distributed.launcher": LAUNCHER,
    "distributed.nn": "gradients do not pass through collectives between processes",
    "distributed.optim": SHARDED,
    "distributed.pipelining": "there is no pipeline over devices",
    "distributed.rpc": "XLA's exchanges involve all processes",
    "distributed.run": LAUNCHER,
    "distributed.tensor": SHARDED,
    "distributed.utils": PRIVATE,
    "export": "export is left out; XLA compiles everything here",
    "fx": COMPILER,
    "jit._recursive": TORCHSCRIPT,
    "jit.annotations": TORCHSCRIPT,
    "library": COMPILER,
    "numa": PRIVATE,
    "onnx._internal": "export is left out",
    "onnx.symbolic_helper": "export is left out",
    "ops.aten": "PyTorch's dispatcher is not there; use the functions of torch",
    "ops.prims": "PyTorch's dispatcher is not there; use the functions of torch",
    "utils._python_dispatch": "there is no dispatcher; torch.overrides.TorchFunctionMode is asked "
    "before each operation",
    "utils._sympy": COMPILER,
    "utils.data.datapipes": "PyTorch does not develop them further; a Dataset has their place",
    "utils.flop_counter": "it counts at PyTorch's dispatcher, which is not there",
    **{f"onnx.symbolic_opset{n}": "export is left out" for n in range(9, 21)},
}
# Names of modules that are there, with the reason why these are not.
NAMES = {
    "PyTorchFileReader": "torch.load reads a file whole",
    "cuda.CUDAGraph": "XLA makes CUDA graphs of programs itself",
    "cuda.graph": "XLA makes CUDA graphs of programs itself",
    "distributed.all_to_all": "use all_gather, and take this process's part",
    "distributed.all_to_all_single": "use all_gather, and take this process's part",
    "distributed.DeviceMesh": SHARDED,
    "distributed.init_device_mesh": SHARDED,
    "distributed.FileStore": STORES,
    "distributed.HashStore": STORES,
    "distributed.PrefixStore": STORES,
    "distributed.Store": STORES,
    "distributed.TCPStore": STORES,
    "distributed.new_subgroups": "a collective always involves all processes",
}


def _itself(function: Any = None, *args: Any, **kwargs: Any) -> Any:
    return function if callable(function) or isinstance(function, str) else _itself


def _mark(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """A decorator that was given arguments."""
    return args[-1] if args and callable(args[-1]) else _itself


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _keys(*args: Any) -> frozenset[Any]:
    """A set of dispatch keys, empty: there is no dispatcher."""
    return frozenset()


class Library:
    """`torch.library.Library`: takes definitions for PyTorch's dispatcher, which nothing asks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    define = fallback = _nothing
    impl = _mark


@dataclass(frozen=True)
class Replicate:
    """How a tensor would lie on devices: whole on each."""


@dataclass(frozen=True)
class Shard:
    """How a tensor would lie on devices: in parts along a dimension."""

    dim: int


@dataclass(frozen=True)
class Partial:
    """How a tensor would lie on devices: as terms to be reduced."""

    reduce_op: str = "sum"


# The names of stand-ins that are more than classes that may not be called.
_ANSWERS: dict[str, Any] = {
    **{"_C._are_functorch_transforms_active": _no},
    **{"_C._log_api_usage_once": _nothing, "_C._get_tracing_state": _nothing},
    **{"_C.DispatchKeySet": _keys},
    **{"_C._disabled_torch_function_impl": NotImplemented},
    **{"_dynamo.is_compiling": _no, "_dynamo.disable": _itself, "_dynamo.allow_in_graph": _itself},
    **{"_dynamo.assume_constant_result": _itself},
    **{f"_dynamo.mark_{name}": _nothing for name in ("static", "static_address", "dynamic")},
    "_dynamo.maybe_mark_dynamic": _nothing,
    **{"_dynamo.external_utils.is_compiling": _no, "_dynamo.graph_break": _nothing},
    **{"_dynamo.utils.is_compile_supported": _no, "_dynamo.reset": _nothing},
    **{"_C._distributed_rpc._is_current_rpc_agent_set": _no},
    **{"_jit_internal._copy_to_script_wrapper": _itself},
    **{f"distributed.tensor.{c.__name__}": c for c in (Partial, Replicate, Shard)},
    **{"distributed.rpc.api._require_initialized": _itself, "distributed.rpc.is_available": _no},
    **{"_subclasses.fake_tensor.is_fake": _no, "fx.wrap": _itself},
    "fx.experimental.proxy_tensor.get_proxy_mode": _nothing,
    **{f"jit.annotations.BroadcastingList{n}": list for n in range(1, 7)},
    **{"library.Library": Library, "library.define": _nothing, "library.impl": _mark},
    **{f"library.{name}": _mark for name in ("impl_abstract", "register_kernel")},
    **{f"library.register_{name}": _nothing for name in ("vmap", "torch_dispatch")},
    "library.custom_op": custom_ops.custom_op,
    "library.register_autograd": custom_ops.register_autograd,
    "library.register_fake": custom_ops.register_fake,
    **{"onnx.symbolic_helper.parse_args": _mark, "onnx.symbolic_helper.quantized_args": _mark},
}


def reason(path: str) -> str | None:
    """Why a module (its path without "torch.") is left out; None where it is not."""
    folder = path
    while folder:
        if folder in MODULES:
            return MODULES[folder]
        folder = folder.rpartition(".")[0]
    return None


class _Uncalled(type):
    """The kind of a class that stands for something left out."""

    _why = ""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{cls._why} (`python -m jtoolbox check` lists what is absent)")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(f"{cls._path}.{name}", cls._why)  # type: ignore[attr-defined]

    def __getitem__(cls, item: Any) -> Any:
        return cls


def _uncalled(path: str, why: str) -> _Uncalled:
    sentence = why if why.startswith("torch.") else f"torch.{path} is not supported: {why}"
    return _Uncalled(path.rpartition(".")[2], (), {"_why": sentence, "_path": path})


def _stand_in(path: str, why: str) -> Any:
    return _ANSWERS[path] if path in _ANSWERS else _uncalled(path, why)


class StandIn(ModuleType):
    """A left-out module: its names are answers, or classes that say so when they are called."""

    def __init__(self, path: str):
        super().__init__(f"torch.{path}", f"Left out: {reason(path)}.")
        self.__dict__["_path"] = path
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        path = f"{self.__dict__['_path']}.{name}"
        value = self.__dict__[name] = _stand_in(path, str(reason(path)))
        return value


class Namespace(ModuleType):
    """`torch.ops.library`: of its operations those are here that `custom_op` made."""

    def __getattr__(self, name: str) -> Any:
        made = custom_ops.registered.get(f"{self.__name__.rpartition('.')[2]}::{name}")
        if made is not None:
            return made
        raise AttributeError(f"{self.__name__}.{name} is compiled for PyTorch, and is not here")


def load_library(path: Any) -> None:
    """`torch.ops.load_library`: OSError, as PyTorch's where a library does not fit."""
    raise OSError(f"cannot load {str(path)!r}: it is compiled for PyTorch, and this is jtoolbox")


def stands_in(value: Any) -> bool:
    """Whether a value is a stand-in of this module."""
    return isinstance(value, (_Uncalled, StandIn))


def name(path: str) -> Any:
    """What stands for a left-out name of a module that is there: a class that may not be called."""
    return _uncalled(path, NAMES[path])

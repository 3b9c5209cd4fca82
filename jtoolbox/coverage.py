"""`python -m jtoolbox.coverage`: the public names of the installed PyTorch, and which are here.

For each namespace: how many names PyTorch has, how many are present, how many are left out for a
reason in `REASONS`, how many are absent without one. `--names` lists the latter two, and arguments
choose namespaces (`nn nn.functional`). PyTorch is needed for this alone.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jtoolbox.programs import left_out
from jtoolbox.programs.names import Missing, find

__all__ = ["NAMESPACES", "REASONS", "Row", "main", "rows"]

NAMESPACES = (
    *("", "Tensor", "nn", "nn.functional", "nn.init", "nn.parameter", "nn.utils", "nn.utils.rnn"),
    *("nn.utils.parametrize", "nn.utils.parametrizations", "nn.utils.prune", "nn.utils.fusion"),
    *(
        "nn.utils.stateless",
        "nn.attention",
        "nn.attention.bias",
        "nn.attention.flex_attention",
        "nn.parallel",
        "optim",
        "optim.lr_scheduler",
    ),
    *("optim.swa_utils", "autograd", "autograd.functional", "autograd.profiler", "amp", "func"),
    *("linalg", "fft", "special", "signal.windows", "sparse", "distributions", "random"),
    *("distributions.constraints", "distributions.transforms", "utils.data", "utils.checkpoint"),
    *("utils.dlpack", "serialization", "cuda", "cuda.amp", "accelerator", "cpu", "mps", "xpu"),
    *("backends", "backends.cuda", "backends.mps", "distributed", "multiprocessing", "jit"),
    *("profiler", "hub", "onnx", "testing", "types", "futures", "overrides", "library", "export"),
    *("compiler", "nested", "masked", "storage", "quasirandom", "version"),
)

# Pattern of the full name, after "torch."; why the name is left out.
REASONS: tuple[tuple[str, str], ...] = (
    (
        r".*(quantiz|[Qq]uant_|q_(per|scale|zero)|fbgemm|fake_quant|qscheme|int_repr|qint|quint)"
        r".*|.*\bq(scheme|uint\d|int\d+)",
        "quantisation",
    ),
    (r"(jit\..*|.*(Script|CompilationUnit|JIT|Jit).*|.*_jit_.*)", "TorchScript"),
    (
        r".*(mkldnn|cudnn|miopen|mkl|onednn|nnpack|cusparselt|kleidi|xnnpack).*",
        "a library of PyTorch's that XLA does not use",
    ),
    (r".*(Storage|storage)\w*", "storages: values are JAX arrays, and files are read without them"),
    (
        r"\w*(Type|Argument|Stmt|Node|Value|Block|Code|Use|Gradient|FutureType|Capsule)",
        "types of PyTorch's compiler",
    ),
    (
        r".*(ipu|maia|mtia|vulkan|hpu|xla_|Xla|lazy_|privateuse).*",
        "devices that JAX does not name so",
    ),
    (
        r"(cuda|xpu)\..*(Graph|graph|MemPool|mem_pool|Pluggable|caching_alloc|allocator|Green|cudart|"
        r"cudaStatus|CudaError|snapshot|utilization|temperature|power|clock|memory_used|memory_usage|"
        r"blas_handle|solver_handle|check_error|Deferred|External|external|host_memory|gencode|"
        r"list_gpu|sync_debug|nested_dict|capturing|default_generators|has_half|has_magma|"
        r"allocator_backend|arch_list|graphed).*",
        "internals of CUDA's runtime, which JAX manages",
    ),
    (r"xpu\..*|mps\..*", "devices that JAX does not run here"),
    (
        r"distributed\.(Store|TCPStore|FileStore|HashStore|PrefixStore|.*Options|Reducer|GradBucket|"
        r"Logger|DebugLevel|.*debug_level.*|Backend.*|BuiltinComm.*|register_.*|rendezvous|.*[Pp]2[Pp].*|"
        r".*(ucc|xccl).*|split_group|shrink_group|new_subgroups.*|record_comm|QueueEmpty.*|Dist.*Error|"
        r"monitored_barrier|breakpoint|ProcessGroupGloo|GroupName|RankType|timedelta|log|reduce_op|"
        r"get_pg_count|default_pg_timeout|.*coalesced|.*_single|all_to_all)",
        "internals of process groups",
    ),
    (
        r"distributed\.i?(send|recv)(_object_list)?",
        "messages between two processes: XLA's exchanges involve all",
    ),
    (
        r"(library|export|compiler|overrides|onnx)\..*",
        "the compiler and its extensions: XLA compiles everything",
    ),
    (
        r"nn\.functional\.(BroadcastingList\d|Callable|DType|GRID_SAMPLE_\w+|TYPE_CHECKING|Tensor|"
        r"\w*_notes|assert_int_or_pair|boolean_dispatch|\w*handle_torch_function\w*|"
        r"has_torch_function\w*)|(linalg|fft)\.(common_notes|Tensor)",
        "helpers of PyTorch's own files",
    ),
    (
        r"Tensor\.(eig|lstsq|solve|symeig|resize|resize_as|volatile|reinforce)",
        "removed from PyTorch: they raise or warn there",
    ),
    (
        r"utils\.data\.(\w*DataPipe|DataChunk|\w*datapipe\w*|\w*_validation\w*|non_deterministic)",
        "DataPipes, which PyTorch has given up",
    ),
    (
        r".*[sS]emi_?[sS]tructured.*|.*to_sparse_(bsc|bsr|csc)|.*sparse_resize\w*|"
        r"Tensor\.(smm|sspaddmm)",
        "layouts of sparse matrices without a counterpart in JAX",
    ),
    (r".*(autocast_(ipu|xla)).*", "devices that JAX does not name so"),
    (r"(_.*|.*\._.*)", "private"),
)


class Row(NamedTuple):
    """A namespace: names present, names left out with their reason, and names absent."""

    namespace: str
    present: list[str]
    left_out: dict[str, str]
    absent: list[str]


def _names(namespace: Any, path: str) -> list[str]:
    """Public names of a namespace of PyTorch: documented ones where it lists them."""
    listed = getattr(namespace, "__all__", None)
    chosen = listed if listed and path else dir(namespace)
    found = []
    for name in sorted(set(chosen)):
        value = inspect.getattr_static(namespace, name, None)
        foreign = getattr(value, "__module__", None) in ("typing", "collections", "functools")
        if not name.startswith("_") and not inspect.ismodule(value) and not foreign:
            found.append(name)
    return found


def _reason(path: str) -> str | None:
    return next((why for pattern, why in REASONS if re.fullmatch(pattern, path)), None)


def _is_here(path: str) -> bool:
    """Whether a name is there, and not only what stands for it under `jtoolbox run`."""
    try:
        return not left_out.stands_in(find(path))
    except Missing:
        return False


def _row(torch: Any, path: str) -> Row:
    theirs = torch
    for part in path.split(".") if path else ():
        theirs = getattr(theirs, part)
    present, reasons, absent = [], {}, []
    for name in _names(theirs, path):
        full = f"{path}.{name}" if path else name
        if _is_here(full):
            present.append(name)
        else:
            why = _reason(full)
            if why is None:
                absent.append(name)
            else:
                reasons[name] = why
    return Row(path or "torch", present, reasons, absent)


def rows(namespaces: Sequence[str] = NAMESPACES) -> list[Row]:
    """What the installed PyTorch has in these namespaces. ImportError without PyTorch."""
    torch = importlib.import_module("torch")
    for path in namespaces:
        if path and path != "Tensor":
            importlib.import_module(f"torch.{path}")
    return [_row(torch, path) for path in namespaces]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m jtoolbox.coverage", description=__doc__)
    parser.add_argument("namespaces", nargs="*", help="such as nn.functional; all by default")
    parser.add_argument("--names", action="store_true", help="list what is absent, and why")
    chosen = parser.parse_args(arguments)
    try:
        found = rows(chosen.namespaces or NAMESPACES)
    except ModuleNotFoundError as error:
        parser.exit(2, f"coverage compares with the installed PyTorch, and {error}\n")
    counts = [(len(r.present), len(r.left_out), len(r.absent)) for r in found]
    table: list[tuple[Any, ...]] = [(r.namespace, *c) for r, c in zip(found, counts, strict=True)]
    table.append(("all", *map(sum, zip(*counts, strict=True))))
    print(f"{'namespace':<28}{'names':>7}{'present':>9}{'left out':>10}{'absent':>8}")
    for name, *counted in table:
        present, without, absent = counted
        print(f"{name:<28}{sum(counted):>7}{present:>9}{without:>10}{absent:>8}")
    if chosen.names:
        for row in found:
            for name, why in row.left_out.items():
                print(f"{row.namespace}.{name}: left out ({why})")
            for name in row.absent:
                print(f"{row.namespace}.{name}: absent")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

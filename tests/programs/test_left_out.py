"""Libraries that import left-out parts of PyTorch at their start load; using such a part says so."""

from __future__ import annotations

from tests.programs.test_programs import python

SCRIPT = """
import torch, torch.fx, torch._dynamo, torch.library
from torch.ao.quantization import DeQuantStub, QuantStub
from torch.fx.graph_module import GraphModule
from torch.jit import Final
from torch.jit.annotations import BroadcastingList2
from torch.onnx.symbolic_helper import parse_args
from torch.hub import HASH_REGEX, _get_torch_home, urlparse
from torch.nn.modules.module import _IncompatibleKeys
from torch.utils.data._utils.collate import default_collate
from torch.utils.hooks import RemovableHandle
from torch.utils.model_zoo import load_url
from torch.functional import norm

@torch.fx.wrap
def double(x: torch.torch.Tensor, size: BroadcastingList2[int], flag: Final[bool] = True):
    return 2 * x

torch.fx.wrap("double")

@torch.library.register_fake("mine::double")
@parse_args("v", "v")
def fake(x, size):
    return x

class Tracer(torch.fx.Tracer, torch.nn.Module):
    pass

aten = {torch.ops.aten.clone.default: fake}
print(double(torch.ones(1), [1, 2]).item(), fake(3, 1), isinstance(torch.ones(1), GraphModule))
print(torch._dynamo.is_compiling(), norm(torch.ones(4)).item(), default_collate([1, 2]).tolist())
print(HASH_REGEX.search("net-0a1b.pth")[1], hasattr(torch.ops.mine, "double"), "JAX" in torch.__config__.show())
for use in (QuantStub, Tracer, torch.fx.symbolic_trace, torch._dynamo.config.reset):
    try:
        use()
    except NotImplementedError as error:
        print(error)
try:
    torch.ops.load_library("lib.so")
except OSError as error:
    print(error)
"""


def test_left_out_modules_load_and_their_use_says_why_they_are_left_out(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = python("-m", "jtoolbox", "run", str(path), tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    tail = "(`python -m jtoolbox check` lists what is absent)"
    compiler = (
        "is not supported: it belongs to PyTorch's compiler, and XLA compiles everything here"
    )
    assert done.stdout.splitlines() == [
        "2.0 3 False",
        "False 2.0 [1, 2]",
        "0a1b False True",
        f"torch.ao.quantization.QuantStub is not supported: quantisation is left out {tail}",
        f"torch.fx.Tracer {compiler} {tail}",
        f"torch.fx.symbolic_trace {compiler} {tail}",
        f"torch._dynamo.config {compiler} {tail}",
        "cannot load 'lib.so': it is compiled for PyTorch, and this is jtoolbox",
    ]

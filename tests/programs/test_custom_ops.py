"""`torch.library.custom_op` under run: an operation with the gradients that were registered."""

from __future__ import annotations

from tests.programs.test_programs import python

SCRIPT = """
import torch
from torch.distributed.tensor import Shard
from torch.utils._pytree import LeafSpec, tree_structure

@torch.library.custom_op("mine::times", mutates_args=())
def times(x: torch.Tensor, k: float = 3.0) -> torch.Tensor:
    return x * k

def setup(ctx, inputs, output):
    ctx.k = inputs[1]

times.register_autograd(lambda ctx, g: (10 * g * ctx.k, None), setup_context=setup)
x = torch.ones(2, requires_grad=True)
(torch.ops.mine.times(x, k=2.0) + times(x)).sum().backward()
print(x.grad.tolist())

@torch.library.custom_op("mine::inc_", mutates_args={"x"})
def inc_(x: torch.Tensor) -> None:
    x.add_(1)

z = torch.zeros(2)
inc_(z)
print(z.tolist(), Shard(0) == Shard(0), isinstance(tree_structure(1), LeafSpec))
print(torch.finfo(torch.float8_e4m3fn).max, torch.distributed.Backend("NCCL"))
try:
    torch.zeros(2, dtype=torch.float8_e4m3fn)
except NotImplementedError as error:
    print(error)
"""


def test_an_operation_of_ones_own_has_the_gradients_that_were_registered(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = python("-m", "jtoolbox", "run", str(path), tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[50.0, 50.0]",
        "[1.0, 1.0] True True",
        "448.0 nccl",
        "tensors of torch.float8_e4m3fn are not supported: use torch.bfloat16",
    ]

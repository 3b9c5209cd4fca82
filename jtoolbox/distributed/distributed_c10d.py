"""Where PyTorch keeps its collectives."""

from jtoolbox.distributed.collectives import ReduceOp, all_gather, all_reduce, broadcast, reduce
from jtoolbox.distributed.process_group import ProcessGroup, get_rank, get_world_size

__all__ = [
    "ProcessGroup",
    "ReduceOp",
    "all_gather",
    "all_reduce",
    "broadcast",
    "get_rank",
    "get_world_size",
    "reduce",
]

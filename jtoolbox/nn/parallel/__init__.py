"""Training on several devices and in several processes."""

from jtoolbox.nn.parallel.data_parallel import DataParallel, data_parallel
from jtoolbox.nn.parallel.distributed import DistributedDataParallel
from jtoolbox.nn.parallel.parallel_apply import parallel_apply
from jtoolbox.nn.parallel.replicate import replicate
from jtoolbox.nn.parallel.scatter_gather import gather, scatter, scatter_kwargs

__all__ = [
    "DataParallel",
    "DistributedDataParallel",
    "data_parallel",
    "gather",
    "parallel_apply",
    "replicate",
    "scatter",
    "scatter_kwargs",
]

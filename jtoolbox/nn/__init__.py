"""Layers, and what they are made of: PyTorch's `torch.nn`."""

from jtoolbox.nn import functional, init, utils
from jtoolbox.nn.container import (
    Container,
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
)
from jtoolbox.nn.module import (
    Module,
)
from jtoolbox.nn.parallel import (
    DataParallel,
)
from jtoolbox.nn.parameter import (
    Buffer,
    Parameter,
)

__all__ = [
    "Buffer",
    "Container",
    "DataParallel",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "functional",
    "init",
    "utils",
]

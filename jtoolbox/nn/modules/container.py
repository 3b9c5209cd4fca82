"""PyTorch's `nn.modules.container`: the names that programs import from there."""

from jtoolbox.nn.container import Container, ModuleDict, ModuleList, Sequential
from jtoolbox.nn.parameter_container import ParameterDict, ParameterList

__all__ = [
    "Container",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "Sequential",
]

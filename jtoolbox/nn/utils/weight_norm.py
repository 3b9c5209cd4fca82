"""Weight normalization as a hook before `forward`: a direction and a magnitude for a weight."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from jtoolbox.nn.functional.reparametrization import norm_except_dim, weight_norm_weight
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter, is_lazy
from jtoolbox.tensor import Tensor

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]

M = TypeVar("M", bound=Module)
_DEPRECATED = (
    "`torch.nn.utils.weight_norm` is deprecated in favor of "
    "`torch.nn.utils.parametrizations.weight_norm`."
)
_TWICE = "Cannot register two weight_norm hooks on the same parameter {name}"
_LAZY = (
    "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the "
    "dummy forward before applying weight normalization"
)


class WeightNorm:
    """The hook that computes `name` from `name_g` and `name_v` before each forward pass."""

    def __init__(self, name: str, dim: int | None):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Tensor:
        """g v / |v|."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return weight_norm_weight(v, g, self.dim)

    def remove(self, module: Any) -> None:
        """Puts the present weight in the place of direction and magnitude."""
        weight = self.compute_weight(module).detach()
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Replaces a weight by its direction and its magnitude: w = g v / |v|.

    `name_g` and `name_v` become the module's parameters; w is computed from them before every
    forward pass. The norm is over all dimensions but `dim`; with None it is of the whole weight.
    Raises RuntimeError where the weight is normalized already, ValueError for a lazy module.
    Salimans and Kingma, "Weight Normalization", https://arxiv.org/abs/1602.07868.

        layer = nn.utils.weight_norm(nn.Linear(20, 40))
    """
    warnings.warn(_DEPRECATED, FutureWarning, stacklevel=2)
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and hook.name == name:
            raise RuntimeError(_TWICE.format(name=name))
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    if is_lazy(weight):
        raise ValueError(_LAZY)
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight, 2, hook.dim).detach()))
    module.register_parameter(name + "_v", Parameter(weight.detach().clone()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Undoes `weight_norm`: the weight is one parameter again. ValueError if there is none."""
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[number]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")

"""Spectral normalization as a hook before `forward`: a weight over its largest singular value."""

from __future__ import annotations

from typing import Any, TypeVar

from jtoolbox.engine import no_grad
from jtoolbox.nn.functional.reparametrization import power_iteration, spectral_norm_weight
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter, is_lazy
from jtoolbox.nn.utils.parametrizations import default_dim, unit_vector
from jtoolbox.tensor import Tensor

__all__ = ["SpectralNorm", "remove_spectral_norm", "spectral_norm"]

M = TypeVar("M", bound=Module)
VERSION = 1
_TWICE = "Cannot register two spectral_norm hooks on the same parameter {name}"
_ITERATIONS = "Expected n_power_iterations to be positive, but got n_power_iterations={count}"
_LAZY = (
    "The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the "
    "dummy forward before applying spectral normalization"
)


class SpectralNorm:
    """The hook that computes `name` from `name_orig` before each forward pass."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        if n_power_iterations <= 0:
            raise ValueError(_ITERATIONS.format(count=n_power_iterations))
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def compute_weight(self, module: Any, do_power_iteration: bool) -> Tensor:
        """The weight over its largest singular value, after some steps towards the latter."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        if do_power_iteration:
            before = u, v
            u, v = power_iteration(
                weight.detach(), u, v, self.n_power_iterations, self.dim, self.eps
            )
            for buffer, value in zip(before, (u, v), strict=True):
                buffer.copy_(value)
        return spectral_norm_weight(weight, u, v, self.dim)

    def remove(self, module: Any) -> None:
        """Puts the present weight in the place of the original one."""
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        delattr(module, self.name)
        delattr(module, self.name + "_u")
        delattr(module, self.name + "_v")
        delattr(module, self.name + "_orig")
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))

    def note_version(self, module: Any, state_dict: Any, prefix: str, metadata: Any) -> None:
        """Says in a state dict's metadata which buffers it holds, as PyTorch does."""
        metadata.setdefault("spectral_norm", {})[self.name + ".version"] = VERSION


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divides a weight by its largest singular value before every forward pass: w = w_orig / s.

    s comes from `n_power_iterations` steps of power iteration for each pass in training, which go
    on from the buffers `name_u` and `name_v`; `name_orig` is the parameter. `dim` gives the rows
    of the weight as a matrix: 0, or 1 for transposed convolutions. Raises RuntimeError where the
    weight is normalized already, ValueError for iterations below 1 or a lazy module. State dicts
    that PyTorch wrote before its version 1.1 lack `name_v` and raise as such. Miyato et al.,
    "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957.

        layer = nn.utils.spectral_norm(nn.Linear(20, 40))
    """
    dim = default_dim(module) if dim is None else dim
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            raise RuntimeError(_TWICE.format(name=name))
    hook = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = module._parameters[name]
    if is_lazy(weight):
        raise ValueError(_LAZY)
    rows = weight.shape[dim]
    start = [unit_vector(weight, n, eps) for n in (rows, weight.numel() // rows)]
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach().clone())
    module.register_buffer(name + "_u", start[0])
    module.register_buffer(name + "_v", start[1])
    module.register_forward_pre_hook(hook)
    module._register_state_dict_hook(hook.note_version)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Undoes `spectral_norm`: the normalized weight is a parameter. ValueError if there is none."""
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[number]
            noted = [k for k, h in module._state_dict_hooks.items() if h == hook.note_version]
            for key in noted:
                del module._state_dict_hooks[key]
            return module
    raise ValueError(f"spectral_norm of '{name}' not found in {module}")

"""Ready parametrizations: orthogonal weights, and weight and spectral normalization."""

from __future__ import annotations

from typing import Any, TypeVar

import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.nn import init
from jtoolbox.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from jtoolbox.nn.functional.normalization import normalize
from jtoolbox.nn.functional.reparametrization import (
    norm_except_dim,
    orthogonal_weight,
    power_iteration,
    spectral_norm_weight,
    weight_norm_weight,
)
from jtoolbox.nn.module import Module
from jtoolbox.nn.utils.parametrize import register_parametrization
from jtoolbox.ops.creation import eye, zeros_like
from jtoolbox.ops.householder import geqrf, linalg_qr
from jtoolbox.ops.joining import cat
from jtoolbox.ops.sampling import randn
from jtoolbox.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)

_MAPS = ("matrix_exp", "cayley", "householder")
_MAP = 'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {got}'
_MATRIX = "Expected a matrix or batch of matrices. Got a tensor of {ndim} dimensions."
_SHAPE = "Expected a matrix or batch of matrices of shape {want}. Got a tensor of shape {got}."
_NO_ASSIGNMENT = (
    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
    "use_trivialization=False."
)
_COMPLEX = "The householder parametrization does not support complex tensors."
_NO_TENSOR = "Module '{module}' has no parameter or buffer with name '{name}'"
_STEPS = (
    "Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
)


def default_dim(module: Module) -> int:
    """The axis of a layer's weight that counts its outputs: 1 for transposed convolutions."""
    return int(isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)))


def unit_vector(like: Tensor, size: int, eps: float) -> Tensor:
    """A random vector of length 1."""
    return normalize(init.normal_(like.detach().new_empty(size)), dim=0, eps=eps)


def _is_orthogonal(q: Tensor) -> bool:
    n, k = q.shape[-2:]
    tolerance = 10.0 * n * float(jnp.finfo(dtypes.as_numpy(q.dtype)).eps)
    excess = q.mH @ q - eye(k, dtype=q.dtype, device=q.device)
    return bool((excess.abs() <= tolerance).all())


def _make_orthogonal(a: Tensor) -> Tensor:
    """The nearest thing to `a` with orthonormal columns by QR, with the signs that make R's
    diagonal positive."""
    q, r = linalg_qr(a)
    return q * r.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True):
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError(_COMPLEX)
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        base = self.base if self.use_trivialization else None
        return orthogonal_weight(x, base, self.orthogonal_map)

    def right_inverse(self, q: Tensor) -> Tensor:
        if q.shape != self.shape:
            raise ValueError(_SHAPE.format(want=self.shape, got=q.shape))
        wide = q.shape[-2] < q.shape[-1]
        tall = q.mT if wide else q
        if self.use_trivialization:
            self.base = self._completed(tall)
            n, k = q.shape[-2:]
            return zeros_like(q) - eye(n, k, dtype=q.dtype, device=q.device)
        if self.orthogonal_map != "householder":
            raise NotImplementedError(_NO_ASSIGNMENT)
        a, tau = geqrf(tall)
        signs = a.diagonal(dim1=-2, dim2=-1).sign() * (1 - 2 * (tau == 0).to(a.dtype))
        a = a.tril(-1) + a.triu(1) + eye(*a.shape[-2:], dtype=a.dtype) * signs.unsqueeze(-2)
        return a.mT if wide else a

    @staticmethod
    def _completed(q: Tensor) -> Tensor:
        """A square orthogonal matrix that begins with the columns of q, made orthonormal."""
        n, k = q.shape[-2:]
        if n == k:
            return q.clone() if _is_orthogonal(q) else _make_orthogonal(q)
        more = randn(*q.shape[:-2], n, n - k, dtype=q.dtype, device=q.device)
        return _make_orthogonal(cat([q, more], -1))


def _tensor_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(_NO_TENSOR.format(module=module, name=name))
    return weight


def orthogonal(
    module: M,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> M:
    """Keeps a weight (..., n, k) orthogonal: its columns, or rows if n < k, are orthonormal.

    `orthogonal_map` is how: "matrix_exp" (default of square and complex weights), "cayley", or
    "householder" (default otherwise). With `use_trivialization` the result is multiplied by a
    fixed orthogonal buffer `base`, so that the weight starts near what it was and can be assigned.
    Raises ValueError for an unknown name or map and for vectors. Paper: Trivializations for
    Gradient-Based Optimization on Manifolds (https://arxiv.org/abs/1909.09501).
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(_MATRIX.format(ndim=weight.ndim))
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(_MAP.format(got=orthogonal_map))
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    register_parametrization(module, name, parametrization, unsafe=True)
    return module


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_norm_weight(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Trains a weight's length and direction apart: weight = g v / |v|.

    The originals are g, `parametrizations.weight.original0`, and v, `original1`. A norm is of each
    slice along `dim` (0: of each output); with None it is of the whole weight. State dicts of the
    hook-based `weight_norm` load too. Raises ValueError for an unknown name. Paper: Weight
    Normalization (https://arxiv.org/abs/1602.07868).
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(_OldNames(name))
    return module


class _OldNames:
    """Renames `weight_g` and `weight_v` of the hook-based `weight_norm` while loading."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, state_dict: Any, prefix: str, *_: Any) -> None:
        old = [f"{prefix}{self.name}{end}" for end in ("_g", "_v")]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                new = f"{prefix}parametrizations.{self.name}.original{i}"
                state_dict[new] = state_dict.pop(key)


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(_STEPS.format(n_power_iterations=n_power_iterations))
        self.dim = dim if dim >= 0 else dim + weight.ndim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            height = weight.shape[self.dim]
            u, v = (unit_vector(weight, n, eps) for n in (height, weight.numel() // height))
            u, v = power_iteration(weight.detach(), u, v, 15, self.dim, eps, True)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return weight / (weight * weight).sum().sqrt().clamp(min=self.eps)
        u, v = self._u, self._v
        if self.training:
            u, v = power_iteration(
                weight.detach(), u, v, self.n_power_iterations, self.dim, self.eps, True
            )
            self._u.copy_(u)
            self._v.copy_(v)
        return spectral_norm_weight(weight, u, v, self.dim)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divides a weight by its largest singular value, estimated by power iteration.

    The weight is taken as a matrix whose rows are axis `dim` (1 for transposed convolutions, else
    0). Every use in training improves the singular vectors, buffers `_u` and `_v` of the
    parametrization, by `n_power_iterations` steps; the first 15 are made at once. A vector is
    divided by its norm. Raises ValueError for an unknown name or less than 1 step. Paper: Spectral
    Normalization for Generative Adversarial Networks (https://arxiv.org/abs/1802.05957).
    """
    weight = _tensor_of(module, name)
    axis = default_dim(module) if dim is None else dim
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, axis, eps))
    return module

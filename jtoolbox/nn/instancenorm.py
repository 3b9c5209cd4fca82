"""Instance normalization: each channel of each sample by itself."""

from __future__ import annotations

from typing import Any

from jtoolbox.nn import functional as F
from jtoolbox.nn.batchnorm import NormBase
from jtoolbox.nn.functional.checks import warn_user
from jtoolbox.ops.shape import squeeze, unsqueeze
from jtoolbox.tensor import Tensor

__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]

_WRONG_CHANNELS = (
    "expected input's size at dim={dim} to match num_features ({features}), but got: {found}."
)
_UNUSED_CHANNELS = (
    "input's size at dim={dim} does not match num_features. You can silence this warning by not "
    "passing in num_features, which is not used because affine=False"
)
_OLD_STATISTICS = (
    "Unexpected running stats buffer(s) {names} for {kind} with track_running_stats=False. "
    "Checkpoints older than PyTorch 0.4 hold them although they are not used: remove these keys "
    "from state_dict, or set track_running_stats=True in {kind} to use them."
)


class _InstanceNorm(NormBase):
    """The layer for any number of spatial dimensions, `_spatial` of them."""

    _spatial: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def _check_input_dim(self, input: Tensor) -> None:
        low, high = self._spatial + 1, self._spatial + 2
        if input.ndim not in (low, high):
            raise ValueError(f"expected {low}D or {high}D input (got {input.ndim}D input)")

    def _check_channels(self, input: Tensor, dim: int) -> None:
        found = input.shape[dim]
        if found == self.num_features:
            return
        if self.affine:
            message = _WRONG_CHANNELS.format(dim=dim, features=self.num_features, found=found)
            raise ValueError(message)
        warn_user(_UNUSED_CHANNELS.format(dim=dim))

    def _normalize(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        batched = input.ndim == self._spatial + 2
        self._check_channels(input, 1 if batched else 0)
        if batched:
            return self._normalize(input)
        return squeeze(self._normalize(unsqueeze(input, 0)), 0)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        keys = [prefix + name for name in ("running_mean", "running_var")]
        found = [key for key in keys if key in state_dict]
        if local_metadata.get("version") is None and not self.track_running_stats and found:
            names = " and ".join(f'"{key}"' for key in found)
            error_msgs.append(_OLD_STATISTICS.format(names=names, kind=type(self).__name__))
            for key in found:
                state_dict.pop(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class InstanceNorm1d(_InstanceNorm):
    """Normalizes each channel of each sample of (N, C, L) or (C, L) over its length.

    y = (x - mean) / sqrt(variance + eps), with weight and bias only if `affine`. With
    `track_running_stats`, evaluation uses running statistics as `BatchNorm1d` does. Raises
    ValueError for another number of dimensions, or, if affine, of channels. Paper: Instance
    Normalization (https://arxiv.org/abs/1607.08022).
    """

    _spatial = 1


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images (N, C, H, W) or (C, H, W)."""

    _spatial = 2


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes (N, C, D, H, W) or (C, D, H, W)."""

    _spatial = 3

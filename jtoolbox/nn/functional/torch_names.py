"""Layers as functions under the names of `torch.x`, where PyTorch's differ from those of `F.x`.

In PyTorch the functions at the top are the ones beneath `torch.nn.functional`: some take their
arguments in another order (`embedding`, `batch_norm`), want all of them, or name a reduction by a
number: 0 none, 1 mean, 2 sum, with none as the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional import activation, loss, margin_loss, normalization
from jtoolbox.nn.functional.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from jtoolbox.nn.functional.ctc import ctc_loss as _ctc_loss
from jtoolbox.nn.functional.dropout import alpha_dropout as _alpha_dropout
from jtoolbox.nn.functional.dropout import channel_dropout
from jtoolbox.nn.functional.dropout import dropout as _dropout
from jtoolbox.nn.functional.dropout import feature_alpha_dropout as _feature_alpha_dropout
from jtoolbox.nn.functional.embedding import embedding as _embedding
from jtoolbox.nn.functional.grid_sampling import MODES, PADDING_MODES, affine_places, sample_grid
from jtoolbox.nn.functional.padding import pad_with as _pad_with
from jtoolbox.nn.functional.pooling import adaptive_max_pool1d as _adaptive_max_pool1d
from jtoolbox.nn.functional.reduction import reduce_loss

__all__ = [
    *("adaptive_max_pool1d", "affine_grid_generator", "alpha_dropout", "alpha_dropout_"),
    *("batch_norm", "binary_cross_entropy_with_logits", "constant_pad_nd", "convolution"),
    *("cosine_embedding_loss", "ctc_loss", "dropout", "dropout_", "embedding"),
    *("feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout", "feature_dropout_"),
    *("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm", "hinge_embedding_loss"),
    *("instance_norm", "kl_div", "layer_norm", "margin_ranking_loss", "poisson_nll_loss"),
    *("rrelu", "rrelu_", "triplet_margin_loss"),
]

_CONVOLUTIONS = {
    (3, False): conv1d,
    (4, False): conv2d,
    (5, False): conv3d,
    (3, True): conv_transpose1d,
    (4, True): conv_transpose2d,
    (5, True): conv_transpose3d,
}
_REDUCTION = (
    "{name}(): argument 'reduction' must be int, not {kind}: 0 is none, 1 mean, 2 sum. "
    "torch.nn.functional.{name} takes words"
)


def _word(name: str, reduction: Any) -> str:
    """The word for PyTorch's number of a reduction."""
    if not isinstance(reduction, int):
        raise TypeError(_REDUCTION.format(name=name, kind=type(reduction).__name__))
    return {1: "mean", 2: "sum"}.get(reduction, "none")


# --- losses --------------------------------------------------------------------------------------


@op(name="reduce_loss")
def _reduced(input: Array, word: str) -> Array:
    return reduce_loss(input, word)


def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 0,
    zero_infinity: bool = False,
) -> Array:
    """`F.ctc_loss` with a number for the reduction."""
    lengths = (input_lengths, target_lengths)
    word = _word("ctc_loss", reduction)
    return _ctc_loss(log_probs, targets, *lengths, blank, word, zero_infinity)


def kl_div(input: Array, target: Array, reduction: int = 0, *, log_target: bool = False) -> Array:
    """`F.kl_div` with a number for the reduction, and without its warning about the mean."""
    word = _word("kl_div", reduction)
    losses = loss.kl_div(input, target, reduction="none", log_target=log_target)
    return _reduced(losses, word)


def poisson_nll_loss(
    input: Array, target: Array, log_input: bool, full: bool, eps: float, reduction: int
) -> Array:
    """`F.poisson_nll_loss` with a number for the reduction."""
    word = _word("poisson_nll_loss", reduction)
    return loss.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=word)


def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: int = 0,
) -> Array:
    """`F.binary_cross_entropy_with_logits` with a number for the reduction."""
    name = "binary_cross_entropy_with_logits"
    word = _word(name, reduction)
    return loss.binary_cross_entropy_with_logits(
        input, target, weight, reduction=word, pos_weight=pos_weight
    )


def cosine_embedding_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: int = 0
) -> Array:
    """`F.cosine_embedding_loss` with a number for the reduction."""
    word = _word("cosine_embedding_loss", reduction)
    return margin_loss.cosine_embedding_loss(input1, input2, target, margin, reduction=word)


def hinge_embedding_loss(
    input: Array, target: Array, margin: float = 1.0, reduction: int = 0
) -> Array:
    """`F.hinge_embedding_loss` with a number for the reduction."""
    word = _word("hinge_embedding_loss", reduction)
    return margin_loss.hinge_embedding_loss(input, target, margin, reduction=word)


def margin_ranking_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: int = 0
) -> Array:
    """`F.margin_ranking_loss` with a number for the reduction."""
    word = _word("margin_ranking_loss", reduction)
    return margin_loss.margin_ranking_loss(input1, input2, target, margin, reduction=word)


def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 0,
) -> Array:
    """`F.triplet_margin_loss` with a number for the reduction."""
    settings = (margin, p, eps, swap)
    word = _word("triplet_margin_loss", reduction)
    return margin_loss.triplet_margin_loss(anchor, positive, negative, *settings, reduction=word)


# --- dropout -------------------------------------------------------------------------------------


def _check_probability(p: Any) -> None:
    """These raise RuntimeError where `F.dropout` raises ValueError."""
    if isinstance(p, (int, float)) and not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Array, p: float, train: bool) -> Array:
    """`F.dropout` with `train` in third place."""
    _check_probability(p)
    return _dropout(input, p, train)


def dropout_(input: Array, p: float, train: bool) -> Array:
    """`dropout` in place."""
    _check_probability(p)
    return _dropout(input, p, train, True)


def alpha_dropout(input: Array, p: float, train: bool) -> Array:
    """`F.alpha_dropout` with all its arguments."""
    _check_probability(p)
    return _alpha_dropout(input, p, train)


def alpha_dropout_(input: Array, p: float, train: bool) -> Array:
    """`alpha_dropout` in place."""
    _check_probability(p)
    return _alpha_dropout(input, p, train, True)


def feature_dropout(input: Array, p: float, train: bool) -> Array:
    """Dropout of whole channels of (N, C, ...): what `F.dropout2d` does, without its warnings."""
    _check_probability(p)
    return channel_dropout(input, p, train, False)


def feature_dropout_(input: Array, p: float, train: bool) -> Array:
    """`feature_dropout` in place."""
    _check_probability(p)
    return channel_dropout(input, p, train, True)


def feature_alpha_dropout(input: Array, p: float, train: bool) -> Array:
    """`F.feature_alpha_dropout` with all its arguments."""
    _check_probability(p)
    return _feature_alpha_dropout(input, p, train)


def feature_alpha_dropout_(input: Array, p: float, train: bool) -> Array:
    """`feature_alpha_dropout` in place."""
    _check_probability(p)
    return _feature_alpha_dropout(input, p, train, True)


# --- normalization -------------------------------------------------------------------------------


def batch_norm(
    input: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Array:
    """`F.batch_norm` with the weights before the statistics; `cudnn_enabled` changes nothing."""
    settings = (running_mean, running_var, weight, bias, training, momentum, eps)
    return normalization.batch_norm(input, *settings)


def instance_norm(
    input: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Array:
    """`F.instance_norm` with the weights before the statistics; `cudnn_enabled` does nothing."""
    settings = (running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
    return normalization.instance_norm(input, *settings)


def layer_norm(
    input: Array,
    normalized_shape: Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Array:
    """`F.layer_norm`; `cudnn_enable` changes nothing."""
    return normalization.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Array:
    """`F.group_norm`; `cudnn_enabled` changes nothing."""
    return normalization.group_norm(input, num_groups, weight, bias, eps)


# --- others --------------------------------------------------------------------------------------


def embedding(
    weight: Array,
    indices: Array,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    """`F.embedding` with the table first; -1 stands for no `padding_idx`."""
    padding = None if padding_idx == -1 else padding_idx
    return _embedding(
        indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


def rrelu(
    input: Array,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    generator: None = None,
) -> Array:
    """`F.rrelu` out of place. Raises RuntimeError for a `generator`: use `manual_seed`."""
    _check_generator(generator)
    return activation.rrelu(input, lower, upper, training)


def rrelu_(
    input: Array,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    generator: None = None,
) -> Array:
    """`rrelu` in place."""
    _check_generator(generator)
    return activation.rrelu(input, lower, upper, training, True)


def _check_generator(generator: Any) -> None:
    if generator is not None:
        raise RuntimeError(
            "rrelu with a generator of its own is not supported: seed the default generator with "
            "manual_seed instead"
        )


def constant_pad_nd(input: Array, pad: Sequence[int], value: float = 0) -> Array:
    """`F.pad` with a constant, a number of any type."""
    return _pad_with(input, pad, value)


def adaptive_max_pool1d(input: Array, output_size: int | Sequence[int]) -> tuple[Array, Array]:
    """`F.adaptive_max_pool1d` and the positions of what it found."""
    return _adaptive_max_pool1d(input, output_size, True)


def convolution(
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Array:
    """`F.conv1d` to `F.conv_transpose3d`, chosen by the weight's dimensions and `transposed`."""
    chosen = _CONVOLUTIONS.get((weight.ndim, bool(transposed)))
    if chosen is None:
        raise RuntimeError(
            f"weight should have at least three and at most five dimensions, got {weight.ndim}: "
            "(out, in / groups, *kernel)"
        )
    if transposed:
        return chosen(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return chosen(input, weight, bias, stride, padding, dilation, groups)


def grid_sampler(
    input: Array, grid: Array, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Array:
    """`F.grid_sample` with numbers for its modes.

    0 is bilinear, 1 nearest, 2 bicubic; 0 pads with zeros, 1 with the border, 2 by reflection.
    Raises RuntimeError for other numbers, where PyTorch takes some mode.
    """
    for name, number in (
        ("interpolation_mode", interpolation_mode),
        ("padding_mode", padding_mode),
    ):
        if number not in (0, 1, 2):
            raise RuntimeError(f"grid_sampler(): {name} must be 0, 1 or 2, got {number}")
    modes = (MODES[interpolation_mode], PADDING_MODES[padding_mode])
    return sample_grid(input, grid, *modes, bool(align_corners))


grid_sampler_2d = grid_sampler
grid_sampler_3d = grid_sampler


def affine_grid_generator(theta: Array, size: Sequence[int], align_corners: bool) -> Array:
    """`F.affine_grid` with all its arguments."""
    return affine_places(theta, tuple(size), bool(align_corners))

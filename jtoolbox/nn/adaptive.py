"""A softmax over very many classes, the rare ones in clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jtoolbox.nn.container import ModuleList, Sequential
from jtoolbox.nn.functional.adaptive_softmax import adaptive_log_probs, adaptive_log_softmax
from jtoolbox.nn.linear import Linear
from jtoolbox.nn.module import Module
from jtoolbox.tensor import Tensor

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_CUTOFFS = (
    "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, "
    "where each value is between 1 and n_classes-1, got {cutoffs} for n_classes={n_classes}"
)


class _ASMoutput(NamedTuple):
    """The log-probability of each target, and the mean of their negatives."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of many classes: the frequent ones directly, the rare ones by cluster.

    Classes are sorted by frequency. Those below cutoffs[0] are scored by `head`, beside one score
    for each cluster; cluster i holds classes cutoffs[i] to cutoffs[i + 1] and sees the input
    through in_features / div_value^(i + 1) features. Shapes: input (N, in_features) or
    (in_features), target (N) or (); the result has `output` (N) or () and `loss`, its negative
    mean. All clusters are computed for all samples, since shapes must not depend on values; the
    weights of a cluster without targets get a gradient of 0, where PyTorch leaves it None.

    Raises ValueError for wrong cutoffs, RuntimeError for shapes or targets that do not fit. Paper:
    Efficient softmax approximation for GPUs (https://arxiv.org/abs/1609.04309).
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        given = list(cutoffs)
        if not given:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        ordered = given == sorted(set(given)) and all(int(c) == c for c in given)
        if not ordered or given[0] <= 0 or given[-1] > n_classes - 1:
            raise ValueError(_CUTOFFS.format(cutoffs=given, n_classes=n_classes))
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*given, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        place = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **place)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, inner, bias=False, **place),
                    Linear(inner, size, bias=False, **place),
                )
            )

    def reset_parameters(self) -> None:
        """Draws new weights."""
        self.head.reset_parameters()
        for to_inner, to_classes in self.tail:
            to_inner.reset_parameters()
            to_classes.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        _check_shapes(input_, target_)
        single = target_.ndim == 0
        x, target = (input_[None], target_[None]) if single else (input_, target_)
        output = adaptive_log_softmax(*self._scores(x), target, tuple(self.cutoffs))
        return _ASMoutput(output[0] if single else output, (-output).mean())

    def _scores(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self.head(x), [cluster(x) for cluster in self.tail]

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities (N, n_classes) of all classes for an input (N, in_features)."""
        if input.ndim != 2:
            raise IndexError(
                "Dimension out of range (expected to be in range of [-1, 0], but got 1): the "
                f"input is (N, in_features), got shape {list(input.shape)}"
            )
        return adaptive_log_probs(*self._scores(input), self.shortlist_size)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class (N) of each sample of an input (N, in_features)."""
        return self.log_prob(input).argmax(1)


def _check_shapes(input: Tensor, target: Tensor) -> None:
    if target.ndim > 1:
        raise RuntimeError(
            "0D or 1D target tensor expected, multi-target not supported, got shape "
            f"{list(target.shape)}"
        )
    fits = input.ndim == target.ndim + 1
    if target.ndim == 1 and input.shape[0] != target.shape[0]:
        raise RuntimeError(
            "Input and target should have the same size in the batch dimension. Got "
            f"{list(input.shape)} and {list(target.shape)}"
        )
    if not fits:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with size {input.shape}"
        )

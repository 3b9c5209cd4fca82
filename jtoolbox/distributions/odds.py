"""What distributions share that are given either by probabilities or by logits."""

from __future__ import annotations

from typing import Any

from jtoolbox import ops
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import (
    broadcast_all,
    lazy_property,
    logits_to_probs,
    own_size,
    probs_to_logits,
)
from jtoolbox.tensor import Size

__all__ = ["BinaryOdds", "Odds", "one_of", "vectors_of"]


def one_of(probs: Any, logits: Any) -> None:
    """Raises ValueError unless exactly one of them is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def vectors_of(probs: Any, logits: Any) -> tuple[Any, Any]:
    """(normalized probs, None) or (None, normalized logits) of categories in the last dimension."""
    one_of(probs, logits)
    name, given = ("probs", probs) if logits is None else ("logits", logits)
    if given.ndim < 1:
        raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
    if logits is None:
        return probs / probs.sum(-1)[..., None], None
    return None, logits - ops.logsumexp(logits, -1, keepdim=True)


class Odds(Distribution):
    """A distribution with `probs` or `logits`; the other one is computed when it is asked for."""

    _binary = False

    def _set_odds(self, probs: Any, logits: Any) -> None:
        """Keeps the one that is given."""
        self._given = "probs" if logits is None else "logits"
        setattr(self, self._given, probs if logits is None else logits)

    @lazy_property
    def logits(self) -> Any:
        """The logarithms of the probabilities, or of the odds p / (1 - p) of binary events."""
        return probs_to_logits(self.probs, is_binary=self._binary)

    @lazy_property
    def probs(self) -> Any:
        """The probabilities."""
        return logits_to_probs(self.logits, is_binary=self._binary)

    @property
    def _param(self) -> Any:
        return getattr(self, self._given)

    @property
    def param_shape(self) -> Size:
        """The shape of `probs` and `logits`."""
        return own_size(tuple(self._param.shape))


class BinaryOdds(Odds):
    """A distribution of binary events."""

    _binary = True

    def _set_binary(self, probs: Any, logits: Any) -> None:
        one_of(probs, logits)
        self._set_odds(*[None if v is None else broadcast_all(v)[0] for v in (probs, logits)])

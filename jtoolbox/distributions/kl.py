"""The Kullback-Leibler divergence KL(p || q) = E_p[log p(x) - log q(x)], and its registry.

The pairs themselves are in `kl_pairs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jtoolbox.distributions.distribution import Distribution
from jtoolbox.nn.functional.checks import warn_user

__all__ = ["kl_divergence", "register_kl"]

Rule = Callable[[Any, Any], Any]
_KL_REGISTRY: dict[tuple[type, type], Rule] = {}
_KL_MEMOIZE: dict[tuple[type, type], Rule | None] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """Decorates a function of (p, q) as the divergence of a pair of classes and their subclasses.

    Of several that fit, the nearest classes win; where they do not agree, the one whose p is
    nearer, with a RuntimeWarning. Raises TypeError for what is no class. A class need not derive
    from `Distribution`: a mixin, of which distributions derive as well, fits all of them.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def decorator(function: Rule) -> Rule:
        _KL_REGISTRY[type_p, type_q] = function
        _KL_MEMOIZE.clear()
        return function

    return decorator


def _nearness(pair: tuple[type, type], order: tuple[type, type]) -> tuple[int, int]:
    """How many classes lie between each of the two and the registered one."""
    return tuple(a.__mro__.index(b) for a, b in zip(pair, order, strict=True))  # type: ignore[return-value]


def _dispatch(pair: tuple[type, type]) -> Rule | None:
    matches = [
        known
        for known in _KL_REGISTRY
        if issubclass(pair[0], known[0]) and issubclass(pair[1], known[1])
    ]
    if not matches:
        return None
    left = min(matches, key=lambda known: _nearness(pair, known))
    right = min(matches, key=lambda known: _nearness(pair, known)[::-1])
    if _KL_REGISTRY[left] is not _KL_REGISTRY[right]:
        p, q, between_p, between_q = (c.__name__ for c in (*pair, left[0], right[1]))
        warn_user(
            f"Ambiguous kl_divergence({p}, {q}). Please register_kl({between_p}, {between_q})",
            RuntimeWarning,
        )
    return _KL_REGISTRY[left]


def kl_divergence(p: Distribution, q: Distribution) -> Any:
    """KL(p || q) for each of the batch. NotImplementedError where no formula is registered."""
    pair = (type(p), type(q))
    if pair not in _KL_MEMOIZE:
        _KL_MEMOIZE[pair] = _dispatch(pair)
    rule = _KL_MEMOIZE[pair]
    if rule is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {pair[0].__name__} and q type "
            f"{pair[1].__name__}"
        )
    return rule(p, q)

"""Attention: every query takes a mean of values, weighted by how well their keys fit it.

NOTE: the derivative. Only that of the softmax is written out, as a rule for tangents, so forward
mode and second order work; products keep JAX's own. It reads the weights, which are kept, so that
a backward pass computes no exponential again, and the scale sits in the queries, the smallest
place. A rule for cotangents of the whole was no faster than the plain formula.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.engine.record import check_broadcast
from jtoolbox.nn.functional.causal_bias import CausalBias
from jtoolbox.nn.functional.checks import is_float, type_name, wide
from jtoolbox.nn.functional.dropout import dropout

__all__ = ["attend", "attention_weights", "scaled_dot_product_attention"]

_RANK = (
    "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {0} "
    "key.dim: {1} and value.dim: {2} instead. Give them as (..., length, features)."
)
_TYPES = (
    "Expected query, key, and value to have the same dtype, but got query.dtype: {0} key.dtype: "
    "{1} and value.dtype: {2} instead. Convert them with .to(query.dtype)."
)
_SIZE = (
    "Expected size for first two dimensions of batch2 tensor to be: {wanted} but got: {found}. "
    "{names} of shapes {a} and {b} must have the same number of {what}."
)
_MASK_TYPE = (
    "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
    "attn_mask.dtype: {mask} and  query.dtype: {query} instead. True in a bool mask lets a key "
    "take part; a float mask is added to the scores."
)
_MASK_SHAPE = (
    "output with shape {scores} doesn't match the broadcast shape {both}: attn_mask {mask} must "
    "broadcast to the scores (..., query length, key length)"
)
_MASK_AND_CAUSAL = (
    "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True. "
    "Merge the triangle into the mask, or leave one of them out."
)
_BIAS_AND_CAUSAL = (
    "CausalBias should not be used with causal=True: it is a causal mask. Leave is_causal away."
)
_GROUPS = (
    "Number of heads in key and value must divide the number of heads in query: got {query} heads "
    "of queries, {key} of keys and {value} of values"
)
_HEADS = "Dimension out of range (expected to be in range of [-2, 1], but got -3): {why}"
_NO_HEADS = "enable_gqa=True takes heads at dimension -3, (..., heads, length, features)"
_PROBABILITY = "dropout probability has to be between 0 and 1, but got {p}"


# --- the arithmetic ------------------------------------------------------------------------------


def _exponentials(scores: Array, safe: bool) -> Array:
    """softmax over the last dimension; where it is all -inf, zeros if `safe`, else NaN."""
    peak = jnp.max(scores, -1, keepdims=True, initial=-jnp.inf)
    if safe:
        peak = jnp.where(peak == -jnp.inf, jnp.zeros((), peak.dtype), peak)
    e = jnp.exp(scores - peak)
    total = jnp.sum(e, -1, keepdims=True)
    return e / (jnp.where(total == 0, jnp.ones((), total.dtype), total) if safe else total)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _softmax(scores: Array, safe: bool) -> Array:
    return _exponentials(scores, safe)


@_softmax.defjvp
def _softmax_tangent(safe: bool, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (scores,), (dx,) = primals, tangents
    y = _softmax(scores, safe)
    return y, y * (dx - jnp.sum(y * dx, -1, keepdims=True))


def _product(a: Array, b: Array, b_axis: int) -> Array:
    """a's last dimension times b's at `b_axis`, matrix by matrix; halves are summed in float32."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    n = len(lead)
    batch = tuple(range(n))
    dims = (((n + 1,), (n + 2 + b_axis,)), (batch, batch))
    return jax.lax.dot_general(a, b, dims, preferred_element_type=wide(a[..., :0]).dtype)


def _by_key_head(x: Array, heads: int) -> Array:
    """(..., Hq, L, D) as (..., heads, Hq / heads * L, D): queries that share keys lie together."""
    *lead, count, length, features = x.shape
    return x.reshape(*lead, heads, count // heads * length, features)


def _scores(query: Array, key: Array, scale: Any, grouped: bool) -> Array:
    """scale * query keyᵀ, in float32 for halves."""
    if scale is None:
        scale = 1 / math.sqrt(max(query.shape[-1], 1))
    half = query.dtype.itemsize == 2
    q = query if half else query * jnp.asarray(scale, query.dtype)
    shape = (*query.shape[:-1], key.shape[-2])
    scores = _product(_by_key_head(q, key.shape[-3]) if grouped else q, key, -1)
    scores = scores.reshape(shape) if grouped else scores
    return scores * jnp.asarray(scale, scores.dtype) if half else scores


def _masked(scores: Array, mask: Any, is_causal: bool) -> Array:
    """Scores with -inf where a key takes no part, or with a float mask added."""
    if is_causal:
        row, column = (jax.lax.broadcasted_iota(np.int32, scores.shape[-2:], i) for i in (0, 1))
        mask = row >= column
    if mask is None:
        return scores
    if mask.dtype == np.bool_:
        return jnp.where(mask, scores, jnp.full((), -jnp.inf, scores.dtype))
    return scores + mask.astype(scores.dtype)


def _weights(query, key, attn_mask, scale, is_causal, grouped, safe, exact=False) -> Array:
    scores = _scores(query, key, scale, grouped)
    _check_mask(attn_mask, query, scores.shape)
    weights = _softmax(_masked(scores, attn_mask, is_causal), safe)
    return weights if exact else weights.astype(query.dtype)


def _mix(weights: Array, value: Array, grouped: bool) -> Array:
    w = _by_key_head(weights, value.shape[-3]) if grouped else weights
    y = _product(w, value.astype(w.dtype), -2).astype(value.dtype)
    return y.reshape(*weights.shape[:-1], value.shape[-1]) if grouped else y


# --- checks --------------------------------------------------------------------------------------


def _check(query: Array, key: Array, value: Array, grouped: bool) -> None:
    arrays = (query, key, value)
    if min(x.ndim for x in arrays) < 2:
        raise RuntimeError(_RANK.format(*(x.ndim for x in arrays)))
    if not query.dtype == key.dtype == value.dtype:
        raise RuntimeError(_TYPES.format(*(type_name(x) for x in arrays)))
    if not is_float(query):
        raise RuntimeError(
            f"expected scalar type Float but found {type_name(query)}: attention needs floats"
        )
    for names, what, x, y, axis in (
        ("query and key", "features", query, key, -1),
        ("key and value", "positions", key, value, -2),
    ):
        if x.shape[axis] != y.shape[axis]:
            found = [*y.shape[:-2], y.shape[axis]]
            wanted = [*y.shape[:-2], x.shape[axis]]
            shapes = {"a": list(x.shape), "b": list(y.shape)}
            raise RuntimeError(
                _SIZE.format(wanted=wanted, found=found, names=names, what=what, **shapes)
            )
    if grouped:
        _check_groups(*arrays)
    check_broadcast([x.shape[: -3 if grouped else -2] for x in arrays])


def _check_groups(query: Array, key: Array, value: Array) -> None:
    if min(x.ndim for x in (query, key, value)) < 3:
        raise IndexError(_HEADS.format(why=_NO_HEADS))
    counts = [x.shape[-3] for x in (query, key, value)]
    if any(n == 0 or counts[0] % n for n in counts[1:]):
        raise RuntimeError(_GROUPS.format(query=counts[0], key=counts[1], value=counts[2]))


def _check_mask(mask: Any, query: Array, scores: tuple[int, ...]) -> None:
    if mask is None:
        return
    if mask.dtype not in (np.bool_, np.float32, query.dtype):
        raise RuntimeError(_MASK_TYPE.format(mask=type_name(mask), query=type_name(query)))
    check_broadcast([scores, mask.shape])
    both = np.broadcast_shapes(scores, mask.shape)
    if both != scores:
        raise RuntimeError(
            _MASK_SHAPE.format(scores=list(scores), both=list(both), mask=list(mask.shape))
        )


# --- the operations ------------------------------------------------------------------------------


@op
def attention_weights(
    query: Array,
    key: Array,
    attn_mask: Array | None = None,
    scale: Array | None = None,
    is_causal: bool = False,
    enable_gqa: bool = False,
    safe: bool = False,
) -> Array:
    """softmax(scale * query keyᵀ + mask): how much of each value every query takes.

    Shapes as for `scaled_dot_product_attention`; the result is (..., Hq, L, S). A query that the
    mask leaves no key has weights 0 if `safe`, else NaN.
    """
    return _weights(query, key, attn_mask, scale, is_causal, enable_gqa, safe)


@op(name="bmm")
def attend(weights: Array, value: Array, enable_gqa: bool = False) -> Array:
    """Means of values by given weights: (..., Hq, L, S) and (..., H, S, Ev) to (..., Hq, L, Ev)."""
    return _mix(weights, value, enable_gqa)


@op(name="scaled_dot_product_attention")
def _attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None,
    scale: Array | None,
    is_causal: bool,
    enable_gqa: bool,
) -> Array:
    _check(query, key, value, enable_gqa)
    # Halves' weights stay float32 where products of halves are not faster, as in PyTorch.
    exact = jax.default_backend() == "cpu"
    weights = _weights(query, key, attn_mask, scale, is_causal, enable_gqa, True, exact)
    return _mix(weights, value, enable_gqa)


@op(name="scaled_dot_product_attention")
def _checked_weights(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None,
    scale: Array | None,
    is_causal: bool,
    enable_gqa: bool,
) -> Array:
    _check(query, key, value, enable_gqa)
    return _weights(query, key, attn_mask, scale, is_causal, enable_gqa, True)


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """softmax(scale * query keyᵀ + mask) value: attention of L queries to S keys.

    Shapes: query (..., Hq, L, E), key (..., H, S, E), value (..., H, S, Ev), result
    (..., Hq, L, Ev); the leading dimensions are any, and broadcast. `scale` is 1/sqrt(E) if not
    given. `attn_mask` broadcasts to (..., Hq, L, S): where a bool mask is False the key takes no
    part, a float mask is added to the scores; a `CausalBias` is taken too. `is_causal` lets query i
    see keys 0 to i. With `enable_gqa`, Hq is a multiple of H and neighbouring query heads share
    keys and values. A query that is left no key gives 0.

    `dropout_p` is always applied: pass 0 in evaluation. Raises RuntimeError for shapes, types or
    settings that do not fit; unlike PyTorch also for a negative `dropout_p`. Paper: Attention Is
    All You Need (https://arxiv.org/abs/1706.03762).
    """
    if isinstance(dropout_p, (int, float)) and not 0 <= dropout_p <= 1:
        raise RuntimeError(_PROBABILITY.format(p=dropout_p))
    if isinstance(attn_mask, CausalBias):
        if is_causal:
            raise ValueError(_BIAS_AND_CAUSAL)
        attn_mask, is_causal = attn_mask.as_arguments()
    if is_causal and attn_mask is not None:
        raise RuntimeError(_MASK_AND_CAUSAL)
    arguments = (query, key, value, attn_mask, scale, is_causal, enable_gqa)
    if isinstance(dropout_p, (int, float)) and dropout_p == 0:
        return _attention(*arguments)
    weights = dropout(_checked_weights(*arguments), dropout_p)
    return attend(weights, value, enable_gqa)

"""Multi-head attention: project to heads, let each attend by itself, join and project again.

Each step is one operation; `multi_head_attention` says in which order, and does the checks.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.attention import attend, attention_weights, scaled_dot_product_attention
from jtoolbox.nn.functional.checks import is_float, size, type_name, warn_user
from jtoolbox.nn.functional.dropout import dropout
from jtoolbox.nn.functional.linear import linear

__all__ = [
    "merged_mask",
    "multi_head_attention",
    "multi_head_attention_forward",
    "without_padding",
]

_NEEDS_MASK = (
    "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
    "`generate_square_subsequent_mask` to create this mask."
)
_MASK_TYPE = "only bool and floating types of {name} are supported, got {dtype}"
_MISMATCH = (
    "Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both "
    "instead."
)
_QUERY = "query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor"
_PROJECTION = "expecting {name} weights shape of {wanted}, but got {found}"
_SEPARATE = "use_separate_proj_weight is {flag} but {name} is None"


# --- the steps -----------------------------------------------------------------------------------


@op(name="in_projection")
def _to_heads(
    x: Array,
    weight: Array,
    bias: Array | None,
    first: int,
    parts: int,
    num_heads: int,
    packed: bool,
    batch_first: bool,
) -> tuple[Array, ...]:
    """(L, N, E) to `parts` arrays (N, H, L, D), by rows of the weights from part `first` on.

    A packed weight holds the rows of all parts; the bias always does. An input without batch
    dimension gets one.
    """
    x = x if x.ndim == 3 else x[None] if batch_first else x[:, None]
    size = weight.shape[0] // 3 if packed else weight.shape[0] // parts
    rows = slice(first * size, (first + parts) * size)
    y = linear(x, weight[rows] if packed else weight, None if bias is None else bias[rows])
    y = y.reshape(*y.shape[:2], parts, num_heads, size // num_heads)
    y = y.transpose(2, 0, 3, 1, 4) if batch_first else y.transpose(2, 1, 3, 0, 4)
    return tuple(y[i] for i in range(parts))


@op(name="out_projection")
def _from_heads(
    heads: Array, weight: Array, bias: Array | None, batched: bool, batch_first: bool
) -> Array:
    """(N, H, L, D) to (L, N, E): the heads side by side, projected."""
    n, h, length, d = heads.shape
    order = (0, 2, 1, 3) if batch_first else (2, 0, 1, 3)
    lead = (n, length) if batch_first else (length, n)
    y = linear(heads.transpose(order).reshape(*lead, h * d), weight, bias)
    return y if batched else y.reshape(length, y.shape[-1])


@op(name="cat")
def _with_extra(x: Array, extra: Array | None, zeros: bool) -> Array:
    """Keys or values (N, H, S, D) with one more, given as (1, 1, H * D), and one that is 0."""
    n, h, _, d = x.shape
    more = [] if extra is None else [jnp.broadcast_to(extra.reshape(1, h, 1, d), (n, h, 1, d))]
    more += [jnp.zeros((n, h, 1, d), x.dtype)] if zeros else []
    return jnp.concatenate([x, *more], 2)


@op(name="view")
def _as_heads(x: Array, num_heads: int) -> Array:
    return x.reshape(-1, num_heads, *x.shape[1:])


@op
def merged_mask(
    attn_mask: Array | None, key_padding_mask: Array | None, num_heads: int, extra: int = 0
) -> Array:
    """One mask for `scaled_dot_product_attention` from (L, S) or (N H, L, S), and (N, S) or (S,).

    True means "left out" in the arguments and "takes part" in a bool result; with a float mask the
    result is their sum. `extra` keys at the end are left in.
    """
    for name, m in (("key_padding_mask", key_padding_mask), ("attn_mask", attn_mask)):
        if m is not None and m.dtype != np.bool_ and not is_float(m):
            raise AssertionError(_MASK_TYPE.format(name=name, dtype=type_name(m)))
    masks = []
    if attn_mask is not None:
        split = attn_mask.ndim == 3
        masks.append(attn_mask.reshape(-1, num_heads, *attn_mask.shape[1:]) if split else attn_mask)
    if key_padding_mask is not None:
        masks.append(key_padding_mask.reshape(-1, 1, 1, key_padding_mask.shape[-1]))
    masks = [jnp.pad(m, [(0, 0)] * (m.ndim - 1) + [(0, extra)]) for m in masks]
    if all(m.dtype == np.bool_ for m in masks):
        return ~(masks[0] if len(masks) == 1 else masks[0] | masks[1])
    floats = next(m.dtype for m in masks if m.dtype != np.bool_)
    added = [jnp.where(m, -jnp.inf, 0).astype(floats) if m.dtype == np.bool_ else m for m in masks]
    return added[0] if len(added) == 1 else added[0] + added[1].astype(floats)


@op(name="masked_fill")
def without_padding(x: Array, padding: Array) -> Array:
    """(N, L, E) with 0 where a mask says padding, if in every row padding comes last."""
    left_out = padding if padding.dtype == np.bool_ else padding != 0
    aligned = jnp.all(left_out[:, 1:] >= left_out[:, :-1])
    return jnp.where((left_out & aligned)[..., None], jnp.zeros((), x.dtype), x)


# --- checks --------------------------------------------------------------------------------------


def _expect(fits: bool, message: str, **words: Any) -> None:
    """Raises AssertionError, as PyTorch does here, unless it fits."""
    if not fits:
        raise AssertionError(message.format(**words))


def _check_ranks(query: Any, key: Any, value: Any, padding: Any, mask: Any, heads: int) -> None:
    n = query.ndim
    _expect(n in (2, 3), _QUERY, n=n)
    kind = "batched (3-D)" if n == 3 else "unbatched (2-D)"
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {n}-D but found {key.ndim}-D "
            f"and {value.ndim}-D tensors respectively"
        )
    if padding is not None and padding.ndim != n - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {n - 1}-D but found "
            f"{padding.ndim}-D tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{mask.ndim}-D tensor instead"
        )
    if mask is not None and n == 2 and mask.ndim == 3:
        wanted = (heads, query.shape[0], key.shape[0])
        if tuple(mask.shape) != wanted:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {wanted} but got {size(mask)}: one for each head"
            )


def _check_masks(padding: Any, mask: Any, batch: int, heads: int, length: int, keys: int) -> None:
    """Shapes of the masks for `keys` keys, a given one of `bias_k` apart."""
    if padding is not None:
        for axis, wanted in enumerate((batch, keys)[-padding.ndim :]):
            if padding.shape[axis] != wanted:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[{axis}] to be {wanted}, but got "
                    f"{padding.shape[axis]}: a key_padding_mask is (batch, keys)"
                )
    if mask is not None:
        wanted = (length, keys) if mask.ndim == 2 else (batch * heads, length, keys)
        if tuple(mask.shape) != wanted:
            raise RuntimeError(
                f"The shape of the {mask.ndim}D attn_mask is {size(mask)}, but should be {wanted}."
            )


def _check_sizes(
    query: Any, key: Any, value: Any, embed_dim: int, heads: int, separate: bool, batch_axis: int
) -> None:
    found = query.shape[-1]
    _expect(
        found == embed_dim,
        "was expecting embedding dimension of {wanted}, but got {found}",
        wanted=embed_dim,
        found=found,
    )
    _expect(
        embed_dim % heads == 0,
        "embed_dim {dim} not divisible by num_heads {heads}",
        dim=embed_dim,
        heads=heads,
    )
    k, v = (tuple(x.shape) for x in (key, value))
    _expect(
        k[:2] == v[:2] if separate else k == v,
        "key's sequence and batch dims {k} do not match value's {v}"
        if separate
        else "key shape torch.Size({k}) does not match value shape torch.Size({v})",
        k=list(k[:2] if separate else k),
        v=list(v[:2] if separate else v),
    )
    if query.ndim == 3 and query.shape[batch_axis] != key.shape[batch_axis]:
        raise RuntimeError(
            f"shape mismatch: a query of shape {list(query.shape)} and a key of shape "
            f"{list(key.shape)} must have the same batch size at dimension {batch_axis}"
        )


# --- putting them together -----------------------------------------------------------------------


def _project(
    query: Any,
    key: Any,
    value: Any,
    weights: tuple,
    packed: Any,
    bias: Any,
    heads: int,
    first: bool,
) -> tuple[Any, Any, Any]:
    """Queries, keys and values as heads, by one product for those that are the same tensor."""

    def part(x: Any, at: int, parts: int = 1) -> Any:
        weight = weights[at] if packed is None else packed
        return _to_heads(x, weight, bias, at, parts, heads, packed is not None, first)

    if packed is not None and query is key and key is value:
        return part(query, 0, 3)
    if packed is not None and key is value:
        return (*part(query, 0), *part(key, 1, 2))
    return (*part(query, 0), *part(key, 1), *part(value, 2))


def _projection_weights(
    separate: bool, packed: Any, weights: tuple, embed_dim: int, key: Any, value: Any
) -> Any:
    """The packed weight, or None where separate ones are used; AssertionError if they miss."""
    if not separate:
        _expect(packed is not None, _SEPARATE, flag=False, name="in_proj_weight")
        return packed
    for name, weight in zip(
        ("q_proj_weight", "k_proj_weight", "v_proj_weight"), weights, strict=True
    ):
        _expect(weight is not None, _SEPARATE, flag=True, name=name)
    for name, weight, x in (("key", weights[1], key), ("value", weights[2], value)):
        wanted = (embed_dim, x.shape[-1])
        found = tuple(weight.shape)
        _expect(found == wanted, _PROJECTION, name=name, wanted=wanted, found=size(weight))
    return None


def _replaced(name: str, x: Any, static: Any, bias: Any, q: Any) -> Any:
    """Keys or values as heads (N, H, S, D), or those given as (N H, S, D) in their place."""
    if static is None:
        return x
    if bias is not None:
        raise AssertionError(f"bias cannot be added to static {'key' if name == 'k' else 'value'}.")
    batch, heads, _, features = q.shape
    for axis, wanted in ((0, batch * heads), (2, features)):
        if static.shape[axis] != wanted:
            raise AssertionError(
                f"expecting static_{name}.size({axis}) of {wanted}, but got {static.shape[axis]}"
            )
    return _as_heads(static, heads)


def _one_mask(padding: Any, mask: Any, q: Any, keys: int, extra: int) -> Any:
    """The two masks, checked and merged, for `extra` more keys than they know of."""
    if padding is None and mask is None:
        return None
    if padding is not None and mask is not None and padding.dtype != mask.dtype:
        warn_user(_MISMATCH)
    batch, heads, length, _ = q.shape
    _check_masks(padding, mask, batch, heads, length, keys)
    return merged_mask(mask, padding, heads, extra)


def multi_head_attention(
    query: Any,
    key: Any,
    value: Any,
    embed_dim: int,
    num_heads: int,
    packed: Any,
    in_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_weight: Any,
    out_bias: Any,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    separate: bool = False,
    weights: tuple = (None, None, None),
    static_k: Any = None,
    static_v: Any = None,
    average: bool = True,
    is_causal: bool = False,
    batch_first: bool = False,
) -> tuple[Any, Any]:
    """`multi_head_attention_forward`, also for inputs (N, L, E) with `batch_first`."""
    _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError(_NEEDS_MASK)
    is_causal = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if is_causal else attn_mask
    batched = query.ndim == 3
    first = batch_first and batched
    _check_sizes(query, key, value, embed_dim, num_heads, separate, 0 if first else 1)
    packed = _projection_weights(separate, packed, weights, embed_dim, key, value)
    q, k, v = _project(query, key, value, weights, packed, in_bias, num_heads, first)
    k = _replaced("k", k, static_k, bias_k, q)
    v = _replaced("v", v, static_v, bias_v, q)
    extra = (bias_k is not None) + bool(add_zero_attn)
    mask = _one_mask(key_padding_mask, attn_mask, q, k.shape[2], extra)
    if extra:
        k, v = _with_extra(k, bias_k, add_zero_attn), _with_extra(v, bias_v, add_zero_attn)
    if not need_weights:
        heads = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
        return _from_heads(heads, out_weight, out_bias, batched, first), None
    taken = dropout(attention_weights(q, k, mask), dropout_p)
    y = _from_heads(attend(taken, v), out_weight, out_bias, batched, first)
    taken = taken.mean(1) if average else taken
    return y, taken if batched else taken[0]


def multi_head_attention_forward(
    query: Array,
    key: Array,
    value: Array,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Array | None,
    in_proj_bias: Array | None,
    bias_k: Array | None,
    bias_v: Array | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Array,
    out_proj_bias: Array | None,
    training: bool = True,
    key_padding_mask: Array | None = None,
    need_weights: bool = True,
    attn_mask: Array | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Array | None = None,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    static_k: Array | None = None,
    static_v: Array | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Array, Array | None]:
    """Attention of `num_heads` heads between an input and an output projection.

    Shapes: query (L, N, E) or (L, E), key (S, N, Ek), value (S, N, Ev); the result is the query's
    shape, and the weights, if needed, (N, L, S) averaged over heads or (N, heads, L, S).
    `in_proj_weight` (3 E, E) holds the rows of queries, keys and values. True in
    `key_padding_mask` (N, S) and `attn_mask`, (L, S) or (N heads, L, S), leaves a key out; float
    masks are added. `is_causal` says that `attn_mask` is the causal mask. `static_k` and `static_v`
    (N heads, S, E / heads) replace projected keys and values. A query that is left no key gives
    NaN with `need_weights`, else 0.

    Raises AssertionError or RuntimeError where shapes do not fit. Paper: Attention Is All You Need
    (https://arxiv.org/abs/1706.03762).
    """
    return multi_head_attention(
        query,
        key,
        value,
        embed_dim_to_check,
        num_heads,
        in_proj_weight,
        in_proj_bias,
        bias_k,
        bias_v,
        add_zero_attn,
        dropout_p if training else 0.0,
        out_proj_weight,
        out_proj_bias,
        key_padding_mask,
        need_weights,
        attn_mask,
        use_separate_proj_weight,
        (q_proj_weight, k_proj_weight, v_proj_weight),
        static_k,
        static_v,
        average_attn_weights,
        is_causal,
    )

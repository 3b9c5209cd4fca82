"""Attention whose scores and mask a user's functions give, element by element.

The functions see one score and its place: numbers. `jax.vmap` maps them over batches, heads,
queries and keys; the scores are computed densely, and XLA fuses what it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.engine.closure import recorded
from jtoolbox.engine.graph import Handle, intern_aval
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import leaf_node, node_of, value_of, wrap
from jtoolbox.engine.trace import TensorTrace
from jtoolbox.nn.functional.checks import is_float, type_name, wide

__all__ = ["elementwise_mask", "flex_attention_of"]

_INDEX = intern_aval((), np.dtype(np.int64))
_SCALAR = "{name} must return one number for each score, got a result of shape {shape}"


# --- a user's function on arrays -----------------------------------------------------------------


def _mapped(function: Any, name: str, score: Any, sizes: Sequence[int]) -> Array:
    """function(score, b, h, i, j), or function(b, h, i, j), for all scores (B, H, L, S)."""

    def checked(*place: Any) -> Any:
        result = jnp.asarray(function(*place))
        if result.shape:
            raise ValueError(_SCALAR.format(name=name, shape=result.shape))
        return result

    first = () if score is None else (score,)
    f: Any = checked
    for axis in reversed(range(4)):
        scores = () if score is None else (0,)
        f = jax.vmap(f, (*scores, *(0 if i == axis else None for i in range(4))))
    dtype = jax.dtypes.canonicalize_dtype(np.int64)
    return f(*first, *(jnp.arange(n, dtype=dtype) for n in sizes))


def _on_arrays(function: Callable[..., Any], tensors: bool) -> Callable[..., Any]:
    """The user's function on tracers, which it gets as Tensors if it was given Tensors."""

    def pure(*place: Any) -> Any:
        with TensorTrace():
            given = [wrap(leaf_node(v)) for v in place] if tensors else place
            result = function(*given)
            return value_of(node_of(result)) if isinstance(result, Handle) else result

    return pure


# --- the formulas --------------------------------------------------------------------------------


def _attention(
    query: Array, key: Array, value: Array, scale: Any, score_mod: Any, mask_mod: Any, blocks: Any
) -> tuple[Array, Array, Array]:
    """The result (B, Hq, L, Ev), and logsumexp and largest of the scores (B, Hq, L)."""
    groups = query.shape[1] // max(key.shape[1], 1)
    key, value = (jnp.repeat(x, groups, 1) if groups > 1 else x for x in (key, value))
    key, value = (jnp.broadcast_to(x, (query.shape[0], *x.shape[1:])) for x in (key, value))
    q, k = wide(query), wide(key)
    scores = jnp.einsum("bhld,bhsd->bhls", q, k) * jnp.asarray(scale, q.dtype)
    if score_mod is not None:
        scores = _mapped(score_mod, "score_mod", scores, scores.shape).astype(scores.dtype)
    if mask_mod is not None:
        mask = _mapped(mask_mod, "mask_mod", None, scores.shape)
        mask = mask if blocks is None else blocks[1] | (blocks[0] & mask)
        scores = jnp.where(mask, scores, -jnp.inf)
    peak = jnp.max(scores, -1, initial=-jnp.inf)
    base = jax.lax.stop_gradient(jnp.where(peak == -jnp.inf, 0, peak))[..., None]
    # A query without keys: exp(-inf) is 0 with gradient 0, and its sum of 0 becomes 1.
    e = jnp.exp(scores - base)
    total = jnp.sum(e, -1)
    none = total == 0
    safe = jnp.where(none, 1, total)
    lse = jnp.where(none, -jnp.inf, jnp.log(safe) + base[..., 0])
    weights = (e / safe[..., None]).astype(value.dtype)
    y = jnp.einsum("bhls,bhsd->bhld", weights, value, preferred_element_type=q.dtype)
    return y.astype(query.dtype), lse, peak


@op(name="flex_attention")
def _flex(
    query: Array,
    key: Array,
    value: Array,
    scale: Array,
    score_held: Sequence[Array],
    mask_held: Sequence[Array],
    blocks: Sequence[Array],
    score_program: Any,
    mask_program: Any,
) -> tuple[Array, Array, Array]:
    def bound(program: Any, held: Any) -> Any:
        return None if program is None else lambda *place: program(place, held)[0]

    score_mod, mask_mod = bound(score_program, score_held), bound(mask_program, mask_held)
    return _attention(query, key, value, scale, score_mod, mask_mod, blocks or None)


@op(name="flex_mask", creates=True)
def _mask(held: Sequence[Array], program: Any, sizes: tuple[int, ...], scored: bool) -> Array:
    score = jnp.zeros(sizes, np.float32) if scored else None
    return _mapped(lambda *place: program(place, held)[0], "the function", score, sizes)


# --- from Tensors or arrays ----------------------------------------------------------------------


def elementwise_mask(function: Callable[..., Any], sizes: Sequence[int], scored: bool) -> Any:
    """The Tensor (B, H, L, S) of function(b, h, i, j), or with `scored` of function(0, b, ...)."""
    if mode.functional is not None:
        score = jnp.zeros(tuple(sizes), np.float32) if scored else None
        return wrap(leaf_node(_mapped(_on_arrays(function, True), "the function", score, sizes)))
    avals = [intern_aval((), np.dtype(np.float32))] * scored + [_INDEX] * 4
    program, held = _program(function, avals)
    return _mask(held, program, tuple(sizes), scored)


def flex_attention_of(
    query: Any,
    key: Any,
    value: Any,
    score_mod: Callable[..., Any] | None,
    mask_mod: Callable[..., Any] | None,
    blocks: tuple[Any, ...],
    scale: Any,
) -> tuple[Any, Any, Any]:
    """Attention with a user's functions, its log-normalizer, and its largest scores."""
    _check_types(query, key, value)
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    tensors = any(isinstance(x, Handle) for x in (query, key, value))
    if tensors and mode.functional is None:
        score_type = np.dtype(np.float64 if query.dtype.itemsize == 8 else np.float32)
        first, score_held = _program(score_mod, [intern_aval((), score_type), *[_INDEX] * 4])
        second, mask_held = _program(mask_mod, [_INDEX] * 4)
        return _flex(query, key, value, scale, score_held, mask_held, blocks, first, second)
    arrays = [value_of(node_of(x)) if isinstance(x, Handle) else x for x in (query, key, value)]
    tables = [value_of(node_of(x)) if isinstance(x, Handle) else x for x in blocks]
    mods = [None if f is None else _on_arrays(f, tensors) for f in (score_mod, mask_mod)]
    q, k, v = map(jnp.asarray, arrays)
    results = _attention(q, k, v, scale, mods[0], mods[1], tables or None)
    return tuple(wrap(leaf_node(r)) if tensors else r for r in results)  # type: ignore[return-value]


def _program(function: Any, avals: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The function as a program of one result, and the Tensors it holds."""
    if function is None:
        return None, []
    return recorded(lambda *place: [function(*place)], avals)


def _check_types(*arrays: Any) -> None:
    found = [getattr(x, "dtype", None) for x in arrays]
    if any(isinstance(x, Handle) for x in arrays):
        arrays = tuple(node_of(x).aval if isinstance(x, Handle) else x for x in arrays)
    for x in arrays:
        if not is_float(x):
            raise RuntimeError(
                f"flex_attention needs floats, got {type_name(x)}: call .float() on the inputs"
            )
    if len({str(x.dtype) for x in arrays}) > 1:
        raise ValueError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{found[0]}, key.dtype: {found[1]}, and value.dtype: {found[2]} instead."
        )

"""`torch.nn.attention.flex_attention`: attention with a user's functions for scores and mask."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

from jtoolbox.nn.attention.block_mask import BlockMask, noop_mask
from jtoolbox.nn.functional.block_tables import block_tables
from jtoolbox.nn.functional.checks import warn_user
from jtoolbox.nn.functional.flex_attention import elementwise_mask, flex_attention_of
from jtoolbox.ops.comparison import isneginf
from jtoolbox.tensor import Tensor

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "FlexKernelOptions",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

_RANK = "query, key, and value must be 4D tensors (B, H, length, features), got {q}, {k}, {v}"
_HEADS = (
    "Expect query and key/value to have the same number of heads but got Hq={q} and Hkv={kv}. "
    "Try setting enable_gqa=True for GQA."
)
_GROUPS = (
    "Expect number of query heads to be a multiple of kv heads for GQA but got Hq={q} and Hkv={kv}."
)
_BATCH = (
    "Expect query and key/value to have the same batch size, or non-none block_mask, but got "
    "block_mask={mask}, Bq={q}, and Bkv={kv}."
)
_FEATURES = (
    "Expect query and key/value to have the same embedding dimension but got E={q} and E={kv}."
)
_KEYS = (
    "Expected size for first two dimensions of batch2 tensor to be: [{n}, {v}] but got: "
    "[{n}, {k}]. key of shape {key} and value of shape {value} must have the same heads and "
    "positions"
)
_LENGTHS = (
    "block_mask was created for block_mask.shape={shape} but got q_len={q} and kv_len={kv}. Create "
    "a block mask for these lengths with create_block_mask."
)
_BOTH = (
    "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use "
    "return_aux=AuxRequest(lse=True) instead."
)
_OLD = "return_lse is deprecated. Please use return_aux=AuxRequest(lse=True) instead."
_MASK_TYPE = "block_mask must be a BlockMask from create_block_mask, or None, got {kind}"
_ARGUMENTS = (
    "a mask_mod takes 4 arguments (batch, head, query, key), a score_mod 5 (the score first), "
    "got a function of {n}"
)


class AuxRequest(NamedTuple):
    """What `flex_attention` shall return besides its result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What was asked for by `AuxRequest`, each (B, Hq, L); None where it was not."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


class FlexKernelOptions(TypedDict, total=False):
    """PyTorch's settings of its kernels; accepted, and without effect: XLA makes the kernels."""

    num_warps: int
    num_stages: int
    BLOCK_M: int
    BLOCK_N: int
    BLOCK_M1: int
    BLOCK_N1: int
    BLOCK_M2: int
    BLOCK_N2: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool
    FORCE_USE_FLEX_ATTENTION: bool
    USE_TMA: bool
    kpack: int
    matrix_instr_nonkdim: int
    waves_per_eu: int
    BACKEND: str


# --- masks ---------------------------------------------------------------------------------------


def _combined(masks: tuple[Callable[..., Any], ...], every: bool) -> Callable[..., Any]:
    if not all(callable(m) for m in masks):
        raise RuntimeError(f"All inputs should be callable mask_mods: {masks}")

    def mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        if not masks:
            seen = noop_mask(b, h, q_idx, kv_idx)
            return seen if every else ~seen
        result = masks[0](b, h, q_idx, kv_idx)
        for other in masks[1:]:
            more = other(b, h, q_idx, kv_idx)
            result = result & more if every else result | more
        return result

    return mask


def and_masks(*mask_mods: Callable[..., Any]) -> Callable[..., Any]:
    """The mask_mod of the places that all of these let take part; RuntimeError for no functions."""
    return _combined(mask_mods, True)


def or_masks(*mask_mods: Callable[..., Any]) -> Callable[..., Any]:
    """The mask_mod of the places that any of these lets see; RuntimeError for no functions."""
    return _combined(mask_mods, False)


def _takes_score(function: Callable[..., Any]) -> bool:
    """Whether it is a score_mod; AssertionError for what is neither that nor a mask_mod."""
    count = sum(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
        for p in inspect.signature(function).parameters.values()
    )
    if count not in (4, 5):
        raise AssertionError(_ARGUMENTS.format(n=count))
    return count == 5


def create_mask(
    mod_fn: Callable[..., Any],
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
) -> Tensor:
    """The values (B, H, Q_LEN, KV_LEN) of a mask_mod, or where a score_mod is not -inf.

    A mask_mod(b, h, q_idx, kv_idx) says whether a query sees a key; it gets 0-d integer Tensors, is
    called once for all places, and must not look at their values. None for B or H counts as 1.
    Raises AssertionError for a function of another number of arguments.
    """
    scored = _takes_score(mod_fn)
    mask = elementwise_mask(mod_fn, (B or 1, H or 1, Q_LEN, KV_LEN), scored)
    mask = ~isneginf(mask) if scored else mask
    return mask if device is None else mask.to(device)


def create_block_mask(
    mask_mod: Callable[..., Any],
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = 128,
    _compile: bool = False,
    separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False,
    dq_kv_order: bool = True,
) -> BlockMask:
    """The `BlockMask` of a mask_mod(b, h, q_idx, kv_idx), to be given to `flex_attention`.

    Blocks are BLOCK_SIZE queries by keys; with `separate_full_blocks` those that are seen in full
    have tables of their own. None for B or H counts as 1. The orders are for PyTorch's kernels:
    `compute_dq_write_order` raises NotImplementedError. Raises AssertionError for a score_mod.
    """
    if compute_dq_write_order:
        raise NotImplementedError(
            "create_block_mask(compute_dq_write_order=True) orders the writes of PyTorch's "
            "kernels; XLA makes the kernels here. Leave it away."
        )
    if _takes_score(mask_mod):
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    tables = block_tables(mask, *size, separate_full_blocks)
    full = tables[2:4] if separate_full_blocks else (None, None)
    settings: Any = {"BLOCK_SIZE": size, "mask_mod": mask_mod, "seq_lengths": (Q_LEN, KV_LEN)}
    made = BlockMask.from_kv_blocks(*tables[:2], *full, **settings)
    made._by_function = True
    return made


# --- attention -----------------------------------------------------------------------------------


def _check(query: Any, key: Any, value: Any, mask: Any, grouped: bool) -> None:
    shapes = {n: tuple(x.shape) for n, x in (("q", query), ("k", key), ("v", value))}
    if any(len(s) != 4 for s in shapes.values()):
        raise NotImplementedError(_RANK.format(**shapes))
    q, k, v = shapes.values()
    if q[1] != k[1]:
        if not grouped:
            raise ValueError(_HEADS.format(q=q[1], kv=k[1]))
        if k[1] == 0 or q[1] % k[1]:
            raise ValueError(_GROUPS.format(q=q[1], kv=k[1]))
    if q[0] != k[0] and (mask is None or k[0] != 1):
        raise ValueError(_BATCH.format(mask=mask, q=q[0], kv=k[0]))
    if q[3] != k[3]:
        raise ValueError(_FEATURES.format(q=q[3], kv=k[3]))
    if k[:3] != v[:3]:
        raise RuntimeError(_KEYS.format(n=q[0] * q[1], v=v[2], k=k[2], key=k, value=v))
    if mask is None:
        return
    if not isinstance(mask, BlockMask):
        raise AttributeError(_MASK_TYPE.format(kind=type(mask).__name__))
    if mask.seq_lengths != (q[2], k[2]):
        raise ValueError(_LENGTHS.format(shape=mask.shape, q=q[2], kv=k[2]))


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Callable[..., Any] | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Tensor | tuple[Tensor, Tensor] | tuple[Tensor, AuxOutput]:
    """softmax(score_mod(scale * query keyᵀ)) value, over the keys that `block_mask` lets see.

    Shapes: query (B, Hq, L, E), key (B, Hkv, S, E), value (B, Hkv, S, Ev), result (B, Hq, L, Ev).
    `score_mod`(score, b, h, q_idx, kv_idx) gives the new score of each place from 0-d Tensors; it
    is called once for all and must not look at their values. Tensors that it holds get gradients.
    `scale` is 1/sqrt(E) if not given; `enable_gqa` lets Hq be a multiple of Hkv. A query that sees
    no key gives 0. `return_lse` (deprecated: warns) adds the logsumexp of the scores
    (B, Hq, L), `return_aux` an `AuxOutput`. All scores are computed, also those nobody sees.

    Unlike PyTorch's on a CPU it has gradients, and mixed or integer types raise. Raises ValueError,
    RuntimeError or NotImplementedError where shapes do not fit.
    """
    if return_lse and return_aux is not None:
        raise ValueError(_BOTH)
    if return_lse:
        warn_user(_OLD, FutureWarning)
    _check(query, key, value, block_mask, enable_gqa)
    mask_mod = None if block_mask is None else block_mask.mask_mod
    blocks = () if block_mask is None or block_mask._by_function else block_mask._dense_blocks()
    y, lse, peak = flex_attention_of(query, key, value, score_mod, mask_mod, blocks, scale)
    if return_lse:
        return y, lse
    if return_aux is not None:
        aux = AuxOutput(lse if return_aux.lse else None, peak if return_aux.max_scores else None)
        return y, aux
    return y

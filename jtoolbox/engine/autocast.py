"""Autocast: which operations cast their operands while `torch.autocast` is on, and to what.

The cast happens in one place: `Op.body`, where promotion happens too, so that it becomes part of
the recorded call. With autocast off an operation pays one look at the thread's state; with it on,
the state is part of the key under which the call is remembered.

NOTE: three kinds of operations. Those marked "lower" cast float operands to the low-precision type,
those marked "float32" to float32, and "widest" to the widest type among their operands. float64,
integers and numbers are left alone, and an operation that is listed runs its own parts without
autocast. All others compute in whatever type arrives. The lists are PyTorch's for each device, and
so are the types of results, with one exception: `pinv` stays in float32 where PyTorch's last
product is in low precision. Recurrent layers compute in the low-precision type throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jtoolbox import devices
from jtoolbox.engine.modes import mode

BANNED = (
    "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast. Use "
    "binary_cross_entropy_with_logits or BCEWithLogitsLoss on the values before the sigmoid, or "
    "switch autocast off around the loss and cast its input to float."
)


def _names(text: str) -> list[str]:
    return text.split()


CONVOLUTIONS = [f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)]
PRODUCTS = _names("""
    mm bmm matmul addmm addbmm baddbmm linear vecdot inner chain_matmul prelu matrix_power
    _einsum _tensordot _multi_dot in_projection out_projection scaled_dot_product_attention
    recurrent recurrent_cell
""")
LOSSES = _names("""
    mse_loss l1_loss smooth_l1_loss huber_loss kl_div nll_loss cross_entropy ctc_loss
    cosine_embedding_loss hinge_embedding_loss poisson_nll_loss margin_ranking_loss soft_margin_loss
    triplet_margin_loss multi_margin_loss multilabel_margin_loss binary_cross_entropy_with_logits
""")
CPU_FLOAT32 = _names("""
    avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d max_pool3d binary_cross_entropy grid_sample
    grid_sampler polar prod quantile nanquantile cdist trace view_as_complex stft
    cholesky cholesky_ex cholesky_inverse cholesky_solve inv inv_ex cond matrix_rank
    solve solve_triangular lstsq qr svd svdvals eig eigh eigvals eigvalsh lu lu_factor lu_solve
""")
TRANSFORMS = [
    f"{i}{kind}fft{n}" for i in ("", "i") for kind in ("", "r", "h") for n in ("", 2, "n")
]
TRANSFORMS += [f"fft_{name}" for name in TRANSFORMS]
GPU_FLOAT32 = _names("""
    acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow _pow
    softplus layer_norm group_norm norm vector_norm matrix_norm cosine_similarity dist pdist cdist
    renorm logsumexp prod softmax log_softmax cumprod cumsum sum gaussian_nll_loss
""")
GPU_WIDEST = _names("""
    addcdiv addcmul atan2 bilinear cross dot vdot grid_sample grid_sampler index_put scatter_add cat
    stack
""")


def _table(lower: Sequence[str], float32: Sequence[str], widest: Sequence[str]) -> dict[str, str]:
    kinds = (("lower", lower), ("float32", float32), ("widest", widest))
    return {name: kind for kind, names in kinds for name in names}


CPU = _table(
    [*CONVOLUTIONS, *PRODUCTS],
    [*CPU_FLOAT32, *LOSSES, *TRANSFORMS],
    ["cat", "stack", "index_copy"],
)
GPU = _table(
    [*CONVOLUTIONS, *PRODUCTS, "mv", "addmv", "addr"],
    [*GPU_FLOAT32, *LOSSES],
    GPU_WIDEST,
)
GPU["binary_cross_entropy"] = "banned"


class Policy(NamedTuple):
    """Autocast as it is on for one kind of device: the table, and the low-precision type."""

    device: str
    dtype: np.dtype

    @property
    def table(self) -> dict[str, str]:
        return CPU if self.device == "cpu" else GPU


def policy_of(device: Any) -> Policy | None:
    """The policy for operands on this device (None: the default one), if autocast is on for it."""
    state = mode.autocast
    if state is None or isinstance(state, Policy):
        return state
    kind = (devices.default_device() if device is None else device).type
    return next((policy for policy in state if policy.device == kind), None)


@contextmanager
def within(state: Any) -> Iterator[None]:
    """Runs the block with autocast in this state: None, one policy, or one for each device."""
    before, mode.autocast = mode.autocast, state
    try:
        yield
    finally:
        mode.autocast = before


def run(name: str, places: Sequence[int], args: Sequence[Any], body: Any) -> Any:
    """`body(args)` with the operands at `places` cast as the operation of this name demands."""
    policy = policy_of(None)
    kind = None if policy is None else policy.table.get(name)
    if policy is None or kind is None:
        return body(args)
    if kind == "banned":
        raise RuntimeError(BANNED)
    args = list(args)
    wanted = _wanted(kind, policy, [v for i in places for v in _parts(args[i])])
    for i in places:
        value = args[i]
        many = isinstance(value, (tuple, list))
        args[i] = tuple(_cast(v, wanted) for v in value) if many else _cast(value, wanted)
    with within(None):
        return body(args)


def _parts(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (tuple, list)) else (value,)


def _eligible(value: Any) -> bool:
    """Whether this is an array of floats that autocast may cast: float64 and numbers stay."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or getattr(value, "weak_type", False):
        return False
    return jnp.issubdtype(dtype, jnp.floating) and dtype != np.float64


def _wanted(kind: str, policy: Policy, values: Sequence[Any]) -> Any:
    if kind != "widest":
        return policy.dtype if kind == "lower" else np.dtype(np.float32)
    found = {np.dtype(v.dtype) for v in values if _eligible(v)}
    return found.pop() if len(found) == 1 else np.dtype(np.float32)


def _cast(value: Any, wanted: Any) -> Any:
    return jnp.asarray(value).astype(wanted) if _eligible(value) else value

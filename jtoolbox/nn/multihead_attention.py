"""The attention layer."""

from __future__ import annotations

from typing import Any

from jtoolbox.nn import init
from jtoolbox.nn.functional.multi_head_attention import multi_head_attention
from jtoolbox.nn.linear import Linear
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter
from jtoolbox.ops.creation import empty
from jtoolbox.tensor import Tensor

__all__ = ["MultiheadAttention", "NonDynamicallyQuantizableLinear"]


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear` under the name that PyTorch gives the output projection of attention."""


class MultiheadAttention(Module):
    """Attention of `num_heads` heads, each on E / num_heads features, between two projections.

    heads_i = softmax(q_i k_iᵀ / sqrt(E / num_heads)) v_i, where q, k, v are linear maps of query,
    key and value, joined and mapped once more. Shapes: query (L, N, E), key (S, N, kdim), value
    (S, N, vdim), output (L, N, E); (N, L, E) and so on with `batch_first`; without N for a single
    sample. Also returns the weights, (N, L, S) averaged over heads or (N, heads, L, S), or None
    without `need_weights`, which is faster.

    `attn_mask`, (L, S) or (N heads, L, S), and `key_padding_mask` (N, S) leave a key out where they
    are True; float masks are added. `is_causal` says that `attn_mask` is the causal mask. Raises
    AssertionError or RuntimeError where shapes do not fit. Paper: Attention Is All You Need
    (https://arxiv.org/abs/1706.03762).

        >>> y, weights = nn.MultiheadAttention(16, 4)(x, x, x)
    """

    in_proj_weight: Tensor | None
    q_proj_weight: Tensor | None
    k_proj_weight: Tensor | None
    v_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError(
                f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}"
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn
        place = {"device": device, "dtype": dtype}
        self._register_parameters(bias, add_bias_kv, place)
        self._reset_parameters()

    def _register_parameters(self, bias: bool, add_bias_kv: bool, place: dict[str, Any]) -> None:
        e, same = self.embed_dim, self._qkv_same_embed_dim
        shapes = {
            "in_proj_weight": (3 * e, e) if same else None,
            "q_proj_weight": None if same else (e, e),
            "k_proj_weight": None if same else (e, self.kdim),
            "v_proj_weight": None if same else (e, self.vdim),
            "in_proj_bias": (3 * e,) if bias else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(name, Parameter(empty(shape, **place)) if shape else None)
        self.out_proj = NonDynamicallyQuantizableLinear(e, e, bias, **place)
        for name in ("bias_k", "bias_v"):
            given = Parameter(empty((1, 1, e), **place)) if add_bias_kv else None
            self.register_parameter(name, given)

    def _reset_parameters(self) -> None:
        """Draws new weights (Xavier), and sets the biases of both projections to 0."""
        for weight in (self.in_proj_weight, *self._separate_weights()):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
        if self.out_proj.bias is not None:
            init.constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def _separate_weights(self) -> tuple[Tensor | None, ...]:
        return self.q_proj_weight, self.k_proj_weight, self.v_proj_weight

    def merge_masks(
        self,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        query: Tensor,
    ) -> tuple[Tensor | None, int | None]:
        """Both masks as one (N, heads, L, L), for a query (N, L, E), and its kind.

        Kind 2 is merged or an `attn_mask`, 1 a `key_padding_mask` alone, returned as it is, None
        none. Raises RuntimeError where shapes do not fit.
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        batch, length = query.shape[0], query.shape[1]
        if attn_mask.dim() == 3:
            merged = attn_mask.view(batch, -1, length, length)
        else:
            merged = attn_mask.view(1, 1, length, length)
            merged = merged.expand(batch, self.num_heads, -1, -1)
        if key_padding_mask is not None:
            merged = merged + key_padding_mask.view(batch, 1, 1, length)
        return merged, 2

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        return multi_head_attention(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout if self.training else 0.0,
            self.out_proj.weight,
            self.out_proj.bias,
            key_padding_mask,
            need_weights,
            attn_mask,
            not self._qkv_same_embed_dim,
            self._separate_weights(),
            average=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
        )

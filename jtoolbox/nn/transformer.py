"""The Transformer: layers of attention and of small networks, stacked, as encoder and decoder.

NOTE: PyTorch's fast path. In evaluation under `no_grad`, PyTorch's encoder may run on nested
tensors that leave padding out, and fills it with zeros at the end. Here there is one path; the
encoder puts zeros in the same places under the same conditions, so that results agree.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

from jtoolbox.engine import is_grad_enabled
from jtoolbox.nn import functional as F
from jtoolbox.nn import init
from jtoolbox.nn.activation import GELU, ReLU
from jtoolbox.nn.container import ModuleList
from jtoolbox.nn.dropout import Dropout
from jtoolbox.nn.functional.multi_head_attention import without_padding
from jtoolbox.nn.linear import Linear
from jtoolbox.nn.module import Module
from jtoolbox.nn.multihead_attention import MultiheadAttention
from jtoolbox.nn.normalization import LayerNorm
from jtoolbox.ops.creation import full
from jtoolbox.ops.matrices import triu
from jtoolbox.tensor import Tensor

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]
_ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}
_ACTIVATION = (
    "activation should be relu/gelu, not {given}; for another one give the function itself"
)
_BATCH = "the batch number of src and tgt must be equal, got shapes {src} and {tgt}"
_FEATURES = (
    "the feature number of src and tgt must be equal to d_model = {d_model}, got shapes {src} and "
    "{tgt}"
)

_NOT_NESTED = (
    "enable_nested_tensor is True, but self.use_nested_tensor is False because {reason}: padding "
    "is left in the result, as in PyTorch; enable_nested_tensor=False says so without a warning"
)


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(given, str):
        return given
    if given not in _ACTIVATIONS:
        raise RuntimeError(_ACTIVATION.format(given=given))
    return _ACTIVATIONS[given]


class _Layer(Module):
    """What layers of encoder and decoder share: attention blocks, then a network of two layers."""

    self_attn: MultiheadAttention
    linear1: Linear
    dropout: Dropout
    linear2: Linear
    norm1: LayerNorm
    norm2: LayerNorm
    dropout1: Dropout
    dropout2: Dropout
    activation: Callable[[Tensor], Tensor]
    attentions: tuple[str, ...] = ("self_attn",)

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        place = {"device": device, "dtype": dtype}
        for name in self.attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout, bias=bias, batch_first=batch_first, **place
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        self.norm_first = norm_first
        blocks = range(1, len(self.attentions) + 2)
        for i in blocks:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for i in blocks:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _attend(
        self,
        attention: MultiheadAttention,
        x: Tensor,
        memory: Tensor | None,
        mask: Tensor | None,
        padding: Tensor | None,
        is_causal: bool,
    ) -> Tensor:
        to = x if memory is None else memory
        return attention(x, to, to, padding, False, mask, is_causal=is_causal)[0]

    def _residual(
        self, x: Tensor, norm: LayerNorm, dropout: Dropout, block: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """x + block(norm(x)) with `norm_first`, norm(x + block(x)) without."""
        if self.norm_first:
            return x + dropout(block(norm(x)))
        return norm(x + dropout(block(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention and a network of two layers, each with residual sum, dropout and LayerNorm.

    x = norm1(x + attention(x)); x = norm2(x + linear2(activation(linear1(x)))); with `norm_first`
    the norms come before attention and network instead. Shapes: (L, N, E) or (N, L, E) with
    `batch_first`, or (L, E); masks as for `MultiheadAttention`. `activation` is "relu", "gelu" or a
    function.

    Raises RuntimeError for an unknown activation, AssertionError or RuntimeError where shapes do
    not fit. Paper: Attention Is All You Need (https://arxiv.org/abs/1706.03762).

        >>> nn.TransformerEncoderLayer(d_model=512, nhead=8)(torch.rand(10, 32, 512)).shape
        torch.Size([10, 32, 512])
    """

    @property
    def activation_relu_or_gelu(self) -> int:
        """1 for relu, 2 for gelu, 0 for another activation."""
        if self.activation is F.relu or isinstance(self.activation, ReLU):
            return 1
        return 2 if self.activation is F.gelu or isinstance(self.activation, GELU) else 0

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self._attend(self.self_attn, x, None, src_mask, src_key_padding_mask, is_causal)

        x = self._residual(src, self.norm1, self.dropout1, attend)
        return self._residual(x, self.norm2, self.dropout2, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's result, and a network of two layers.

    Each has a residual sum, dropout and LayerNorm: x = norm1(x + attention(x)); x = norm2(x +
    attention(x, memory)); x = norm3(x + linear2(activation(linear1(x)))); with `norm_first` the
    norms come first. Shapes: tgt (L, N, E), memory (S, N, E), or with N first by `batch_first`;
    masks as for `MultiheadAttention`. `activation` is "relu", "gelu" or a function.

    Raises RuntimeError for an unknown activation, AssertionError or RuntimeError where shapes do
    not fit. Paper: Attention Is All You Need (https://arxiv.org/abs/1706.03762).
    """

    attentions = ("self_attn", "multihead_attn")
    multihead_attn: MultiheadAttention
    norm3: LayerNorm
    dropout3: Dropout

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            masks = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
            return self._attend(self.self_attn, x, None, *masks)

        def attend_to_memory(x: Tensor) -> Tensor:
            masks = (memory_mask, memory_key_padding_mask, memory_is_causal)
            return self._attend(self.multihead_attn, x, memory, *masks)

        x = self._residual(tgt, self.norm1, self.dropout1, attend)
        x = self._residual(x, self.norm2, self.dropout2, attend_to_memory)
        return self._residual(x, self.norm3, self.dropout3, self._feed_forward)


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class TransformerEncoder(Module):
    """A stack of `num_layers` copies of an encoder layer, and a norm at the end if one is given.

    The copies start with the same values. Shapes and masks are those of the layer. `is_causal` says
    that `mask` is the causal mask. In evaluation, without gradients and under PyTorch's further
    conditions for its nested tensors, what `src_key_padding_mask` leaves out is 0 in the result;
    `enable_nested_tensor=False` turns that off, and a layer that does not meet the conditions turns
    it off with a warning. `mask_check` is accepted and changes nothing.

        >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(512, 8), num_layers=6)
        >>> encoder(torch.rand(10, 32, 512)).shape
        torch.Size([10, 32, 512])
    """

    norm: Module | None

    def __init__(
        self,
        encoder_layer: TransformerEncoderLayer,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ):
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        reason = _not_nested(encoder_layer) if enable_nested_tensor else None
        if reason is not None:
            warnings.warn(_NOT_NESTED.format(reason=reason), stacklevel=2)
        self.use_nested_tensor = enable_nested_tensor and reason is None
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, src_key_padding_mask=src_key_padding_mask,
                      is_causal=bool(is_causal))  # fmt: skip
        if src_key_padding_mask is not None and mask is None and self._leaves_padding_out(src):
            x = without_padding(x, src_key_padding_mask)
        return x if self.norm is None else self.norm(x)

    def _leaves_padding_out(self, src: Tensor) -> bool:
        if not self.use_nested_tensor or self.training or src.ndim != 3 or not self.num_layers:
            return False
        tensors = (src, *self.layers[0].parameters())
        return not (is_grad_enabled() and any(t.requires_grad for t in tensors))


def _not_nested(layer: Module) -> str | None:
    """Why PyTorch's fast path does not take encoders of this layer; None where it does."""
    if not isinstance(layer, TransformerEncoderLayer):
        return "encoder_layer is no TransformerEncoderLayer"
    reasons = {
        "encoder_layer.norm_first is True": layer.norm_first,
        "encoder_layer.self_attn.batch_first is False": not layer.self_attn.batch_first,
        "encoder_layer.self_attn has no bias": layer.self_attn.in_proj_bias is None,
        "its activation is neither relu nor gelu": not layer.activation_relu_or_gelu,
        "the eps of norm1 and norm2 differ": layer.norm1.eps != layer.norm2.eps,
        "encoder_layer.self_attn.num_heads is odd": layer.self_attn.num_heads % 2 == 1,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


class TransformerDecoder(Module):
    """A stack of `num_layers` copies of a decoder layer, and a norm at the end if one is given.

    The copies start with the same values. Shapes and masks are those of the layer. `tgt_is_causal`
    and `memory_is_causal` say that the mask beside them is the causal one.
    """

    norm: Module | None

    def __init__(
        self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None
    ):
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        x = tgt
        for layer in self.layers:
            x = layer(
                x,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder of `src`, and a decoder of `tgt` that attends to the encoder's result.

    Shapes: src (S, N, E), tgt (T, N, E), output (T, N, E), with N first by `batch_first` or without
    N; E = d_model. Masks are those of `MultiheadAttention`: (S, S), (T, T), (T, S) and paddings
    (N, S), (N, T), (N, S). `custom_encoder` and `custom_decoder` take the place of the standard
    stacks. All matrices start Xavier uniform.

    Raises RuntimeError when batch or feature numbers differ. Paper: Attention Is All You Need
    (https://arxiv.org/abs/1706.03762).

        >>> model = nn.Transformer(nhead=16, num_encoder_layers=12)
        >>> model(torch.rand(10, 32, 512), torch.rand(20, 32, 512)).shape
        torch.Size([20, 32, 512])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        place = {"device": device, "dtype": dtype}
        settings = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        settings = (*settings, batch_first, norm_first, bias, device, dtype)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, **place)

        if custom_encoder is None:
            layer = TransformerEncoderLayer(*settings)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        self.encoder = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*settings)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        """Draws new values for all matrices."""
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask (sz, sz): -inf above the diagonal, 0 elsewhere."""
        return triu(full((sz, sz), -float("inf"), device=device, dtype=dtype), 1)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        self._check(src, tgt)
        memory = self.encoder(
            src,
            mask=src_mask,
            src_key_padding_mask=src_key_padding_mask,
            is_causal=src_is_causal,
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    def _check(self, src: Tensor, tgt: Tensor) -> None:
        shapes = {"src": list(src.shape), "tgt": list(tgt.shape)}
        axis = 0 if self.batch_first else 1
        if src.ndim == 3 and (tgt.ndim <= axis or src.shape[axis] != tgt.shape[axis]):
            raise RuntimeError(_BATCH.format(**shapes))
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(_FEATURES.format(d_model=self.d_model, **shapes))

"""Recurrent layers over sequences: RNN, LSTM, GRU. Their single steps are in `rnn_cell`."""

from __future__ import annotations

from typing import Any

from jtoolbox.nn.rnn_base import RNNBase
from jtoolbox.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN"]

_PROJECTION = "proj_size argument is only supported for LSTM, not RNN or GRU"


class RNN(RNNBase):
    """A simple recurrent network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or ReLU for tanh.

    Shapes: input (T, N, input_size), (N, T, input_size) if `batch_first`, (T, input_size) for one
    sequence, or a PackedSequence; `hx` (layers * directions, N, hidden_size), zeros by default.
    Returns the output of the last layer, (T, N, directions * hidden_size) or as the input was
    given, and the final state of every layer and direction. `dropout` is the probability to drop
    outputs between layers, in training. `nonlinearity` is "tanh" or "relu".

    Raises ValueError, RuntimeError or TypeError as PyTorch does. Paper: Finding Structure in Time
    (https://doi.org/10.1207/s15516709cog1402_1).

        >>> output, h = nn.RNN(10, 20, 2)(torch.randn(5, 3, 10))
        >>> output.shape, h.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **unknown: Any,
    ):
        _refuse("RNN", unknown)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """A long short-term memory: gates i, f, o and g, a cell c' = f c + i g and h' = o tanh(c').

    i, f, o = sigmoid(...) and g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh. With `proj_size`, h'
    is multiplied by W_hr. Shapes are those of `RNN`; the state is a pair, h (layers * directions,
    N, proj_size or hidden_size) and c (layers * directions, N, hidden_size). Returns (output,
    (h_n, c_n)). Gradients can be differentiated again, and forward mode works too.

    Papers: Long Short-Term Memory (https://www.bioinf.jku.at/publications/older/2604.pdf),
    projections from Long Short-Term Memory Based Recurrent Neural Network Architectures
    (https://arxiv.org/abs/1402.1128).

        >>> output, (h, c) = nn.LSTM(10, 20, 2)(torch.randn(5, 3, 10))
        >>> output.shape, c.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape that the initial c must have."""
        return *self.get_expected_hidden_size(input, batch_sizes)[:2], self.hidden_size

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        sizes = self.get_expected_hidden_size, self.get_expected_cell_size
        for i, expected in enumerate(sizes):
            message = f"Expected hidden[{i}] size {{}}, got {{}}"
            self.check_hidden_size(hidden[i], expected(input, batch_sizes), message)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        """(output, (h_n, c_n)), from the initial state `hx` = (h, c) or zeros."""
        if isinstance(hx, Tensor) and input.ndim == 3 and hx.ndim == 4:
            raise TypeError(
                f"lstm(): hx must be tuple of Tensors (h, c), not Tensor of shape {list(hx.shape)}"
            )
        return super().forward(input, None if hx is None else (hx[0], hx[1]))


class GRU(RNNBase):
    """A gated recurrent unit: h' = (1 - z) n + z h.

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh) and n = tanh(W_in x + b_in + r (W_hn h + b_hn)).
    Shapes, arguments and results are those of `RNN`. r is applied after the product with W_hn, as
    in PyTorch, not before it as in the paper.

    Paper: Learning Phrase Representations using RNN Encoder-Decoder
    (https://arxiv.org/abs/1406.1078).

        >>> output, h = nn.GRU(10, 20, bidirectional=True)(torch.randn(5, 3, 10))
        >>> output.shape, h.shape
        (torch.Size([5, 3, 40]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **unknown: Any,
    ):
        _refuse("GRU", unknown)
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )


def _refuse(layer: str, unknown: dict[str, Any]) -> None:
    if "proj_size" in unknown:
        raise ValueError(_PROJECTION)
    if unknown:
        raise TypeError(f"{layer}() got an unexpected keyword argument '{next(iter(unknown))}'")

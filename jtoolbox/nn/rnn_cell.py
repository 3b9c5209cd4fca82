"""Single steps of recurrent networks, as layers: RNNCell, LSTMCell, GRUCell."""

from __future__ import annotations

import math
from typing import Any

from jtoolbox.nn import init
from jtoolbox.nn.functional.recurrent_cells import cell
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter
from jtoolbox.ops.creation import empty
from jtoolbox.tensor import Tensor

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the cells share: parameters, checks, and the call of the functional.

    `num_chunks` is the number of gates. `weight_ih` is (gates * hidden_size, input_size),
    `weight_hh` (gates * hidden_size, hidden_size), the biases `bias_ih` and `bias_hh`
    (gates * hidden_size); all start uniform within ±1/sqrt(hidden_size).
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(gates, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(gates, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            if bias:
                setattr(self, name, Parameter(empty(gates, device=device, dtype=dtype)))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new values for all parameters."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode: str, input: Tensor, **states: Tensor) -> tuple[Tensor, ...]:
        """One step from these states, whose names are for errors."""
        for name, x in (("input", input), *states.items()):
            if x.ndim not in (1, 2):
                raise ValueError(
                    f"{self._get_name()}: Expected {name} to be 1D or 2D, got {x.ndim}D instead: "
                    f"shape {list(x.shape)}"
                )
        return cell(
            input,
            tuple(states.values()),
            self.weight_ih,
            self.weight_hh,
            self.bias_ih,
            self.bias_hh,
            mode,
        )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """One step of a simple recurrent network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Shapes: input (N, input_size), `hx` and the result (N, hidden_size), or all without N; `hx` is
    zeros by default. `nonlinearity` is "tanh" or "relu". Raises ValueError for other numbers of
    dimensions, RuntimeError for other sizes or another nonlinearity.

        >>> nn.RNNCell(10, 20)(torch.randn(3, 10)).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(
                f"Unknown nonlinearity: {self.nonlinearity}. Choose 'tanh' or 'relu'."
            )
        states = {} if hx is None else {"hidden": hx}
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, **states)[0]


class LSTMCell(RNNCellBase):
    """One step of a long short-term memory: (h', c') with c' = f c + i g and h' = o tanh(c').

    i, f, o = sigmoid(...) and g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh. Shapes: input
    (N, input_size), `hx` = (h, c) and the results (N, hidden_size), or all without N; `hx` is
    zeros by default. Raises ValueError for other numbers of dimensions, RuntimeError for other
    sizes.

        >>> h, c = nn.LSTMCell(10, 20)(torch.randn(3, 10))
        >>> h.shape, c.shape
        (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        if isinstance(hx, Tensor) and input.ndim > 1:
            raise TypeError(
                "lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors (h, c), not "
                f"Tensor of shape {list(hx.shape)}"
            )
        states = {} if hx is None else {f"hx[{i}]": hx[i] for i in (0, 1)}
        h, c = self._step("LSTM", input, **states)
        return h, c


class GRUCell(RNNCellBase):
    """One step of a gated recurrent unit: h' = (1 - z) n + z h.

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_in x + b_in + r (W_hn h + b_hn)).
    Shapes: input (N, input_size), `hx` and the result (N, hidden_size), or all without N; `hx` is
    zeros by default. Raises ValueError for other numbers of dimensions, RuntimeError for other
    sizes.

        >>> nn.GRUCell(10, 20)(torch.randn(3, 10)).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        states = {} if hx is None else {"hidden": hx}
        return self._step("GRU", input, **states)[0]

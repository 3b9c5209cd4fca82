"""What the recurrent layers share: parameters, checks, packed sequences, and one call."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jtoolbox.engine.modes import mode
from jtoolbox.nn import init
from jtoolbox.nn.functional.checks import warn_user
from jtoolbox.nn.functional.packing import host_integers
from jtoolbox.nn.functional.recurrence import CELLS
from jtoolbox.nn.functional.recurrent import Layout, recurrent
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter
from jtoolbox.nn.utils.rnn import PackedSequence
from jtoolbox.ops.creation import empty
from jtoolbox.ops.gathering import index_select
from jtoolbox.ops.shape import squeeze, unsqueeze
from jtoolbox.tensor import Tensor

__all__ = ["RNNBase"]

_DROPOUT = (
    "dropout should be a number in range [0, 1] representing the probability of an element being "
    "zeroed"
)
_USELESS_DROPOUT = (
    "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
    "num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}"
)
_DTYPES = (
    "RNN input dtype ({found}) does not match weight dtype ({weight}). Convert input: "
    "input.to({weight}), or convert model: model.to({found})"
)
_NEGATIVE = "proj_size should be a positive integer or zero to disable projections"


def _check_settings(input_size: Any, hidden_size: Any, num_layers: Any, proj_size: Any) -> None:
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero, got {size}")
    if num_layers <= 0:
        raise ValueError(f"num_layers must be greater than zero, got {num_layers}")
    if proj_size < 0:
        raise ValueError(f"{_NEGATIVE}, got {proj_size}")
    if proj_size >= hidden_size:
        raise ValueError(
            f"proj_size has to be smaller than hidden_size, got {proj_size} and {hidden_size}"
        )


def _check_flags(dropout: Any, num_layers: Any, bias: Any, batch_first: Any) -> None:
    number = isinstance(dropout, (int, float)) and not isinstance(dropout, bool)
    if not number or not 0 <= dropout <= 1:
        raise ValueError(f"{_DROPOUT}, got {dropout!r}")
    if dropout > 0 and num_layers == 1:
        warn_user(_USELESS_DROPOUT.format(dropout=dropout, num_layers=num_layers))
    for name, flag in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")


class RNNBase(Module):
    """What RNN, LSTM and GRU share: parameters, checks, and the call of the functional.

    `mode` is "RNN_TANH", "RNN_RELU", "LSTM" or "GRU". For each layer k, and with the suffix
    `_reverse` for the second direction, there are `weight_ih_l{k}` (gates * hidden_size, input),
    `weight_hh_l{k}` (gates * hidden_size, hidden), `bias_ih_l{k}` and `bias_hh_l{k}`
    (gates * hidden_size), and for a projected LSTM `weight_hr_l{k}` (proj_size, hidden_size). All
    start uniform within ±1/sqrt(hidden_size).
    """

    def __init__(
        self,
        mode: str,
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
        super().__init__()
        _check_flags(dropout, num_layers, bias, batch_first)
        _check_settings(input_size, hidden_size, num_layers, proj_size)
        if mode not in CELLS:
            raise ValueError(f"Unrecognized RNN mode: {mode}. Choose from {', '.join(CELLS)}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: 1 + bool(bidirectional)]:
                shapes = self._shapes(layer)
                self._all_weights.append([f"{name}_l{layer}{suffix}" for name in shapes])
                for name, shape in zip(self._all_weights[-1], shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """The shapes of one layer's parameters in one direction."""
        gates = CELLS[self.mode].rows * self.hidden_size
        size = self.proj_size or self.hidden_size
        features = size * (1 + bool(self.bidirectional)) if layer else self.input_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (gates, features),
            "weight_hh": (gates, size),
        }
        if self.bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    def reset_parameters(self) -> None:
        """Draws new values for all parameters."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: where weights lie in memory is the compiler's business."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        # Looked up at each call: functional_call and reparametrizations put others in their place.
        return [getattr(self, name) for name in self._flat_weights_names]

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raises unless the input has the weights' dtype, three dimensions (packed: two), and
        `input_size` features last."""
        weight = self._flat_weights[0]
        if input.dtype != weight.dtype and mode.autocast is None:
            raise ValueError(_DTYPES.format(found=input.dtype, weight=weight.dtype))
        expected = 3 if batch_sizes is None else 2
        if input.ndim != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.shape[-1]}"
            )

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape that the initial h must have."""
        if batch_sizes is not None:
            batch = int(host_integers(batch_sizes, "batch_sizes")[0])
        else:
            batch = input.shape[0 if self.batch_first else 1]
        runs = self.num_layers * (1 + bool(self.bidirectional))
        return runs, batch, self.proj_size or self.hidden_size

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """Raises RuntimeError unless a state has this shape."""
        if tuple(hx.shape) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raises where input and initial state do not fit the layer."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """A state with its sequences in another order."""
        return hx if permutation is None else _each(lambda s: index_select(s, 1, permutation), hx)

    def _check_ranks(self, input: Tensor, hx: Any) -> None:
        """The errors of an input that is no batch (3-d) and no sequence (2-d), and of its state."""
        rank = input.ndim
        if rank not in (2, 3):
            raise ValueError(
                f"{self._get_name()}: Expected input to be 2D or 3D, got {rank}D instead: shape "
                f"{list(input.shape)}"
            )
        many = isinstance(hx, tuple)
        found = None if hx is None else tuple(s.ndim for s in hx) if many else hx.ndim
        if found not in (None, rank, (rank, rank)):
            got = ", ".join(f"{r}-D" for r in found) if many else f"{found}-D"
            raise RuntimeError(
                f"For {'batched' if rank == 3 else 'unbatched'} {rank}-D input, "
                f"{'hx and cx' if many else 'hx'} should also be {rank}-D but got "
                f"{f'({got}) tensors' if many else f'{got} tensor'}"
            )

    def _network(self, input: Tensor, hx: Any, sizes: Tensor | None = None) -> tuple[Tensor, Any]:
        output, *states = recurrent(
            Layout(self.mode, self.num_layers, self.bias, self.bidirectional, self.batch_first),
            input,
            () if hx is None else hx if isinstance(hx, tuple) else (hx,),
            self._flat_weights,
            self.dropout if self.training else 0.0,
            sizes,
        )
        return output, tuple(states) if len(states) > 1 else states[0]

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, sizes, sorted_indices, unsorted_indices = input
        hx = self.permute_hidden(hx, sorted_indices)
        if self.mode != "LSTM":  # PyTorch's leaves these errors to the functional
            self._check(data, hx, sizes)
        output, hidden = self._network(data, hx, sizes)
        packed = PackedSequence(output, sizes, sorted_indices, unsorted_indices)
        return packed, self.permute_hidden(hidden, unsorted_indices)

    def _check(self, input: Tensor, hx: Any, sizes: Tensor | None) -> None:
        if hx is None:
            self.check_input(input, sizes)
        else:
            self.check_forward_args(input, hx, sizes)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """(output, final state), from the initial state `hx` or zeros."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        self._check_ranks(input, hx)
        if input.ndim == 3:
            self._check(input, hx, None)
            return self._network(input, hx)
        dim = 0 if self.batch_first else 1
        input, hx = unsqueeze(input, dim), _each(lambda s: unsqueeze(s, 1), hx)
        self._check(input, hx, None)
        output, hidden = self._network(input, hx)
        return squeeze(output, dim), _each(lambda s: squeeze(s, 1), hidden)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        shown = ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False)
        for name, default in (*shown, ("dropout", 0), ("bidirectional", False)):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


def _each(function: Callable[[Tensor], Tensor], hx: Any) -> Any:
    """A function of each tensor of a state: None, one tensor, or a tuple of them."""
    if hx is None:
        return None
    return tuple(map(function, hx)) if isinstance(hx, tuple) else function(hx)

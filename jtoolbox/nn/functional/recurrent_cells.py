"""One step of a recurrent network: the cells of `recurrence.py` on a single input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import require_float, type_name
from jtoolbox.nn.functional.recurrence import CELLS, Cell, advance, gates_of
from jtoolbox.nn.functional.recurrent_types import as_the_state

__all__ = ["cell", "gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell"]


def _check_types(x: Array, *others: Any) -> None:
    require_float("recurrent cell", x)
    for other in others:
        if other is not None and other.dtype != x.dtype:
            raise RuntimeError(
                f"mat1 and mat2 must have the same dtype, but got {type_name(x)} and "
                f"{type_name(other)}: convert the input or the cell with .to(dtype)"
            )


def _check(
    kind: Cell, x: Array, state: Sequence[Array], w_ih: Array, w_hh: Array, *biases: Any
) -> None:
    """The errors of an input (N, features), a state and parameters that do not fit together."""
    _check_types(x, *state, w_ih, w_hh, *biases)
    if x.shape[1] != w_ih.shape[1]:
        raise RuntimeError(
            f"input has inconsistent input_size: got {x.shape[1]} expected {w_ih.shape[1]}"
        )
    size = w_hh.shape[1]
    for name, w in (("weight_ih", w_ih), ("weight_hh", w_hh)):
        if w.shape[0] != kind.rows * size:
            raise RuntimeError(
                f"{name} first dim must be {kind.rows} * hidden_size = {kind.rows * size}, but "
                f"got {w.shape[0]}"
            )
    for i, s in enumerate(state):
        if s.ndim != 2 or s.shape[0] != x.shape[0]:
            raise RuntimeError(
                f"Input batch size {x.shape[0]} doesn't match hidden{i} batch size {s.shape[0]}: "
                f"the input has shape {list(x.shape)}, the hidden state {list(s.shape)}"
            )
        if s.shape[1] != size:
            raise RuntimeError(
                f"hidden{i} has inconsistent hidden_size: got {s.shape[1]}, expected {size}"
            )
    for bias in (b for b in biases if b is not None):
        if tuple(bias.shape) != (kind.rows * size,):
            raise RuntimeError(
                f"bias should have {kind.rows} * hidden_size = {kind.rows * size} elements, got "
                f"shape {list(bias.shape)}"
            )


@op(name="recurrent_cell")
def _cell(
    input: Array,
    state: Sequence[Array],
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    mode: str,
) -> tuple[Array, ...]:
    """One step of a cell ("LSTM", "GRU", "RNN_TANH", "RNN_RELU"): its new state, h first.

    Shapes: input (N, features), each state (N, hidden_size); without states they are zero. An
    input (features) goes with states (hidden_size). Raises RuntimeError where shapes do not fit.
    """
    kind, x = CELLS[mode], jnp.asarray(input)
    state = tuple(jnp.asarray(s) for s in state)
    single = x.ndim == 1
    if single:
        x, state = x[None], tuple(s[None] for s in state)
    _check(kind, x, state, w_ih, w_hh, b_ih, b_hh)
    state = state or (jnp.zeros((x.shape[0], w_hh.shape[1]), x.dtype),) * kind.states
    new, _ = advance(kind, gates_of(kind, x, w_ih, b_ih, b_hh), state, jnp.asarray(w_hh))
    return tuple(s[0] for s in new) if single else new


def cell(
    input: Array,
    state: Sequence[Array],
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    mode: str,
) -> tuple[Array, ...]:
    """One step of a cell, whose results have PyTorch's types under autocast too."""
    new = _cell(input, state, w_ih, w_hh, b_ih, b_hh, mode)
    return as_the_state(new, (0, 1) if mode in ("LSTM", "GRU") else (), input, state)


def _batch(input: Any, w_ih: Any) -> Any:
    if input.ndim != 2:
        raise IndexError(
            f"a cell takes a batch (N, {w_ih.shape[1]}), got an input of shape "
            f"{list(input.shape)}; give a single input as input.unsqueeze(0)"
        )
    return input


def lstm_cell(
    input: Array,
    hx: Sequence[Array],
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
) -> tuple[Array, Array]:
    """One step of a long short-term memory: (h', c') from hx = (h, c).

    i, f, o = sigmoid(...) and g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh; c' = f c + i g,
    h' = o tanh(c'). Shapes: input (N, features), h and c (N, hidden_size), w_ih (4 * hidden_size,
    features), w_hh (4 * hidden_size, hidden_size), biases (4 * hidden_size). Raises RuntimeError
    where they do not fit. Paper: Long Short-Term Memory
    (https://www.bioinf.jku.at/publications/older/2604.pdf).
    """
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states, h and c; got {len(hx)}")
    h, c = cell(_batch(input, w_ih), tuple(hx), w_ih, w_hh, b_ih, b_hh, "LSTM")
    return h, c


def gru_cell(
    input: Array,
    hx: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
) -> Array:
    """One step of a gated recurrent unit: h' = (1 - z) n + z h.

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_in x + b_in + r (W_hn h + b_hn)).
    Shapes: input (N, features), hx (N, hidden_size), w_ih (3 * hidden_size, features), w_hh
    (3 * hidden_size, hidden_size), biases (3 * hidden_size). Raises RuntimeError where they do not
    fit. Paper: Learning Phrase Representations using RNN Encoder-Decoder
    (https://arxiv.org/abs/1406.1078).
    """
    return cell(_batch(input, w_ih), (hx,), w_ih, w_hh, b_ih, b_hh, "GRU")[0]


def rnn_tanh_cell(
    input: Array,
    hx: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
) -> Array:
    """One step of a simple recurrent network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Shapes: input (N, features), hx (N, hidden_size), w_ih (hidden_size, features), w_hh
    (hidden_size, hidden_size), biases (hidden_size). Raises RuntimeError where they do not fit.
    """
    return cell(_batch(input, w_ih), (hx,), w_ih, w_hh, b_ih, b_hh, "RNN_TANH")[0]


def rnn_relu_cell(
    input: Array,
    hx: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
) -> Array:
    """As `rnn_tanh_cell`, with max(0, ...) in place of tanh."""
    return cell(_batch(input, w_ih), (hx,), w_ih, w_hh, b_ih, b_hh, "RNN_RELU")[0]

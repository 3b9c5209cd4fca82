"""Recurrent networks over whole sequences, under their names in the torch namespace.

`recurrent_network.py` stacks the layers, `recurrence.py` has the cells and the scan, `packing.py`
the sequences of different lengths, `recurrent_cells.py` single steps.
"""

from __future__ import annotations

from typing import Any

from jtoolbox.engine import Array
from jtoolbox.nn.functional.recurrent_network import Layout, recurrent

__all__ = ["gru", "lstm", "rnn_relu", "rnn_tanh"]

_SETTINGS = ("params", "has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", "hx", *_SETTINGS, "batch_first")
_PACKED = ("data", "batch_sizes", "hx", *_SETTINGS)
_ARGUMENTS = (
    "{name}() received an invalid combination of arguments. It takes ({padded}) for a padded batch "
    "and ({packed}) for a packed one"
)


def _call(mode: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The function of the torch namespace: both of its signatures."""
    packed = "batch_sizes" in kwargs or (len(args) > 3 and isinstance(args[3], (tuple, list)))
    names = _PACKED if packed else _PADDED
    given: dict[str, Any] = dict(zip(names, args, strict=False))
    if len(args) > len(names) or given.keys() & kwargs or {*given, *kwargs} != {*names}:
        raise TypeError(
            _ARGUMENTS.format(
                name=mode.lower(), padded=", ".join(_PADDED), packed=", ".join(_PACKED)
            )
        )
    given.update(kwargs)
    data = given["data" if packed else "input"]
    wanted = 2 if packed else 3
    if data.ndim != wanted:
        raise RuntimeError(f"input must have {wanted} dimensions, got {data.ndim}")
    hx = given["hx"]
    if mode == "LSTM" and len(hx) != 2:
        raise RuntimeError(f"lstm expects two hidden states, h and c; got {len(hx)}")
    layout = Layout(
        mode,
        given["num_layers"],
        given["has_biases"],
        given["bidirectional"],
        given.get("batch_first", False),
    )
    dropout = float(given["dropout"]) if given["train"] else 0.0
    state = tuple(hx) if mode == "LSTM" else (hx,)
    return recurrent(layout, data, state, given["params"], dropout, given.get("batch_sizes"))


def lstm(*args: Any, **kwargs: Any) -> tuple[Array, Array, Array]:
    """A long short-term memory over sequences: (output, h_n, c_n).

    Called as `lstm(input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
    batch_first)`, or for packed sequences `lstm(data, batch_sizes, hx, params, has_biases,
    num_layers, dropout, train, bidirectional)`; no argument has a default. i, f, o = sigmoid(...)
    and g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh, c' = f c + i g, h' = o tanh(c'), projected
    by W_hr where `params` has it.

    Shapes: input (T, N, features), or (N, T, features) if `batch_first`; hx is (h, c), each
    (num_layers * directions, N, size); output (T, N, directions * size). `params` are those of each
    layer and direction in order: weight_ih, weight_hh, bias_ih, bias_hh, weight_hr. Raises
    RuntimeError where shapes do not fit, TypeError for other arguments. Paper: Long Short-Term
    Memory (https://www.bioinf.jku.at/publications/older/2604.pdf).
    """
    output, h, c = _call("LSTM", args, kwargs)
    return output, h, c


def gru(*args: Any, **kwargs: Any) -> tuple[Array, Array]:
    """A gated recurrent unit over sequences: (output, h_n).

    The arguments are those of `lstm`, in both forms, with one tensor h as `hx` and no projection.
    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_in x + b_in + r (W_hn h + b_hn)),
    h' = (1 - z) n + z h. Raises RuntimeError where shapes do not fit. Paper: Learning Phrase
    Representations using RNN Encoder-Decoder (https://arxiv.org/abs/1406.1078), with r applied
    after the product with W_hn, as in PyTorch.
    """
    output, h = _call("GRU", args, kwargs)
    return output, h


def rnn_tanh(*args: Any, **kwargs: Any) -> tuple[Array, Array]:
    """A simple recurrent network over sequences, h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Arguments and results are those of `gru`. Paper: Finding Structure in Time
    (https://doi.org/10.1207/s15516709cog1402_1).
    """
    output, h = _call("RNN_TANH", args, kwargs)
    return output, h


def rnn_relu(*args: Any, **kwargs: Any) -> tuple[Array, Array]:
    """As `rnn_tanh`, with max(0, ...) in place of tanh.

    Paper: A Simple Way to Initialize Recurrent Networks of Rectified Linear Units
    (https://arxiv.org/abs/1504.00941).
    """
    output, h = _call("RNN_RELU", args, kwargs)
    return output, h

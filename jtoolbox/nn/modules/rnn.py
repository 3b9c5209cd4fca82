"""PyTorch's `nn.modules.rnn`: the names that programs import from there."""

from jtoolbox.nn.rnn import GRU, LSTM, RNN
from jtoolbox.nn.rnn_base import RNNBase
from jtoolbox.nn.rnn_cell import GRUCell, LSTMCell, RNNCell, RNNCellBase

__all__ = [
    "GRU",
    "GRUCell",
    "LSTM",
    "LSTMCell",
    "RNN",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
]

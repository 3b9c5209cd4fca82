"""Recurrent networks over whole sequences: layers stacked, in one or both directions of time.

`recurrence.py` has the cells and the scan, `packing.py` the sequences of different lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, Key, op
from jtoolbox.nn.functional.checks import require_float, type_name
from jtoolbox.nn.functional.dropout import dropped
from jtoolbox.nn.functional.packing import beside, host_integers, take_places, take_rows
from jtoolbox.nn.functional.packing import places as places_of
from jtoolbox.nn.functional.packing import rows as rows_of
from jtoolbox.nn.functional.recurrence import CELLS, Cell, gates_of, recurrence
from jtoolbox.nn.functional.recurrent_types import as_the_state

__all__ = ["Layout", "recurrent"]

_WRONG_SHAPE = "Expected {name} size {expected}, got {found}"
_PARAMETERS = (
    "a network of {layers} layers in {directions} direction(s), bias={bias}, has {expected} "
    "parameters, got {found}: for each layer and direction weight_ih, weight_hh{names}"
)
_EMPTY = "Expected sequence length to be larger than 0 in RNN, got an input of shape {shape}"
_DTYPES = (
    "mat1 and mat2 must have the same dtype, but got {x} and {other}: the input, the hidden state "
    "and the parameters of a recurrent network need one type; convert with .to(dtype)"
)

_SIZES = (
    "batch_sizes must be positive, must not grow, and must add up to the rows of the packed input: "
    "got {sizes} for an input of shape {shape}"
)


@dataclass(frozen=True)
class Layout:
    """How a network is put together: its cell and how often, in which directions it occurs."""

    mode: str
    num_layers: int
    bias: bool
    bidirectional: bool
    batch_first: bool = False

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1


class Parameters(NamedTuple):
    """What one layer has for one direction; PyTorch's names."""

    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None
    w_hr: Array | None

    @property
    def output_size(self) -> int:
        """The size of h: that of the projection if there is one."""
        return self.w_hh.shape[1]


def _grouped(layout: Layout, params: Sequence[Array]) -> list[Parameters]:
    """The flat list of parameters by layer and direction. RuntimeError if it has another length."""
    runs = layout.num_layers * layout.directions
    size, rest = divmod(len(params), max(runs, 1))
    least = 4 if layout.bias else 2
    if rest or size - least not in ((0, 1) if layout.mode == "LSTM" else (0,)):
        raise RuntimeError(
            _PARAMETERS.format(
                layers=layout.num_layers,
                directions=layout.directions,
                bias=layout.bias,
                expected=runs * least,
                found=len(params),
                names=", bias_ih, bias_hh" if layout.bias else "",
            )
        )
    groups = [params[i * size : (i + 1) * size] for i in range(runs)]
    none = () if layout.bias else (None, None)
    return [Parameters(*g[:2], *none, *g[2:], *(None,) * (least == size)) for g in groups]


def _require_shape(name: str, found: Array, expected: tuple[int, ...]) -> None:
    if tuple(found.shape) != expected:
        raise RuntimeError(
            _WRONG_SHAPE.format(name=name, expected=expected, found=list(found.shape))
        )


def _check(layout: Layout, x: Array, state: Sequence[Array], groups: list[Parameters]) -> None:
    """The errors of an input (T, N, features), a state and parameters that do not fit together."""
    require_float(layout.mode.lower(), x)
    for other in (*state, *(p for group in groups for p in group if p is not None)):
        if other.dtype != x.dtype:
            raise RuntimeError(_DTYPES.format(x=type_name(x), other=type_name(other)))
    first, rows = groups[0], CELLS[layout.mode].rows
    if first.w_ih.shape[1] != x.shape[2]:
        raise RuntimeError(
            f"input.size(-1) must be equal to input_size. Expected {first.w_ih.shape[1]}, got "
            f"{x.shape[2]}"
        )
    if not x.shape[0]:
        raise RuntimeError(_EMPTY.format(shape=list(x.shape)))
    gates, size = first.w_hh.shape
    sizes = (size, gates // rows)
    for i, s in enumerate(state):
        name = f"hidden[{i}]" if len(state) > 1 else "hidden"
        _require_shape(name, s, (len(groups), x.shape[1], sizes[i]))
    for i, group in enumerate(groups):
        features = x.shape[2] if i < layout.directions else size * layout.directions
        _require_shape("weight_ih", group.w_ih, (gates, features))
        _require_shape("weight_hh", group.w_hh, (gates, size))
        for bias in (b for b in (group.b_ih, group.b_hh) if b is not None):
            _require_shape("bias", bias, (gates,))
        if group.w_hr is not None:
            _require_shape("weight_hr", group.w_hr, sizes)
        elif gates != rows * size:
            raise RuntimeError(
                f"weight_hh should have {rows} * hidden_size rows and hidden_size columns, got "
                f"{list(group.w_hh.shape)}"
            )


def _zeros(cell: Cell, x: Array, groups: list[Parameters]) -> tuple[Array, ...]:
    """The initial state where none is given: h, for an LSTM also c."""
    gates, size = groups[0].w_hh.shape
    return tuple(
        jnp.zeros((len(groups), x.shape[1], n), x.dtype)
        for n in (size, gates // cell.rows)[: cell.states]
    )


def _stacked(
    layout: Layout,
    x: Array,
    state: Sequence[Array],
    groups: list[Parameters],
    mask: Array | None,
    drop: Callable[[Array, int], Array] | None,
) -> tuple[Array, ...]:
    """All layers over (T, N, features): the last outputs, and the final states of each."""
    cell, finals = CELLS[layout.mode], []
    for layer in range(layout.num_layers):
        if layer and drop is not None:
            x = drop(x, layer)
        outputs = []
        for backwards in range(layout.directions):
            run = layer * layout.directions + backwards
            w_ih, w_hh, b_ih, b_hh, w_hr = groups[run]
            begin = tuple(s[run] for s in state)
            z = gates_of(cell, x, w_ih, b_ih, b_hh)
            y, final = recurrence(cell, bool(backwards), z, begin, (w_hh, w_hr), mask)
            outputs.append(y)
            finals.append(final)
        x = outputs[0] if len(outputs) == 1 else jnp.concatenate(outputs, -1)
    return x, *(jnp.stack(s) for s in zip(*finals, strict=True))


def _network(
    layout: Layout,
    input: Array,
    state: Sequence[Array],
    params: Sequence[Array],
    rows: Array | None,
    places: Array | None,
    drop: Callable[[Array, int], Array] | None = None,
) -> tuple[Array, ...]:
    """Brings the input to (T, N, features), runs the layers, and brings the output back."""
    x, groups = jnp.asarray(input), _grouped(layout, [jnp.asarray(p) for p in params])
    state = tuple(jnp.asarray(s) for s in state)
    mask = None
    if rows is not None:
        mask = (jnp.asarray(rows) < x.shape[0])[..., None]
        x = take_rows(x, rows)
    elif layout.batch_first:
        x = x.swapaxes(0, 1)
    _check(layout, x, state, groups)
    state = state or _zeros(CELLS[layout.mode], x, groups)
    y, *finals = _stacked(layout, x, state, groups, mask, drop)
    if places is not None:
        return take_places(y, places), *finals
    return y.swapaxes(0, 1) if layout.batch_first else y, *finals


@op(name="recurrent")
def _recurrent(
    input: Array,
    state: Sequence[Array],
    params: Sequence[Array],
    rows: Array | None,
    places: Array | None,
    layout: Layout,
) -> tuple[Array, ...]:
    return _network(layout, input, state, params, rows, places)


@op(name="recurrent")
def _recurrent_dropout(
    input: Array,
    state: Sequence[Array],
    params: Sequence[Array],
    rows: Array | None,
    places: Array | None,
    layout: Layout,
    p: Array,
    key: Key = None,
) -> tuple[Array, ...]:
    """The network with dropout between its layers, from one key: its seed differs by layer."""
    words = jnp.asarray(key, jnp.uint32)

    def drop(x: Array, layer: int) -> Array:
        salt = np.array([layer * 0x9E3779B9 & 0xFFFFFFFF, 0], np.uint32)
        return dropped(x, p, x.shape, words ^ salt)

    return _network(layout, input, state, params, rows, places, drop)


def recurrent(
    layout: Layout,
    input: Array,
    state: Sequence[Array],
    params: Sequence[Array],
    dropout: float = 0.0,
    sizes: Array | None = None,
) -> tuple[Array, ...]:
    """Runs a recurrent network: (output, h_n), and c_n for an LSTM.

    Shapes: input (T, N, features), (N, T, features) with `layout.batch_first`, or with `sizes`, the
    number of sequences at each step, packed (sum(sizes), features). The
    state is h (layers * directions, N, size), for an LSTM also c, or empty for zeros. `dropout` is
    the probability to drop outputs between layers. Raises RuntimeError where shapes do not fit.
    """
    if not 0 <= dropout <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout}")
    rows = places = None
    if sizes is not None:
        host = host_integers(sizes, "batch_sizes")
        whole = host.ndim == 1 and host.size and host.sum() == input.shape[0]
        if not whole or host.min() <= 0 or np.any(np.diff(host) > 0):
            raise RuntimeError(_SIZES.format(sizes=host.tolist(), shape=list(input.shape)))
        rows, places = beside(input, rows_of(host)), beside(input, places_of(host))
    state, params = tuple(state), tuple(params)
    if dropout and layout.num_layers > 1:
        results = _recurrent_dropout(input, state, params, rows, places, layout, dropout)
    else:
        results = _recurrent(input, state, params, rows, places, layout)
    return as_the_state(results, _kept(layout, len(params)), input, state)


def _kept(layout: Layout, parameters: int) -> tuple[int, ...]:
    """Which results take the state's type under autocast: a GRU's, and c beside a projection."""
    if layout.mode == "GRU":
        return (0, 1)
    runs = layout.num_layers * (1 + bool(layout.bidirectional))
    projected = parameters == runs * (3 + 2 * bool(layout.bias))
    return (2,) if layout.mode == "LSTM" and projected else ()

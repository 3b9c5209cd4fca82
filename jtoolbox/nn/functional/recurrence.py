"""Recurrences over time: the formula of each cell, and the one scan that all of them run in.

NOTE: the derivative of the scan is written out, as a rule for tangents, so that it serves reverse
mode, forward mode and second order. Two things make it fast. Each step saves the factors by which
the derivatives of a cell are multiplied, and the backward pass computes no activation again. And
the product with the tangent of a weight is formed for all steps at once, outside the scan: so the
gradient of a weight is one product over all steps, where the plain scan would add up one for each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jtoolbox.engine import Array

__all__ = ["CELLS", "Cell", "advance", "gates_of", "product", "recurrence"]

State = tuple[Array, ...]


class Cell(NamedTuple):
    """What distinguishes the kinds of recurrent networks; hashable, so that it can be static.

    `step(z, state)` gives the new state, h first, and the factors of its derivative; `tangent`
    applies those to a tangent of z and one of the state. z holds the pre-activations of all gates,
    `add(z, hidden)` adds what comes from the hidden state. Weights have `rows` blocks of
    hidden_size rows; `widen` makes room in z where the hidden part needs a place of its own.
    """

    rows: int
    states: int
    step: Callable[[Array, State], tuple[State, State]]
    tangent: Callable[[State, Array, State], State]
    add: Callable[[Array, Array], Array]
    widen: Callable[[Array], Array]


# --- the cells -----------------------------------------------------------------------------------


def _lstm_step(z: Array, state: State) -> tuple[State, State]:
    _, c = state
    i, f, g, o = jnp.split(z, 4, -1)
    i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
    c_next = f * c + i * g
    t = jnp.tanh(c_next)
    by_gate = (g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o))
    return (o * t, c_next), (*by_gate, f, o * (1 - t * t))


def _lstm_tangent(factors: State, dz: Array, d_state: State) -> State:
    by_i, by_f, by_g, by_o, f, by_c = factors
    di, df, dg, do = jnp.split(dz, 4, -1)
    dc = by_i * di + by_f * df + by_g * dg + f * d_state[1]
    return by_o * do + by_c * dc, dc


def _gru_step(z: Array, state: State) -> tuple[State, State]:
    (h,) = state
    r, u, x, q = jnp.split(z, 4, -1)
    r, u = jax.nn.sigmoid(r), jax.nn.sigmoid(u)
    n = jnp.tanh(x + r * q)
    by_x = (1 - u) * (1 - n * n)
    by_gate = (by_x * q * r * (1 - r), (h - n) * u * (1 - u), by_x, by_x * r)
    return ((1 - u) * n + u * h,), (*by_gate, u)


def _gru_tangent(factors: State, dz: Array, d_state: State) -> State:
    by_r, by_u, by_x, by_q, u = factors
    dr, du, dx, dq = jnp.split(dz, 4, -1)
    return (by_r * dr + by_u * du + by_x * dx + by_q * dq + u * d_state[0],)


def _gru_add(z: Array, hidden: Array) -> Array:
    """Adds to the gates r and u; the third part of the hidden state's share is kept apart, as q."""
    size = hidden.shape[-1] // 3
    gates, x, q = jnp.split(z, (2 * size, 3 * size), -1)
    rows, last = jnp.split(hidden, (2 * size,), -1)
    return jnp.concatenate([gates + rows, x, q + last], -1)


def _gru_widen(z: Array) -> Array:
    size = z.shape[-1] // 3
    return jnp.pad(z, [(0, 0)] * (z.ndim - 1) + [(0, size)])


def _tanh_step(z: Array, state: State) -> tuple[State, State]:
    h = jnp.tanh(z)
    return (h,), (1 - h * h,)


def _relu_step(z: Array, state: State) -> tuple[State, State]:
    return (jnp.maximum(z, 0),), ((z > 0).astype(z.dtype),)


def _rnn_tangent(factors: State, dz: Array, d_state: State) -> State:
    return (factors[0] * dz,)


def _same(z: Array) -> Array:
    return z


CELLS = {
    "LSTM": Cell(4, 2, _lstm_step, _lstm_tangent, jnp.add, _same),
    "GRU": Cell(3, 1, _gru_step, _gru_tangent, _gru_add, _gru_widen),
    "RNN_TANH": Cell(1, 1, _tanh_step, _rnn_tangent, jnp.add, _same),
    "RNN_RELU": Cell(1, 1, _relu_step, _rnn_tangent, jnp.add, _same),
}


# --- one step, and all of them -------------------------------------------------------------------


def product(x: Array, weight: Array) -> Array:
    """x Wᵀ over the last dimension."""
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))


def gates_of(cell: Cell, x: Array, w_ih: Array, b_ih: Any, b_hh: Any) -> Array:
    """What inputs (and both biases) contribute to the gates, for any leading dimensions of x."""
    z = product(x, w_ih)
    z = cell.widen(z if b_ih is None else z + b_ih)
    return z if b_hh is None else cell.add(z, b_hh)


def advance(cell: Cell, z: Array, state: State, w_hh: Array) -> tuple[State, State]:
    """One step from a state: the new state (not yet projected), and the factors."""
    return cell.step(cell.add(z, product(state[0], w_hh)), state)


def _kept(mask: Any, new: State, old: State) -> State:
    """The new state where a sequence goes on, else the old one."""
    if mask is None:
        return new
    return tuple(jnp.where(mask, n, o) for n, o in zip(new, old, strict=True))


def _scan(cell: Cell, reverse: bool, z: Array, state: State, weights: Any, mask: Any, save: bool):
    """Outputs (T, N, H), the final state, and if asked what the derivative needs of each step."""
    w_hh, w_hr = weights

    def step(state: State, x: Any) -> Any:
        z, mask = x
        new, factors = advance(cell, z, state, w_hh)
        whole = new[0]
        if w_hr is not None:
            new = (product(whole, w_hr), *new[1:])
        new = _kept(mask, new, state)
        return new, (new[0], (factors, None if w_hr is None else whole) if save else None)

    final, (outputs, saved) = lax.scan(step, state, (z, mask), reverse=reverse)
    return outputs, final, saved


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def recurrence(
    cell: Cell, reverse: bool, z: Array, state: State, weights: tuple[Array, Any], mask: Any
) -> tuple[Array, State]:
    """Runs a cell over time: the hidden states of all steps, and the final state.

    z (T, N, gates) is what inputs and biases contribute, `state` the initial h (and c) (N, H),
    `weights` the matrix W_hh and the projection W_hr or None, `mask` (T, N, 1) is False where a
    sequence has ended (or, in reverse, not begun) and keeps its state, or None.
    """
    outputs, final, _ = _scan(cell, reverse, z, state, weights, mask, False)
    return outputs, final


@recurrence.defjvp
def _recurrence_tangent(cell: Cell, reverse: bool, primals: Any, tangents: Any) -> Any:
    z, state, weights, mask = primals
    dz, d_state, (dw_hh, dw_hr), _ = tangents
    outputs, final, (factors, whole) = _scan(cell, reverse, z, state, weights, mask, True)
    w_hh, w_hr = weights
    first = state[0][None]
    before = [outputs[1:], first] if reverse else [first, outputs[:-1]]
    dz = cell.add(dz, product(jnp.concatenate(before), dw_hh))
    projected = None if w_hr is None else product(whole, dw_hr)

    def step(d_state: State, x: Any) -> Any:
        factors, dz, projected, mask = x
        new = cell.tangent(factors, cell.add(dz, product(d_state[0], w_hh)), d_state)
        if w_hr is not None:
            new = (product(new[0], w_hr) + projected, *new[1:])
        if mask is not None:
            new = _kept(mask, new, d_state)
        return new, new[0]

    d_final, d_outputs = lax.scan(step, d_state, (factors, dz, projected, mask), reverse=reverse)
    return (outputs, final), (d_outputs, d_final)

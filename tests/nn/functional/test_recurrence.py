"""The derivative written out for the scan: against JAX's own, once and twice, in both modes."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jtoolbox.nn.functional.recurrence import CELLS, recurrence

SIZES = (3, 2, 4)  # steps, sequences, hidden_size


def operands(mode: str, projected: bool = False, masked: bool = False) -> tuple[Any, ...]:
    steps, batch, size = SIZES
    cell, out = CELLS[mode], 3 if projected else size
    rng = np.random.default_rng(3)
    gates = 4 * size if mode == "GRU" else cell.rows * size
    z = rng.standard_normal((steps, batch, gates))
    state = tuple(rng.standard_normal((batch, n)) for n in (out, size)[: cell.states])
    w_hh = rng.standard_normal((cell.rows * size, out))
    w_hr = rng.standard_normal((out, size)) if projected else None
    mask = np.array([[True, True], [True, False], [True, False]])[..., None] if masked else None
    return z, state, (w_hh, w_hr), mask


def plain(cell: Any, reverse: bool, z: Any, state: Any, weights: Any, mask: Any) -> Any:
    """The recurrence with nothing but its formula, for JAX to differentiate."""
    w_hh, w_hr = weights

    def step(state: Any, x: Any) -> Any:
        z, mask = x
        new, _ = cell.step(cell.add(z, state[0] @ w_hh.T), state)
        if w_hr is not None:
            new = (new[0] @ w_hr.T, *new[1:])
        if mask is not None:
            new = tuple(jnp.where(mask, n, s) for n, s in zip(new, state, strict=True))
        return new, new[0]

    final, outputs = jax.lax.scan(step, state, (z, mask), reverse=reverse)
    return outputs, final


def weighted(function: Any, mask: Any, z: Any, state: Any, weights: Any) -> Any:
    """One number that depends on every output and on the final state."""
    outputs, final = function(z, state, weights, mask)
    return jnp.sum(jnp.sin(outputs)) + sum(jnp.sum(jnp.cos(2 * s)) for s in final)


def close(found: Any, expected: Any) -> None:
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9), found, expected
    )


CASES = [
    ("LSTM", False, {}),
    ("LSTM", True, {"projected": True, "masked": True}),
    ("GRU", False, {"masked": True}),
    ("RNN_TANH", True, {}),
    ("RNN_RELU", False, {}),
]


@jax.jit(static_argnums=0)
def derivatives(loss: Any, primals: Any, tangents: Any) -> Any:
    """The gradient; value and tangent in forward mode; and the gradient of the gradient's size."""
    gradient = jax.grad(loss, (0, 1, 2))

    def size(*primals: Any) -> Any:
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient(*primals)))

    return gradient(*primals), jax.jvp(loss, primals, tangents), jax.grad(size, (0, 1, 2))(*primals)


@pytest.mark.parametrize(("mode", "reverse", "more"), CASES)
def test_the_derivatives_are_those_of_the_plain_loop(mode, reverse, more) -> None:
    with jax.enable_x64(True):
        z, state, weights, mask = operands(mode, **more)
        primals = jax.tree.map(jnp.asarray, (z, state, weights))
        tangents = jax.tree.map(jnp.cos, primals)
        found, expected = (
            derivatives(
                functools.partial(weighted, functools.partial(f, CELLS[mode], reverse), mask),
                primals,
                tangents,
            )
            for f in (recurrence, plain)
        )
        close(found, expected)


def test_the_backward_pass_forms_each_weight_gradient_as_one_product() -> None:
    z, state, weights, mask = jax.tree.map(np.float32, operands("LSTM"))

    def loss(weights: Any) -> Any:
        return weighted(
            functools.partial(recurrence, CELLS["LSTM"], False), mask, z, state, weights
        )

    program = jax.make_jaxpr(jax.grad(loss))(weights)
    scans = [e for e in program.eqns if e.primitive.name == "scan"]
    assert len(scans) == 2
    carried = [v.aval.shape for e in scans for v in e.outvars]
    assert weights[0].shape not in carried
    inside = [v.aval.shape for e in scans for i in e.params["jaxpr"].eqns for v in i.outvars]
    assert weights[0].shape not in inside


def test_vmap_maps_over_sequences() -> None:
    z, state, weights, _ = jax.tree.map(np.float32, operands("GRU"))
    whole = recurrence(CELLS["GRU"], False, z, state, weights, None)
    each = jax.vmap(
        lambda z, s: recurrence(CELLS["GRU"], False, z[:, None], (s[None],), weights, None),
        in_axes=(1, 0),
        out_axes=1,
    )(z, state[0])
    np.testing.assert_allclose(each[0][:, :, 0], whole[0], rtol=1e-6)

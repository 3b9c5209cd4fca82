"""Programs with channels last inside: the same values, without transposing in between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

import jtoolbox as jt
from jtoolbox.engine import compile, layouts
from jtoolbox.engine.jaxprs import flat
from jtoolbox.engine.layouts import channels_last

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(2, 3, 4, 6)).astype("f"))
W = jnp.asarray(RNG.normal(size=(5, 3, 3, 3)).astype("f"))
OTHER = jnp.asarray(RNG.normal(size=(2, 5, 4, 6)).astype("f"))
ROWS = jnp.asarray(RNG.normal(size=(7, 5)).astype("f"))
CHANNEL = jnp.arange(5.0)[:, None, None]


def convolved(x, w=W):
    return lax.conv_general_dilated(x, w, (1, 1), ((1, 1), (1, 1)))


def transposes(function, *args):
    """How many arrays of the size of an image are transposed."""
    lines = str(jax.make_jaxpr(function)(*args)).splitlines()
    return sum(" = transpose[" in line and "permutation=()" not in line and (
        ",4,6]" in line or ",6,3]" in line or ",6,5]" in line) for line in lines)  # fmt: skip


@jax.custom_jvp
def doubled(x):
    return 2 * x


doubled.defjvp(lambda primals, tangents: (doubled(*primals), 2 * tangents[0]))

AFTER_A_CONVOLUTION = {
    "elementwise": lambda y: jnp.tanh(y) * 2 + jnp.maximum(y, 0) - y**2,
    "broadcast": lambda y: y * CHANNEL + 1,
    "compared": lambda y: jnp.where(y > 0, y, CHANNEL),
    "cast": lambda y: y.astype(jnp.bfloat16),
    "with an argument": lambda y: y + OTHER,
    "channel sums": lambda y: y.sum((0, 2, 3)),
    "row sums": lambda y: y.sum(3),
    "sample sums": lambda y: y.sum(0),
    "over channels": lambda y: y.max(1),
    "kept": lambda y: y - y.mean((0, 2, 3), keepdims=True),
    "softmax": lambda y: jax.nn.softmax(y, 1),
    "argmax": lambda y: y.argmax(1),
    "any": lambda y: (y > 2).any((1, 2)),
    "product": lambda y: (y / 4).prod(2),
    "flattened": lambda y: y.reshape(2, -1),
    "split": lambda y: y.reshape(2, 5, 2, 2, 3, 2).max((3, 5)),
    "merged": lambda y: y.reshape(10, 24),
    "places merged": lambda y: y.reshape(2, 5, 24).sum(1),
    "ones": lambda y: y.mean((2, 3), keepdims=True).reshape(2, 5),
    "squeezed": lambda y: y[:, :, :1].squeeze(2),
    "expanded": lambda y: y[:, :, None] * 2,
    "transposed": lambda y: jnp.transpose(y, (1, 0, 3, 2)),
    "last": lambda y: jnp.moveaxis(y, 1, -1) @ ROWS.T,
    "padded": lambda y: lax.pad(y, 0.0, ((0, 0, 0), (1, 0, 0), (2, -1, 1), (0, 3, 0))),
    "sliced": lambda y: y[:, 1:, ::2, 1:5],
    "reversed": lambda y: y[:, ::-1, :, ::-1],
    "joined": lambda y: jnp.concatenate([y, y * 2, OTHER], 1),
    "joined alone": lambda y: jnp.concatenate([y, y * 2], 2),
    "rows": lambda y: jnp.einsum("nchw,oc->nohw", y, ROWS),
    "attention": lambda y: jnp.einsum("nchw,ncij->nhwij", y, y),
    "batched": lambda y: y @ jnp.swapaxes(y, 2, 3),
    "window maximum": lambda y: lax.reduce_window(y, -jnp.inf, lax.max, (1, 1, 2, 3), (1, 1, 2, 1),
                                                  ((0, 0), (0, 0), (1, 0), (0, 2))),
    "window sum": lambda y: lax.reduce_window(y, 0.0, lax.add, (1, 2, 2, 1), (1, 1, 1, 2), "VALID"),
    "chosen": lambda y: lax.cond(y[0, 0, 0, 0] > 0, lambda v: v, lambda v: -v, y),
    "chosen sums": lambda y: lax.cond(y[0, 0, 0, 0] > 0, lambda v: v.sum(1), lambda v: v[:, 0], y),
    "barrier": lambda y: sum(lax.optimization_barrier((y, y * 2))),
    "own derivative": lambda y: doubled(y) + jax.nn.relu(y),
    "again": lambda y: lax.conv_general_dilated(y, W.swapaxes(0, 1), (2, 1), ((1, 0), (1, 1)),
                                                rhs_dilation=(1, 2)),
    "groups": lambda y: lax.conv_general_dilated(y, W[:, :1], (1, 1), "SAME",
                                                 feature_group_count=5),
    "channels given last": lambda y: lax.conv_general_dilated(
        jnp.moveaxis(y, 1, -1), W.swapaxes(0, 1).T, (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC")),
    "sorted": lambda y: jnp.sort(y, 1),
    "running sums": lambda y: jnp.cumsum(y, 2),
    "gathered": lambda y: y[jnp.array([1, 0]), :, jnp.array([2, 3])],
    "loop": lambda y: lax.fori_loop(0, 3, lambda _, v: v * 1.5, y),
    "several": lambda y: (y, y.sum(), {"a": y[0]}),
}  # fmt: skip


def values(x, w):
    return {name: after(convolved(x, w)) for name, after in AFTER_A_CONVOLUTION.items()}


def gradients(x, w):
    def loss(x, w, name):
        y = AFTER_A_CONVOLUTION[name](convolved(x, w)).astype(jnp.float32)
        return (y * jnp.cos(jnp.arange(y.size).reshape(y.shape))).sum()

    names = [n for n in AFTER_A_CONVOLUTION if n not in ("argmax", "any", "several")]
    return {name: jax.grad(loss, (0, 1))(x, w, name) for name in names}


@pytest.fixture(scope="module")
def results():
    """What the program gives and what it gives with channels last, of all cases at once."""
    both = [(jax.jit(f)(X, W), jax.jit(channels_last(f))(X, W)) for f in (values, gradients)]
    return dict(zip((values, gradients), both, strict=True))


@pytest.mark.parametrize("function", [values, gradients])
@pytest.mark.parametrize("name", AFTER_A_CONVOLUTION)
def test_what_follows_a_convolution_gets_the_same_values(name, function, results):
    expected, found = [r.get(name) for r in results[function]]
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(np.asarray(a, "f"), np.asarray(b, "f"), 2e-4, 2e-4)


def test_every_rule_is_tried_above():
    seen = set()
    for function in (values, gradients):
        seen |= {e.primitive.name for e in flat(function, X, W)[0].jaxpr.eqns}
    rare = {"argmin", "reduce_and", "reduce_min", "reduce_window_min", "select_and_gather_add"}
    assert set(layouts.RULES) - layouts.ELEMENTWISE - seen <= rare


def test_between_convolutions_nothing_is_transposed():
    def block(x):
        y = convolved(x)
        mean = y.mean((0, 2, 3), keepdims=True)
        y = jax.nn.relu((y - mean) * CHANNEL + 1)
        y = y.reshape(2, 5, 2, 2, 3, 2).max((3, 5))
        return lax.conv_general_dilated(y, W.swapaxes(0, 1), (1, 1), "SAME").mean((2, 3))

    assert transposes(channels_last(block), X) == 0
    assert transposes(channels_last(lambda x, y: convolved(x) + y), X, OTHER) == 1


@settings(deadline=None)
@given(st.data())
def test_any_reshape_of_transposed_axes_is_right(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=3, max_size=5))
    order = data.draw(st.permutations(range(len(sizes))))
    shape = [sizes[i] for i in order]
    new = data.draw(st.permutations(shape).map(tuple))
    cut = data.draw(st.integers(0, len(new) - 1))
    new = (*new[:cut], -1, *new[cut + 2 :])
    x = np.arange(np.prod(sizes), dtype="f").reshape(sizes)

    def program(x):
        return jnp.transpose(x, order).reshape(new) * 1

    np.testing.assert_array_equal(channels_last(program)(x), program(x))


@pytest.mark.parametrize(
    ("layer", "setting"), [(jt.nn.Conv2d(3, 4, 3), "1"), (jt.nn.Conv2d(3, 4, 3), "0"),
                           (jt.nn.Flatten(), "1")],
)  # fmt: skip
def test_programs_with_convolutions_are_channels_last(layer, setting, monkeypatch):
    turned = []
    monkeypatch.setenv("JTOOLBOX_CHANNELS_LAST", setting)

    def spy(function):
        turned.append(function)
        return channels_last(function)

    monkeypatch.setattr(compile, "channels_last", spy)
    x = jt.tensor(RNG.normal(size=(2, 3, 7, 9 + int(setting))).astype("f"), requires_grad=True)
    loss = layer(x).square().sum()
    loss.backward()
    assert np.isfinite(x.grad.numpy()).all()
    assert len(turned) == (setting == "1" and isinstance(layer, jt.nn.Conv2d))

"""Updates of a table by the rows that a step used: the same results, without the whole table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.engine.few_rows import touching_few_rows

TABLE = np.random.default_rng(0).normal(size=(40, 4)).astype("f")
INDICES = np.array([3, 3, 39, 0])


def gradient(table, scale=1.0):
    return jax.grad(lambda t: ((t[INDICES] * scale) ** 2).sum())(table)


def whole_tables(function, *args):
    """How many operations of a program make or change arrays of the table's shape."""
    text = str(jax.make_jaxpr(function)(*args))
    return sum(f":f32[40,4] = {name}" in line for line in text.splitlines() for name in
               ("mul", "sub", "add", "neg", "broadcast_in_dim"))  # fmt: skip


@pytest.mark.parametrize(
    "update",
    [
        lambda p, lr: p - lr * gradient(p),
        lambda p, lr: p + gradient(p) * -lr,
        lambda p, lr: -(lr * gradient(p)) + p,
        lambda p, lr: p - lr * gradient(p, lr).astype(p.dtype),
    ],
    ids=["sub", "add", "neg", "nested"],
)
def test_a_plain_update_touches_no_whole_table(update):
    args = jnp.asarray(TABLE), jnp.float32(0.1)
    few = touching_few_rows(update)
    assert whole_tables(update, *args) > 0
    assert whole_tables(few, *args) == 0
    np.testing.assert_allclose(few(*args), update(*args), 1e-5, 1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda p: gradient(p),
        lambda p: (p - gradient(p), gradient(p)),
        lambda p: p - gradient(p) / jnp.linalg.norm(gradient(p)),
        lambda p: p - gradient(p) * p,
        lambda p: gradient(p) + gradient(p) * 2,
        lambda p: gradient(p) - p,
        lambda p: jnp.zeros((40, 4)) - gradient(p),
        lambda p: (p - gradient(p)).astype(jnp.bfloat16) + gradient(p).astype(jnp.bfloat16),
        lambda p: jax.lax.scan(lambda p, _: (p - gradient(p), 0), p, None, 2)[0],
    ],
    ids=["result", "both", "norm", "elementwise", "twice", "reversed", "zeros", "wide", "loop"],
)
def test_other_uses_of_the_gradient_get_the_whole_table(function):
    table = jnp.asarray(TABLE)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a.astype("f"), b.astype("f"), 1e-5, 1e-6),
        touching_few_rows(function)(table),
        function(table),
    )


def train(library, settings, padding=None, clip=False, frozen=False):
    model = library.nn.Sequential(library.nn.Embedding(40, 4, padding), library.nn.Linear(4, 1))
    weights = [TABLE, np.full((1, 4), 0.5, "f"), np.zeros(1, "f")]
    with library.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(library.tensor(w))
    optimizer = library.optim.SGD(model.parameters(), **settings)

    def step(indices):
        loss = (model(indices) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        if clip:
            library.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    step = jt.jit(step) if frozen else step
    losses = [step(library.tensor(INDICES)).item() for _ in range(4)]
    grad = None if frozen else model[0].weight.grad.numpy()
    return losses, model[0].weight.detach().numpy(), grad


@pytest.mark.parametrize("frozen", [False, True], ids=["loop", "jit"])
@pytest.mark.parametrize(
    "case",
    [
        {"settings": {"lr": 0.1}},
        {"settings": {"lr": 0.1}, "padding": 3},
        {"settings": {"lr": 0.1, "momentum": 0.9}},
        {"settings": {"lr": 0.1, "weight_decay": 0.1}},
        {"settings": {"lr": 0.1, "maximize": True}},
        {"settings": {"lr": 0.1}, "clip": True},
    ],
    ids=["plain", "padding", "momentum", "weight_decay", "maximize", "clipped"],
)
def test_embeddings_train_as_in_pytorch(case, frozen):
    losses, table, grad = train(jt, **case, frozen=frozen)
    expected, their_table, their_grad = train(torch, **case)
    np.testing.assert_allclose(losses, expected, 1e-4, 1e-5)
    np.testing.assert_allclose(table, their_table, 1e-4, 1e-5)
    if not frozen:
        np.testing.assert_allclose(grad, their_grad, 1e-4, 1e-5)


def test_positions_beside_indices_train_as_in_pytorch():
    """The gradient by integers that are computed in the step has a type of its own in JAX."""

    def run(library):
        words, places = library.nn.Embedding(40, 4), library.nn.Embedding(6, 4)
        with library.no_grad():
            for table in (words.weight, places.weight):
                table.copy_(library.tensor(TABLE[: len(table)]))
        optimizer = library.optim.SGD([*words.parameters(), *places.parameters()], lr=0.1)
        indices = library.tensor(np.stack([INDICES, INDICES]))
        losses = []
        for _ in range(3):
            x = words(indices) + places(library.arange(indices.shape[1]))
            loss = library.nn.functional.cross_entropy(x.view(-1, 4), indices.view(-1) % 4)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    np.testing.assert_allclose(run(jt), run(torch), 1e-4, 1e-5)


def test_a_scan_of_steps_gives_the_same():
    def run(frozen):
        model = jt.nn.Embedding(40, 4, _weight=jt.tensor(TABLE))
        optimizer = jt.optim.SGD(model.parameters(), lr=0.1)

        def step(indices):
            loss = (model(indices) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        batches = np.stack([INDICES, INDICES[::-1] // 2])
        found = jt.scan(step, batches) if frozen else [step(jt.tensor(b)) for b in batches]
        return [loss.item() for loss in found], model.weight.detach().numpy()

    for a, b in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)

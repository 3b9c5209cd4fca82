"""How often XLA compiles, counted: the promises that make the plain loop fast."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox import nn, optim
from jtoolbox.engine import compile, mode
from jtoolbox.nn import functional as F

RNG = np.random.default_rng(0)


def batch(n: int = 8) -> tuple[jt.Tensor, jt.Tensor]:
    return jt.tensor(RNG.standard_normal((n, 12)).astype(np.float32)), jt.tensor(
        RNG.integers(0, 3, n)
    )


def network(dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 7), nn.ReLU(), nn.Dropout(dropout), nn.Linear(7, 3))


def step(model: nn.Module, optimizer: optim.Optimizer, n: int = 8) -> jt.Tensor:
    x, y = batch(n)
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@pytest.fixture
def trained():
    model = network(0.5)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer).item()
    return model, optimizer


def test_the_first_step_compiles_one_program(compilations):
    model = network(0.5)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    data = batch()
    for t in data:
        _ = t.array
    compilations.count()
    before = jt.engine.program_count()
    loss = F.cross_entropy(model(data[0]), data[1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    assert np.isfinite(loss.item())
    assert jt.engine.program_count() - before == 1


def test_the_second_step_compiles_nothing(trained, compilations):
    for _ in range(3):
        step(*trained).item()
    assert compilations.count() == 0


def test_a_changed_lr_compiles_nothing_and_takes_effect(trained, compilations):
    model, optimizer = trained
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[0]["momentum"] = 0.5
    before = model[0].weight.detach().numpy()
    optimizer.state[model[0].weight]["momentum_buffer"].zero_()
    compilations.count()
    step(model, optimizer)
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), before)
    optimizer.param_groups[0]["lr"] = 1.0
    step(model, optimizer)
    assert not np.array_equal(model[0].weight.detach().numpy(), before)
    assert compilations.count() == 0


def test_a_changed_python_number_compiles_nothing(compilations):
    w = jt.ones(3, requires_grad=True)

    def run(k: int) -> float:
        loss = (w * (0.9**k)).sum() * 2.5 + k
        loss.backward()
        return loss.item()

    run(1)
    compilations.count()
    assert run(2) == pytest.approx(3 * 0.81 * 2.5 + 2)
    assert run(3) == pytest.approx(3 * 0.729 * 2.5 + 3)
    assert compilations.count() <= 1  # adding to an existing gradient is a program of its own


def test_dropout_draws_a_new_mask_without_compiling(trained, compilations):
    model, _ = trained
    x = jt.ones(4, 12)
    with jt.no_grad():
        model(x)
        compilations.count()
        outputs = {model(x).numpy().tobytes() for _ in range(5)}
    assert len(outputs) == 5
    assert compilations.count() == 0


def test_a_smaller_last_batch_compiles_once(trained, compilations):
    before = jt.engine.program_count()
    for n in (8, 5, 8, 5):
        step(*trained, n=n).item()
    assert jt.engine.program_count() - before == 1


@pytest.mark.parametrize("held", ["numpy", "device"])
def test_slicing_batches_at_changing_places_compiles_nothing(held, compilations):
    data = jt.tensor(RNG.standard_normal((100, 4)).astype(np.float32))
    if held == "device":
        data = data * 1.0
    data[0:10].sum().item()
    compilations.count()
    for i in range(10, 90, 10):
        assert data[i : i + 10].sum().item() == pytest.approx(
            data.numpy()[i : i + 10].sum(), rel=1e-4
        )
    assert compilations.count() == 0


def count_nodes():
    gc.collect()
    return sum(type(o) is jt.engine.Node for o in gc.get_objects())


def test_a_sampling_loop_under_no_grad_keeps_the_graph_bounded(compilations):
    before = count_nodes()
    model = network()
    x = jt.zeros(2, 12)
    project = jt.randn(3, 12)
    with jt.no_grad():
        for i in range(1000):
            x = model(x) @ project * 0.1
            assert len(mode.pending) < 50
            if i == 2:
                compilations.count()
    assert compilations.count() == 0
    assert count_nodes() - before < 50


def test_a_loop_that_forgets_no_grad_keeps_the_graph_bounded():
    model = network()
    tokens = jt.zeros(1, 12)
    for _ in range(200):
        logits = model(tokens.float())
        token = jt.multinomial(logits.softmax(-1), 1)
        tokens = jt.cat([tokens[:, 1:], token], 1)
        assert len(mode.pending) < 200
    assert tokens.shape == (1, 12)


def test_a_float_loop_that_forgets_no_grad_is_run_in_pieces():
    w = (jt.eye(4) * 0.999).requires_grad_()
    x = jt.ones(2, 4)
    for _ in range(650):
        x = x @ w
        assert len(mode.pending) <= 601
    assert x[0, 0].item() == pytest.approx(0.999**650, rel=1e-3)


def test_eight_fold_accumulation_compiles_at_most_three_programs():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    before = jt.engine.program_count()
    for _ in range(3):
        optimizer.zero_grad()
        for _ in range(8):
            x, y = batch()
            (F.cross_entropy(model(x), y) / 8).backward()
            assert len(mode.pending) < 80
        optimizer.step()
    jt.engine.flush()
    assert jt.engine.program_count() - before <= 3


def test_an_episode_compiles_as_many_programs_whatever_its_length():
    def episode(length: int) -> int:
        jt.engine.clear_programs()
        policy = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = optim.SGD(policy.parameters(), lr=0.01)
        state, logs = jt.ones(1, 4), []
        for _ in range(length):
            log_probability = F.log_softmax(policy(state), -1)
            action = jt.multinomial(log_probability.exp(), 1)
            logs.append(log_probability[0, action.item()])
        loss = -jt.stack(logs).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert np.isfinite(loss.item())
        jt.engine.flush()
        return jt.engine.program_count()

    short, long = episode(10), episode(200)
    assert long == short
    assert long <= 8


def test_an_epoch_later_nothing_compiles(trained, compilations):
    x = RNG.standard_normal((32, 12)).astype(np.float32)
    y = RNG.integers(0, 3, 32)
    dataset = jt.utils.data.TensorDataset(jt.tensor(x), jt.tensor(y))
    loader = jt.utils.data.DataLoader(dataset, batch_size=8, shuffle=True)
    model, optimizer = trained
    for epoch in range(3):
        for image, label in loader:
            loss = F.cross_entropy(model(image), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert np.isfinite(loss.item())
        if epoch:
            assert compilations.count() == 0
        compilations.count()


def test_a_loop_that_drops_its_results_runs_nothing_of_them():
    jt.engine.clear_programs()
    w = jt.ones(3, requires_grad=True)
    for _ in range(400):
        _ = (w * 2).sum()
    kept = w * 3
    assert kept.sum().item() == 9
    programs = compile._programs.values()
    assert max(len(program.plan.steps) for program in programs) <= 4


def test_a_number_that_comes_again_keeps_its_type_and_sign(compilations):
    x = jt.ones(2, dtype=jt.float32, requires_grad=True)
    for turn in range(7):
        y = x * 2 + 1.5
        assert (y.dtype, y.sum().item()) == (jt.float32, 7.0)
        if turn == 0:
            compilations.count()
    assert compilations.count() == 0
    signs = [jt.copysign(x, zero).sum().item() for zero in (0.0, -0.0) * 6]
    assert signs == [2.0, -2.0] * 6

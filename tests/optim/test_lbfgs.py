"""L-BFGS beside PyTorch's: the way it goes, its memory, its limits."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.optim.test_table import exchanged

LIBRARIES = pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])


class Valley:
    """Rosenbrock's valley in three numbers, another that follows, and a parameter without use."""

    def __init__(self, library: Any, dtype: str = "float64", **settings: Any):
        self.library = library
        kind = getattr(library, dtype)
        values = ([-1.2, 1.0, 0.5], [[0.3]], [7.0])
        self.params = [library.nn.Parameter(library.tensor(v, dtype=kind)) for v in values]
        self.optimizer = library.optim.LBFGS(self.params, **settings)
        self.losses: list[float] = []

    def loss(self) -> Any:
        p, q, _ = self.params
        valley = (100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2).sum()
        return valley + ((q - p[0]) ** 2).sum()

    def closure(self) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.losses.append(float(loss.detach()))
        return loss

    def step(self, times: int = 1) -> Valley:
        for _ in range(times):
            self.optimizer.step(self.closure)
        return self

    def memory(self) -> dict[str, Any]:
        return self.optimizer.state_dict()["state"][0]


def assert_same(ours: Valley, theirs: Valley, rtol: float = 1e-7) -> None:
    """The same losses on the way, parameters and memory."""
    assert len(ours.losses) == len(theirs.losses)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=rtol, atol=1e-12)
    for a, b in zip(ours.params, theirs.params, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol)
    assert list(ours.memory()) == list(theirs.memory())
    for key, value in theirs.memory().items():
        mine = ours.memory()[key]
        assert isinstance(mine, list) == isinstance(value, list)
        pairs = zip(mine, value, strict=True) if isinstance(value, list) else [(mine, value)]
        for a, b in pairs:
            assert (a is None) == (b is None)
            if b is not None:
                np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-9)


SETTINGS = {
    "plain": {"lr": 0.01, "max_iter": 6, "history_size": 4},
    "line search": {"line_search_fn": "strong_wolfe", "max_iter": 7, "history_size": 5},
    "few evaluations": {
        "lr": 2.0, "line_search_fn": "strong_wolfe", "max_iter": 5, "max_eval": 3
    },
    "one iteration a step": {"max_iter": 1, "lr": 0.001},
    "no change is small enough": {"lr": 0.001, "tolerance_change": 1e-2},
    "a gradient that is small enough": {"line_search_fn": "strong_wolfe", "tolerance_grad": 1.0},
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_it_goes_pytorchs_way(case):
    ours, theirs = (Valley(library, **SETTINGS[case]).step(4) for library in (jt, torch))
    assert_same(ours, theirs)
    assert repr(ours.optimizer) == repr(theirs.optimizer)
    assert ours.optimizer.defaults == theirs.optimizer.defaults


@pytest.mark.parametrize("case", ["plain", "line search"])
@pytest.mark.parametrize(("source", "target"), [(jt, torch), (torch, jt)], ids=["out", "in"])
def test_its_memory_goes_to_the_other_library_in_mid_training(case, source, target):
    run = Valley(source, **SETTINGS[case]).step(2)
    other = Valley(target)
    state = exchanged(run.optimizer.state_dict(), source, target)
    other.optimizer.load_state_dict(state)
    other.losses = list(run.losses)
    with target.no_grad():
        for p, value in zip(other.params, run.params, strict=True):
            p.copy_(target.tensor(value.detach().numpy()))
    assert_same(
        *((run.step(2), other.step(2)) if target is torch else (other.step(2), run.step(2)))
    )


@pytest.mark.parametrize("lr", [1, 0.5])
def test_its_memory_has_pytorchs_types(lr):
    kinds = [
        {name: type(value).__name__ for name, value in Valley(lib, lr=lr).step().memory().items()}
        for lib in (jt, torch)
    ]
    assert kinds[0] == kinds[1]


def test_the_line_search_finds_the_minimum_in_one_step():
    run = Valley(jt, "float32", line_search_fn="strong_wolfe", max_iter=60).step()
    np.testing.assert_allclose(run.params[0].detach().numpy(), np.ones(3), atol=1e-3)
    assert len(run.losses) < 80


@LIBRARIES
def test_step_returns_the_first_loss_and_runs_its_hooks_once(library):
    run, calls = Valley(library, lr=0.001), []
    run.optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    run.optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    with library.no_grad():
        loss = run.optimizer.step(run.closure)
    assert float(loss.detach()) == run.losses[0]
    assert calls == ["before", "after"]


@LIBRARIES
def test_at_the_minimum_it_asks_once_and_stays(library):
    run = Valley(library)
    with library.no_grad():
        for p in run.params:
            p.fill_(1.0)
    run.step()
    assert (len(run.losses), list(run.memory())) == (1, ["func_evals", "n_iter"])


def test_complex_parameters_go_pytorchs_way():
    results = []
    for library in (jt, torch):
        p = library.tensor(np.array([1 + 2j, 0.5 - 1j]), requires_grad=True)
        optimizer = library.optim.LBFGS([p], lr=0.1, max_iter=4)

        def closure(p: Any = p, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (p * p - 1j).abs().square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        results.append(p.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)


@LIBRARIES
def test_what_it_does_not_take_is_refused(library):
    p, q = (library.ones(2, requires_grad=True) for _ in range(2))
    with pytest.raises(ValueError, match="LBFGS doesn't support per-parameter options"):
        library.optim.LBFGS([{"params": [p]}, {"params": [q]}])
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        library.optim.LBFGS([p], lr=-1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'closure'"):
        library.optim.LBFGS([p]).step()
    run = Valley(library, line_search_fn="armijo")
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        run.step()


def test_under_jit_it_says_that_a_value_is_needed():
    run = Valley(jt)
    step = jt.jit(lambda: run.optimizer.step(run.closure))
    with pytest.raises(RuntimeError, match=r"while jtoolbox\.jit or scan records a step"):
        step()


def test_a_copy_goes_on_equally():
    run, other = Valley(jt, lr=0.01, max_iter=3).step(), Valley(jt)
    other.params, other.optimizer = copy.deepcopy((run.params, run.optimizer))
    other.losses = list(run.losses)
    assert_same(other.step(), run.step())

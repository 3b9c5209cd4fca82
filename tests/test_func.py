"""`jtoolbox.func`: modules as pure functions, JAX's transformations on Tensor code."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import func, nn
from jtoolbox.nn import functional as F

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 5)


def network(dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 3))


def test_functional_call_is_a_pure_function_of_arrays():
    model = network()
    params = jt.tree(model)
    out = jax.jit(lambda p, x: func.functional_call(model, p, x))(params, X)
    assert isinstance(out, jax.Array)
    np.testing.assert_allclose(out, model(jt.tensor(X)).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_jax_grad_of_functional_call_equals_backward():
    model = network()
    params = jt.tree(model)
    grads = jax.grad(lambda p: F.cross_entropy(func.functional_call(model, p, X), Y))(params)
    F.cross_entropy(model(jt.tensor(X)), jt.tensor(Y)).backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(grads[name], p.grad.numpy(), rtol=1e-4, atol=1e-6)
    assert all(isinstance(p._node.value, (np.ndarray, jax.Array)) for p in model.parameters())


def test_functional_call_takes_tensors_and_records():
    model = network()
    params = {n: (p.detach() * 2).requires_grad_() for n, p in model.named_parameters()}
    out = func.functional_call(model, params, jt.tensor(X))
    out.sum().backward()
    assert params["0.weight"].grad is not None
    assert model[0].weight.grad is None


def test_functional_call_returns_buffers_and_leaves_the_module_alone():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    state = jt.tree(model)
    before = model[1].running_mean.numpy()
    out, buffers = jax.jit(lambda s: func.functional_call(model, s, X, return_buffers=True))(state)
    np.testing.assert_array_equal(model[1].running_mean.numpy(), before)
    model(jt.tensor(X))
    np.testing.assert_allclose(buffers["1.running_mean"], model[1].running_mean.numpy(), rtol=1e-5)
    assert out.shape == (5, 3)


def test_dropout_in_a_transformation_needs_a_key():
    model = network(0.5)
    params = jt.tree(model)
    run = jax.jit(lambda p, k: func.functional_call(model, p, X, key=k))
    a, b = run(params, jax.random.key(0)), run(params, jax.random.key(1))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(a, run(params, jax.random.key(0)))
    with pytest.raises(RuntimeError, match="Pass a key"):
        jax.jit(lambda p: func.functional_call(model, p, X))(params)


KEYS = {
    "an unknown key": (lambda t: {"nothing": t.ones(3)}, {}),
    "an unknown key, strictly": (lambda t: {"nothing": t.ones(3)}, {"strict": True}),
    "a missing key": (lambda t: {"0.weight": t.zeros(2, 2)}, {}),
    "a missing key, strictly": (lambda t: {"0.weight": t.zeros(2, 2)}, {"strict": True}),
    "a missing submodule": (lambda t: {"2.weight": t.zeros(2, 2)}, {}),
    "an empty key": (lambda t: {"": t.zeros(2, 2)}, {}),
    "no tensor": (lambda t: {"0.weight": 3}, {}),
    "a key twice": (lambda t: [{"0.weight": t.zeros(2, 2)}, {"0.weight": t.zeros(2, 2)}], {}),
    "tied": (lambda t: {"0.weight": t.zeros(2, 2)}, {"tie_weights": True}),
    "untied": (lambda t: {"0.weight": t.zeros(2, 2)}, {"tie_weights": False}),
    "two for tied": (lambda t: {f"{i}.weight": t.full((2, 2), float(i)) for i in (0, 1)}, {}),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_that_do_not_fit_are_taken_as_pytorch_takes_them(case):
    values, settings = KEYS[case]
    found = []
    for t in (jt, torch):
        model = t.nn.Sequential(*[t.nn.Linear(2, 2, bias=False) for _ in range(2)])
        model[1].weight = model[0].weight
        t.nn.init.ones_(model[0].weight)
        try:
            out = t.func.functional_call(model, values(t), t.ones(1, 2), **settings)
            found.append(out.tolist())
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            found.append((type(error), str(error)))
        assert not hasattr(model, "nothing")
        assert model[0].weight.tolist() == [[1, 1], [1, 1]]
    assert found[0] == found[1]


def test_tied_weights_are_replaced_together():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    zero = {"0.weight": jnp.zeros((4, 4)), "0.bias": jnp.zeros(4), "1.bias": jnp.ones(4)}
    np.testing.assert_array_equal(func.functional_call(model, zero, X), np.ones((5, 4)))


def theirs_and_ours(transform: str, f, *args):
    ours = getattr(func, transform)(f)(*[jt.tensor(a) for a in args])
    theirs = getattr(torch.func, transform)(f)(*[torch.tensor(a) for a in args])
    return ours, theirs


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize(
    "transform", ["grad", "jacrev", "jacfwd", "hessian", "vmap", "grad_and_value"]
)
def test_transformations_equal_pytorchs(transform):
    f = (lambda x: (x**3).sum()) if transform != "vmap" else (lambda x: (x * x).sum(0))
    ours, theirs = theirs_and_ours(transform, f, X[0] if transform != "vmap" else X)
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, tuple) else [(ours, theirs)]
    for a, b in pairs:
        assert isinstance(a, jt.Tensor)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_transformations_compose_and_take_arrays():
    def loss(w, x):
        return (F.linear(x, w) ** 2).sum()

    w = RNG.standard_normal((3, 4)).astype(np.float32)
    per_sample = func.vmap(func.grad(loss), in_dims=(None, 0))(jnp.asarray(w), jnp.asarray(X))
    assert isinstance(per_sample, jax.Array)
    expected = torch.func.vmap(
        torch.func.grad(lambda w, x: (torch.nn.functional.linear(x, w) ** 2).sum()),
        in_dims=(None, 0),
    )
    np.testing.assert_allclose(
        per_sample, expected(torch.tensor(w), torch.tensor(X)).numpy(), rtol=1e-4
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_jvp_and_vjp_equal_pytorchs():
    def f(x):
        return x.sin() * x

    ours = func.jvp(f, (jt.tensor(X),), (jt.tensor(X * 2),))
    theirs = torch.func.jvp(f, (torch.tensor(X),), (torch.tensor(X * 2),))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    value, pull = func.vjp(f, jt.tensor(X))
    expected, their_pull = torch.func.vjp(f, torch.tensor(X))
    np.testing.assert_allclose(value.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        pull(jt.tensor(X))[0].numpy(), their_pull(torch.tensor(X))[0].numpy(), rtol=1e-5, atol=1e-6
    )


def test_the_derivative_of_an_integer_result_is_zero():
    x, t = jt.tensor([[1.0, 3.0, 2.0]]), jt.ones(1, 3)
    _, (slope, places) = func.jvp(lambda x: tuple(x.max(1)), (x,), (t,))
    assert slope.tolist() == [1.0]
    assert places.tolist() == [0]
    assert places.dtype == jt.int64
    assert func.linearize(lambda x: x.argmax(), x)[1](t).item() == 0


def test_grad_of_a_vector_is_an_error():
    with pytest.raises(RuntimeError, match="scalar tensor"):
        func.grad(lambda x: x * 2)(jt.tensor(X))


def test_an_ensemble_runs_at_once():
    models = [network() for _ in range(3)]
    params, _ = func.stack_module_state(models)
    arrays = {n: p.array for n, p in params.items()}
    out = jax.vmap(lambda p: func.functional_call(models[0], p, X))(arrays)
    for i, model in enumerate(models):
        np.testing.assert_allclose(
            out[i], model(jt.tensor(X)).detach().numpy(), rtol=1e-5, atol=1e-6
        )


def test_modules_work_under_jax_with_tracers_as_input():
    model = network()
    out = jax.jit(lambda x: model(x).__jax_array__())(X)
    np.testing.assert_allclose(out, model(jt.tensor(X)).detach().numpy(), rtol=1e-5, atol=1e-6)

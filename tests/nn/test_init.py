"""`nn.init`: PyTorch's distributions, by moments and bounds; exact values where there are any."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import nn
from jtoolbox.nn import init
from tests.nn.both import both, same, same_error

SHAPE = (200, 300)
FAN_SHAPES = [(30, 50), (8, 16, 5), (8, 6, 3, 3), (8, 4, 2, 2, 3)]


def filled(name, shape=SHAPE, lib=jt, **settings):
    """The values that an initializer writes into a tensor of zeros."""
    tensor = lib.zeros(shape)
    result = getattr(lib.nn.init, name)(tensor, **settings)
    assert result is tensor
    return tensor.numpy().astype(np.float64)


def moments(values):
    """Mean, standard deviation, smallest and largest value."""
    return values.mean(), values.std(), values.min(), values.max()


def check(values, mean, std, low=-math.inf, high=math.inf):
    """Mean and deviation are the given ones to within five standard errors; bounds are kept."""
    n = values.size
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(n)
    assert abs(values.std() - std) < 5 * std / math.sqrt(n)
    assert values.min() >= low - 1e-6
    assert values.max() <= high + 1e-6


# --- distributions


def test_uniform_fills_its_interval_evenly():
    values = filled("uniform_", a=-1.0, b=3.0)
    check(values, 1.0, 4 / math.sqrt(12), -1.0, 3.0)
    counts, _ = np.histogram(values, 20, (-1.0, 3.0))
    assert abs(counts / values.size - 0.05).max() < 0.005


def test_normal_has_the_shape_of_a_normal():
    values = filled("normal_", mean=2.0, std=3.0)
    check(values, 2.0, 3.0)
    standard = (values - 2.0) / 3.0
    assert abs((standard**3).mean()) < 0.05
    assert abs((standard**4).mean() - 3.0) < 0.15
    assert abs((abs(standard) < 1.0).mean() - 0.6827) < 0.01


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, -2.0, 2.0), (0.0, 0.02, -2.0, 2.0), (1.0, 2.0, 0.0, 1.5), (0.0, 1.0, 1.5, 3.0)],
)
def test_trunc_normal_is_the_normal_between_its_bounds(mean, std, a, b):
    ours = filled("trunc_normal_", mean=mean, std=std, a=a, b=b)
    theirs = filled("trunc_normal_", lib=torch, mean=mean, std=std, a=a, b=b)
    assert ours.min() >= a
    assert ours.max() <= b
    quantiles = np.linspace(0.02, 0.98, 25)
    spread = theirs.std()
    assert abs(np.quantile(ours, quantiles) - np.quantile(theirs, quantiles)).max() < 0.05 * spread


def test_trunc_normal_far_from_its_bounds_warns():
    with pytest.warns(UserWarning, match="mean is more than 2 std"):
        values = filled("trunc_normal_", (20, 30), mean=0.0, std=1.0, a=4.0, b=5.0)
    assert values.min() >= 4.0
    assert values.max() <= 5.0
    assert values.mean() < 4.4


@pytest.mark.parametrize("shape", FAN_SHAPES)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("xavier_uniform_", {}),
        ("xavier_uniform_", {"gain": 2.5}),
        ("xavier_normal_", {"gain": 0.5}),
        ("kaiming_uniform_", {}),
        ("kaiming_uniform_", {"a": math.sqrt(5)}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
        ("kaiming_normal_", {"mode": "fan_out", "a": 0.2}),
    ],
)
def test_scaled_initializers_have_pytorchs_deviation_and_bounds(name, settings, shape):
    draws = [filled(name, shape, **settings) for _ in range(12)]
    theirs = [filled(name, shape, torch, **settings) for _ in range(12)]
    _, std, low, high = moments(np.stack(theirs))
    ours = np.stack(draws)
    assert abs(ours.mean()) < 5 * std / math.sqrt(ours.size)
    assert abs(ours.std() / std - 1) < 7 / math.sqrt(ours.size)
    if "uniform" in name:
        assert abs(ours.min() / low - 1) < 0.05
        assert abs(ours.max() / high - 1) < 0.05


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4), (6, 2, 3), (3, 4, 2, 2)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape):
    q = filled("orthogonal_", shape, gain=2.0).reshape(shape[0], -1) / 2.0
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-5)


def test_orthogonal_matrices_point_everywhere():
    traces = [np.trace(filled("orthogonal_", (3, 3))) for _ in range(400)]
    assert abs(np.mean(traces)) < 0.25
    assert abs(np.std(traces) - 1.0) < 0.2


def test_sparse_zeroes_a_part_of_each_column():
    values = filled("sparse_", (50, 40), sparsity=0.31, std=2.0)
    assert ((values == 0).sum(axis=0) == math.ceil(0.31 * 50)).all()
    kept = values[values != 0]
    check(kept, 0.0, 2.0)
    assert len({tuple(np.flatnonzero(column == 0)) for column in values.T}) > 30


# --- exact values


@pytest.mark.parametrize(
    ("name", "shape", "settings"),
    [
        ("zeros_", (2, 3), {}),
        ("ones_", (2, 3), {}),
        ("constant_", (2, 3), {"val": 0.25}),
        ("eye_", (3, 5), {}),
        ("dirac_", (4, 3, 3), {}),
        ("dirac_", (3, 4, 3, 5), {}),
        ("dirac_", (6, 2, 3, 3), {"groups": 3}),
        ("dirac_", (2, 2, 1, 2, 3), {"groups": 2}),
    ],
)
def test_fixed_values_are_pytorchs(name, shape, settings):
    ours, theirs = filled(name, shape, **settings), filled(name, shape, torch, **settings)
    np.testing.assert_array_equal(ours, theirs)


NONLINEARITIES = [
    ("linear", None), ("conv1d", None), ("conv2d", None), ("conv3d", None),
    ("conv_transpose1d", None), ("conv_transpose2d", None), ("conv_transpose3d", None),
    ("sigmoid", None), ("tanh", None), ("relu", None), ("selu", None), ("leaky_relu", None),
    ("leaky_relu", 0.3), ("leaky_relu", 2),
]  # fmt: skip


@pytest.mark.parametrize(("nonlinearity", "param"), NONLINEARITIES)
def test_gains_are_pytorchs(nonlinearity, param):
    same(lambda lib: lib.nn.init.calculate_gain(nonlinearity, param))


# --- how values are written


@both
def test_parameters_are_initialized_in_place(lib):
    parameter = lib.nn.Parameter(lib.zeros((3, 4)))
    assert lib.nn.init.ones_(parameter) is parameter
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert parameter.tolist() == [[1.0] * 4] * 3
    lib.nn.init.constant_(parameter.data, 2.0)
    assert parameter.tolist() == [[2.0] * 4] * 3
    with lib.no_grad():
        lib.nn.init.zeros_(parameter[1])
    assert parameter.tolist() == [[2.0] * 4, [0.0] * 4, [2.0] * 4]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_the_tensors_type_is_kept(dtype):
    tensor = jt.zeros((40, 50), dtype=getattr(jt, dtype))
    for name in ("uniform_", "normal_", "trunc_normal_", "kaiming_normal_", "orthogonal_", "ones_"):
        getattr(init, name)(tensor)
        assert tensor.dtype is getattr(jt, dtype)
        assert tensor.float().abs().sum().item() > 0


def test_a_seed_repeats_the_values():
    def draw(generator=None):
        return [
            getattr(init, name)(jt.zeros((4, 5)), generator=generator).tolist()
            for name in ("uniform_", "normal_", "trunc_normal_", "orthogonal_")
        ]

    jt.manual_seed(3)
    first, second = draw(), draw()
    jt.manual_seed(3)
    assert draw() == first
    assert first != second
    state = jt.default_generator.get_state()
    own = draw(jt.Generator().manual_seed(3))
    assert own == first
    assert np.array_equal(jt.default_generator.get_state(), state)


def test_initializing_compiles_nothing(compilations):
    for size in range(60, 80):
        weight = nn.Parameter(jt.tensor(np.zeros((size, size), np.float32)))
        for name in ("kaiming_uniform_", "xavier_normal_", "trunc_normal_", "orthogonal_", "eye_"):
            getattr(init, name)(weight)
        init.sparse_(weight, 0.5)
    assert compilations.count() == 0


# --- errors and old names


ERRORS = {
    "fan of a vector": lambda lib: lib.nn.init.xavier_normal_(lib.ones(3)),
    "mode": lambda lib: lib.nn.init.kaiming_normal_(lib.ones((2, 2)), mode="fan"),
    "nonlinearity": lambda lib: lib.nn.init.kaiming_normal_(lib.ones((2, 2)), nonlinearity="exp"),
    "slope": lambda lib: lib.nn.init.calculate_gain("leaky_relu", "text"),
    "slope of truth": lambda lib: lib.nn.init.calculate_gain("leaky_relu", True),
    "eye of a cube": lambda lib: lib.nn.init.eye_(lib.ones((2, 2, 2))),
    "sparse cube": lambda lib: lib.nn.init.sparse_(lib.ones((2, 2, 2)), 0.5),
    "dirac of a matrix": lambda lib: lib.nn.init.dirac_(lib.ones((2, 2))),
    "dirac groups": lambda lib: lib.nn.init.dirac_(lib.ones((3, 2, 2)), groups=2),
    "orthogonal vector": lambda lib: lib.nn.init.orthogonal_(lib.ones(3)),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_pytorchs(case):
    same_error(ERRORS[case])


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (lambda lib: lib.nn.init.uniform_(lib.ones(3), 2.0, 1.0), "from=2.0 > to=1.0"),
        (lambda lib: lib.nn.init.normal_(lib.ones(3), 0.0, -1.0), "std -1.0"),
        (lambda lib: lib.nn.init.normal_(lib.zeros(3, dtype=lib.int64)), "int64|Long"),
    ],
)
def test_impossible_distributions_are_refused(action, match):
    kinds = []
    for lib in (torch, jt):
        with pytest.raises((RuntimeError, NotImplementedError)) as caught:
            action(lib)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]
    assert caught.match(match)


@both
def test_empty_tensors_are_left_alone_with_a_warning(lib):
    for name in ("kaiming_normal_", "kaiming_uniform_"):
        with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
            getattr(lib.nn.init, name)(lib.ones((0, 3)))
    lib.nn.init.orthogonal_(lib.ones((0, 3)))


@both
def test_old_names_warn_and_work(lib):
    for name in ("uniform", "normal", "xavier_uniform", "kaiming_normal", "orthogonal", "eye"):
        with pytest.warns(FutureWarning, match=f"nn.init.{name}` is now deprecated"):
            result = getattr(lib.nn.init, name)(lib.zeros((3, 3)))
        assert result.abs().sum().item() > 0
        assert getattr(lib.nn.init, name).__name__ == name


def test_no_public_name_is_missing():
    assert sorted(init.__all__) == sorted(torch.nn.init.__all__)

"""Writing and combining by position, against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox import ops
from tests.ops.cases import bools, floats, integers
from tests.reference import compare, same_error

X = floats(3, 5)
SRC = floats(3, 5, seed=1)
# A permutation in each row, so that no place is written twice.
UNIQUE = np.stack([np.random.default_rng(i).permutation(5)[:4] for i in range(2)])
REPEATED = integers(3, 5, low=0, high=3)


def both(name, *args, **kwargs):
    """The function of jtoolbox and that of PyTorch, with settings applied."""
    ours, theirs = getattr(ops, name), getattr(torch, name)
    return (lambda *t: ours(*args_with(t, args), **kwargs),
            lambda *t: theirs(*args_with(t, args), **kwargs))  # fmt: skip


def args_with(tensors, args):
    """Tensors with the settings in the second place: (input, dim, index, source)."""
    return (tensors[0], *args, *tensors[1:])


def test_scatter_agrees_with_pytorch():
    compare(*both("scatter", 1), X, UNIQUE, SRC[:2, :4].copy())
    compare(*both("scatter", 1), X, UNIQUE, SRC, grad=False)
    compare(*both("scatter", 0), X, np.array([[0, 1, 2, 0, 0]]), SRC[:1].copy())
    compare(*both("scatter", 1, value=2.5), X, UNIQUE)
    compare(*both("scatter", 0, value=2.5), np.array(1.0, np.float32), np.array(0))
    compare(*both("scatter", 1, reduce="add"), X, UNIQUE, SRC, grad=False)
    compare(*both("scatter", 1, reduce="multiply"), X, REPEATED, SRC, grad=False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_scatter_add_agrees_with_pytorch(dtype):
    compare(*both("scatter_add", 1), X.astype(dtype), REPEATED, SRC.astype(dtype))


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce_agrees_with_pytorch(reduce, include_self):
    ours, theirs = ops.scatter_reduce, torch.scatter_reduce
    x = np.round(X)  # with ties, which share the gradient
    src = np.round(SRC)
    src[src == 0] = 1
    compare(
        lambda x, i, s: ours(x, 0, i, s, reduce, include_self=include_self),
        lambda x, i, s: theirs(x, 0, i, s, reduce, include_self=include_self),
        x, REPEATED, src,
        grad=include_self or reduce in ("sum", "mean"),
    )  # fmt: skip
    compare(
        lambda x, i, s: ours(x, 0, i, s, reduce, include_self=include_self),
        lambda x, i, s: theirs(x, 0, i, s, reduce, include_self=include_self),
        integers(3, 5), REPEATED, integers(3, 5, seed=2),
    )  # fmt: skip


def test_the_gradient_of_a_product_is_right_at_zeros():
    x, src = np.array([2.0, 0.0, 3.0]), np.array([0.0, 4.0, 5.0, 0.0, 0.0])
    index = np.array([0, 0, 1, 2, 2])
    compare(lambda x, i, s: ops.scatter_reduce(x, 0, i, s, "prod"),
            lambda x, i, s: torch.scatter_reduce(x, 0, i, s, "prod"), x, index, src)  # fmt: skip


def test_the_second_derivative_of_a_product_agrees_with_pytorch():
    def gradient(lib):
        x, source = (lib.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [2.0, 3.0]))
        y = x.scatter_reduce(0, lib.tensor([0, 0]), source, "prod")
        first = lib.autograd.grad(y.sum(), (x, source), create_graph=True)
        second = lib.autograd.grad(sum((g**2).sum() for g in first), (x, source))
        return [g.numpy() for g in second]

    for ours, theirs in zip(gradient(jtoolbox), gradient(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_slices_are_added_copied_and_filled_as_in_pytorch():
    index, slices = np.array([2, 0]), floats(2, 5, seed=2)
    compare(*both("index_add", 0), X, index, slices)
    compare(*both("index_add", 0, alpha=-2.5), X, np.array([1, 1]), slices)
    compare(*both("index_add", 1), X, np.array([4, 4, 0]), floats(3, 3))
    compare(*both("index_copy", 0), X, index, slices)
    compare(lambda x, i: ops.index_fill(x, 1, i, 7), lambda x, i: x.index_fill(1, i, 7), X,
            np.array([-1, 0]))  # fmt: skip
    for reduce in ("prod", "mean", "amax", "amin"):
        compare(lambda x, i, s, r=reduce: ops.index_reduce(x, 0, i, s, r),
                lambda x, i, s, r=reduce: x.index_reduce(0, i, s, r), X, index, slices,
                grad=False)  # fmt: skip


def test_index_put_agrees_with_pytorch():
    i, j, v = np.array([0, 2]), np.array([1, 1]), floats(2)
    compare(lambda x, i, j, v: ops.index_put(x, (i, j), v),
            lambda x, i, j, v: x.index_put((i, j), v), X, i, j, v)  # fmt: skip
    compare(lambda x, i, v: ops.index_put(x, (i,), v, accumulate=True),
            lambda x, i, v: x.index_put((i,), v, accumulate=True),
            X, np.array([1, 1]), SRC[:2])  # fmt: skip
    compare(lambda x, m, v: ops.index_put(x, (m,), v), lambda x, m, v: x.index_put((m,), v),
            X, bools(3, 5), np.array(2.0, np.float32))  # fmt: skip


def test_masked_scatter_takes_elements_in_order():
    compare(ops.masked_scatter, torch.masked_scatter, X, bools(3, 5), SRC)
    compare(ops.masked_scatter, torch.masked_scatter, X, bools(5), SRC)


def test_copies_with_a_part_overwritten_agree_with_pytorch():
    compare(lambda x, s: ops.diagonal_scatter(x, s, 1),
            lambda x, s: torch.diagonal_scatter(x, s, 1), X, floats(3))  # fmt: skip
    compare(lambda x, s: ops.select_scatter(x, s, 1, -2),
            lambda x, s: torch.select_scatter(x, s, 1, -2), X, floats(3))  # fmt: skip
    for start, end, step, n in ((1, 4, 2, 2), (None, None, 1, 5), (-2, 99, 1, 2)):
        compare(lambda x, s, a=(start, end, step): ops.slice_scatter(x, s, 1, *a),
                lambda x, s, a=(start, end, step): torch.slice_scatter(x, s, 1, *a),
                X, floats(3, n))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("scatter", (0, UNIQUE[0] % 3, SRC), "must have the same number of dimensions as self"),
        ("scatter", (1, UNIQUE + 5, SRC), "is out of bounds for dimension 1 with size 5"),
        ("scatter", (1, UNIQUE - 5, SRC), "index -5 is out of bounds for dimension 1|index -"),
        ("scatter", (1, UNIQUE * 1.0, SRC), "Expected dtype int32/int64 for index"),
        ("scatter", (1, UNIQUE, SRC.astype(np.float64)), "Expected self.dtype to be equal to src"),
        ("scatter", (0, np.zeros((4, 6), np.int64), SRC), "to be no larger than self"),
        ("scatter_add", (1, UNIQUE, SRC.astype(np.float64)), "Expected self.dtype to be equal"),
        ("index_add", (0, np.array([0]), SRC), "Number of indices \\(1\\) should be equal to"),
        ("index_add", (0, np.array([0, 9, 1]), SRC), "index 9 is out of bounds for dimension 0"),
        ("index_add", (0, np.array([[0]]), SRC), "Index is supposed to be a vector"),
        ("index_add", (0, np.array([0, 1]), SRC[:2, :2]), "shape must match self tensor shape"),
        ("index_add", (0, np.array([0]), SRC[:1].astype(np.float64)), "the same scalar type"),
        ("index_copy", (0, np.array([0]), SRC), "Number of indices"),
        ("index_copy", (0, np.array([9]), SRC[:1]), "index 9 is out of bounds"),
        ("index_fill", (0, np.array([9]), 1.0), "index 9 is out of bounds for dimension 0"),
        ("index_fill", (0, np.array([0]), SRC[0]), "only supports a 0-dimensional value tensor"),
        ("masked_scatter", (X > 0, SRC[0, :1]), "Number of elements of source < number of ones"),
        ("masked_scatter", (X, SRC), "only supports boolean masks"),
        ("diagonal_scatter", (SRC[0, :2],), "expected src to have a size equal to the slice"),
        ("select_scatter", (SRC[0, :3], 1, 9), "index 9 out of range"),
    ],
)
def test_scatter_errors_are_pytorchs(name, arguments, match):
    same_error(getattr(ops, name), getattr(torch, name), X, *arguments, match=match)


def test_an_unknown_reduction_raises():
    index = REPEATED
    same_error(lambda x, i: ops.scatter_reduce(x, 0, i, x, "foo"),
               lambda x, i: torch.scatter_reduce(x, 0, i, x, "foo"), X, index,
               match="must be either sum, prod, mean, amax or amin, got foo")  # fmt: skip
    same_error(lambda x, i: ops.scatter(x, 0, i, x, reduce="sum"),
               lambda x, i: torch.scatter(x, 0, i, x, reduce="sum"), X, index,
               match="reduce argument must be either add or multiply")  # fmt: skip


def test_a_place_that_cannot_be_checked_gives_nan():
    x, far = jnp.ones(3, jnp.float32), jnp.array([1, 7])
    for name in ("scatter_add", "index_add", "index_copy", "scatter"):
        function = getattr(ops, name)
        result = jax.jit(lambda x, i, f=function: f(x, 0, i, x[:2]))(x, far)
        assert np.isnan(result).any(), name


@pytest.mark.parametrize("reduce", ["prod", "amax", "amin", "mean"])
def test_index_reduce_along_a_later_dimension(reduce):
    index = np.array([2, 0, 2])
    compare(*both("index_reduce", reduce=reduce), X, 1, index, SRC[:, :3])
    compare(*both("index_reduce", reduce=reduce, include_self=False), X, 1, index, SRC[:, :3],
            grad=False)  # fmt: skip


def test_index_fill_counts_a_repeated_position_once():
    value = np.array(2.5, np.float32)
    compare(*both("index_fill"), X, -1, np.array([1, 3, 1]), value)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_an_index_of_no_elements_may_have_any_type(kind):
    empty, row = np.zeros(0, kind), X[0]
    compare(*both("gather"), row, 0, empty)
    compare(*both("scatter"), row, 0, empty, row[:0])
    compare(*both("scatter_add"), row, 0, empty, row[:0])
    compare(*both("scatter_reduce", reduce="amax"), row, 0, empty, row[:0], grad=False)
    compare(*both("take_along_dim"), row, empty)


def test_a_complex_value_does_not_lose_its_imaginary_part():
    value, index = np.array(1 + 2j, np.complex64), np.array([1])
    for x in (X, REPEATED):
        same_error(*both("masked_fill"), x, x > 0, value, match="without overflow")
        same_error(*both("index_fill"), x, 0, index, value, match="without overflow")


def test_bools_are_multiplied_and_added_as_logic():
    x, index, src = bools(4), np.array([0, 1, 0, 3]), bools(4, seed=1)
    compare(*both("scatter_reduce", reduce="prod"), x, 0, index, src)
    compare(lambda *a: ops.put(*a, True), lambda *a: torch.Tensor.put(*a, accumulate=True),
            x, index, src)  # fmt: skip
    same_error(*both("scatter_reduce", reduce="mean"), x, 0, index, src, match="not implemented")
    same_error(*both("index_reduce", reduce="amax"), x, 0, index, src, match="not implemented")

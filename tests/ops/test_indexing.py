"""Reading and writing by index, against PyTorch and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import jtoolbox as jt
from jtoolbox import ops
from jtoolbox.ops import indexing
from tests.ops.cases import bools, floats, integers
from tests.reference import compare, same_error

X = floats(4, 5, 6)
MASK = bools(4, 5, 6)
ROWS = np.array([True, False, True, True])

BASIC = [
    *(0, -1, 3, slice(None), slice(1, 3), slice(0, 4, 2), slice(-2, None), slice(3, 1)),
    *((0, 1), (0, 1, 2), (slice(None), 2), (..., 0), (0, ..., -1), None, (None, 1), (1, ..., None)),
    *(..., (), (slice(1, 4, 2), slice(1, None), slice(None, None, 3)), (slice(1, 9), slice(2, 2))),
    *((slice(None), None, slice(2, 4), 1), (slice(2), slice(None, -1)), np.int64(2), True, False),
]
ADVANCED = [
    *([0, 2], [0, -1, 0], ([0, 1], [1, 2]), ([0, 1], slice(None), [1, 2]), [[0, 1], [2, 3]]),
    *((slice(None), [0, 1], [1, 2]), ([0, 1], None, [1, 2]), range(2), (0, slice(None), [1, 2])),
    *((slice(1, 3), [0, 4]), (np.array([[0], [1]]), np.array([[0, 1, 2]])), []),
    *(
        MASK,
        ROWS,
        (ROWS, [0, 1, 2]),
        (slice(None), np.arange(5) > 2),
        (0, MASK[0, :, 0]),
        MASK[:, :, 0],
    ),
    *((..., MASK[0, 0]), (ROWS, slice(None), 2), [True, False, True, False], (True, [0, 1])),
    *(np.array([1, 2], np.int32), np.zeros(0, np.int64), np.zeros(4, bool)),
]

SAMPLE = [(1, slice(1, 4, 2)), ([0, 2], slice(None), [1, 3]), MASK, (slice(1, 3), [0, 4]), -1]


def torch_index(index):
    """An index with its arrays as PyTorch tensors."""
    if isinstance(index, tuple):
        return tuple(torch_index(i) for i in index)
    return torch.from_numpy(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=repr)
def test_getitem_agrees_with_pytorch(index):
    compare(lambda x: indexing.getitem(x, index), lambda x: x[torch_index(index)], X, grad=False)


@pytest.mark.parametrize("index", [*SAMPLE, [0, -1, 0], (None, ..., 2)], ids=repr)
def test_getitem_has_pytorchs_gradients(index):
    compare(lambda x: indexing.getitem(x, index), lambda x: x[torch_index(index)], X)


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=repr)
def test_setitem_writes_numbers_and_tensors_as_pytorch_does(index):
    expected = torch.from_numpy(X.copy())
    shape = expected[torch_index(index)].shape
    x = jt.tensor(X)
    for value in (floats(*shape, seed=3), 7.5):
        x[index] = jt.tensor(value)
        expected[torch_index(index)] = torch.as_tensor(value)
        np.testing.assert_array_equal(x.numpy(), expected.numpy())


@pytest.mark.parametrize("index", SAMPLE, ids=repr)
def test_setitem_has_pytorchs_gradients(index):
    def ours(x, v):
        y = x * 1
        result = indexing.setitem(y, index, v)
        return y if isinstance(y, jt.Tensor) else result

    def theirs(x, v):
        y = x * 1
        y[torch_index(index)] = v
        return y

    compare(ours, theirs, X, floats(*X[index].shape, seed=3))
    compare(ours, theirs, X, floats(1, seed=3))


@st.composite
def numpy_index(draw):
    entry = st.one_of(
        st.integers(-3, 2),
        st.slices(3).filter(lambda s: s.step is None or s.step > 0),
        st.just(None),
        st.lists(st.integers(-3, 2), min_size=2, max_size=2),
    )
    items = draw(st.lists(entry, max_size=3))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), ...)
    while sum(i is not None and i is not ... for i in items) > 3:
        items.pop()
    return tuple(items)


@settings(max_examples=40, deadline=None)
@given(numpy_index())
def test_any_mix_of_indices_agrees_with_pytorch(index):
    x = integers(3, 3, 3)
    expected = torch.from_numpy(x)[index].numpy()
    np.testing.assert_array_equal(np.asarray(indexing.getitem(jt.tensor(x), index)), expected)


def test_writing_a_view_writes_the_base():
    x, y = jt.tensor(X), torch.from_numpy(X.copy())
    for t in (x, y):
        t[1][2:4].zero_()
        t[1].view(-1)[3] = 9
        t.transpose(0, 1)[2, 1].fill_(5)
        t[0].t()[::2] += 1
        t.diagonal()[1] = -1
        t.unsqueeze(0).squeeze().permute(2, 0, 1)[-1, -1, -1:] = 3
        t.split([1, 3])[1][0].mul_(2)
        t[0].unfold(1, 2, 2)[..., 1] = 4
        t.expand(4, 5, 6)[3, 3] = 8
    np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_writing_an_expanded_tensor_raises():
    x = jt.tensor(floats(1, 3)).expand(2, 3)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        jt.tensor(floats(5)).unfold(0, 3, 1).mul_(2)


def test_an_integer_tensor_of_one_element_is_a_view():
    x, i = jt.tensor(X), jt.tensor(2)
    x[i, 1].zero_()
    assert not x[2, 1].any()
    assert x[1, 1].all()
    x[i] = 3
    x[0, jt.tensor(-1), 1:3] = 4
    assert (x[2] == 3).all()
    assert (x[0, 4, 1:3] == 4).all()
    assert x[0, 4, 0] == X[0, 4, 0]


def test_mask_assignment_takes_one_value_for_each_true_element():
    x, values = X.copy(), np.arange(MASK.sum(), dtype=np.float32)
    x[MASK] = values
    y = jt.tensor(X)
    y[jt.tensor(MASK)] = jt.tensor(values)
    np.testing.assert_array_equal(y.numpy(), x)
    y[y > 0] = -y[y > 0]
    assert (y <= 0).all()


@pytest.mark.parametrize(
    ("index", "match"),
    [
        (5, "index 5 is out of bounds for dimension 0 with size 4"),
        ((0, -6), "index -6 is out of bounds for dimension 1 with size 5"),
        (slice(None, None, -1), "step must be greater than zero"),
        (slice(None, None, 0), "slice step cannot be zero"),
        (slice(1.5, 2), "slice indices must be integers"),
        (1.0, r"only integers, slices .* are valid indices \(got float\)"),
        ("a", "valid indices|invalid data type 'str'"),
        ((0, 1, 2, 3), "too many indices for tensor of dimension 3"),
        ([0, 9], "index 9 is out of bounds for dimension 0 with size 4"),
        (([0, 1], [0, 1, 2]), r"could not be broadcast together with shapes \[2\], \[3\]"),
        (np.ones(3, bool), r"The shape of the mask \[3\] at index 0 does not match"),
        (np.ones((4, 3), bool), r"The shape of the mask \[4, 3\] at index 1 does not match"),
        (np.ones((4, 5, 6, 1), bool), "too many indices"),
        (np.array([0.0, 1.0]), "tensors used as indices must be long, int, byte or bool"),
    ],
    ids=repr,
)
def test_index_errors_are_pytorchs(index, match):
    error = "IndexError"
    with pytest.raises(Exception) as expected:  # noqa: PT011
        torch.from_numpy(X)[torch_index(index)]
    if not isinstance(index, str):
        error = type(expected.value).__name__
    with pytest.raises((IndexError, ValueError, TypeError), match=match) as found:
        jt.tensor(X)[index]
    assert type(found.value).__name__ == error


def test_a_number_has_no_indices():
    same_error(lambda x: indexing.getitem(x, 0), lambda x: x[0], np.array(1.0),
               match="invalid index of a 0-dim tensor")  # fmt: skip
    with pytest.raises(TypeError, match=r"len\(\) of a 0-d tensor"):
        len(jt.tensor(1.0))
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(jt.tensor(1.0))


@pytest.mark.parametrize(
    ("index", "value", "match"),
    [
        (slice(0, 2), floats(3, 3), "The expanded size of the tensor"),
        ([0, 1], floats(3), r"shape mismatch: value tensor of shape \[3\] cannot be broadcast to"),
        (ROWS, floats(2, 5, 6), "shape mismatch: value tensor of shape"),
        ([0, 1], floats(2, 5, 6, dtype=np.float64), "source and destination dtypes match"),
        (0, 1j, "value cannot be converted to type"),
    ],
    ids=["slice", "list", "mask", "dtype", "complex"],
)
def test_assignment_errors_are_pytorchs(index, value, match):
    same_error(lambda x, v: indexing.setitem(x, index, v),
               lambda x, v: x.__setitem__(torch_index(index), v),
               X, value, match=match)  # fmt: skip


def test_lists_and_strings_are_not_assigned():
    for value in ([1, 2], "a", None):
        with pytest.raises(TypeError, match="can't assign a"):
            jt.tensor(X)[0] = value


# --- functions -----------------------------------------------------------------------------------

PLACES = integers(2, 5, 3, low=0, high=4)


def test_gather_agrees_with_pytorch():
    compare(lambda x, i: ops.gather(x, 0, i), lambda x, i: x.gather(0, i), X, PLACES)
    compare(lambda x, i: ops.gather(x, -1, i), lambda x, i: x.gather(-1, i), X, PLACES)
    compare(lambda x, i: ops.gather(x, 0, i), lambda x, i: x.gather(0, i), np.array(2.0),
            np.array([0, 0]))  # fmt: skip


def test_take_and_select_agree_with_pytorch():
    places = np.array([[0, -1], [119, 3]])
    compare(ops.take, torch.take, X, places)
    compare(lambda x, i: ops.index_select(x, 1, i), lambda x, i: x.index_select(1, i), X,
            np.array([4, 0, 0]))  # fmt: skip
    order = X.argsort(1)[:, :2]
    compare(lambda x, i: ops.take_along_dim(x, i, 1), lambda x, i: x.take_along_dim(i, 1), X, order)
    compare(ops.take_along_dim, torch.take_along_dim, X, np.array([3, 1]))


def test_masked_operations_agree_with_pytorch():
    compare(lambda x, m: ops.masked_select(x, m), torch.masked_select, X, MASK)
    compare(lambda x, m: ops.masked_select(x, m), torch.masked_select, X, MASK[0])
    for value in (2, -np.inf, np.array(3.0, np.float32)):
        compare(lambda x, m, v: ops.masked_fill(x, m, v), torch.masked_fill, X, MASK[:, :1], value)
    compare(lambda x, m: ops.masked_fill(x, m, 1.5), lambda x, m: x.masked_fill(m, 1.5),
            integers(6), MASK[0, 0])  # fmt: skip


@pytest.mark.parametrize(
    "x", [X > 1, np.array(1.0), np.array(0.0), np.zeros((0, 3)), integers(3, 4)]
)
def test_nonzero_agrees_with_pytorch(x):
    compare(ops.nonzero, torch.nonzero, x, grad=False)
    compare(ops.argwhere, torch.argwhere, x, grad=False)
    compare(lambda x: ops.nonzero(x, as_tuple=True), lambda x: torch.nonzero(x, as_tuple=True), x,
            grad=False)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("gather", (0, np.array([0, 1])), "must have the same number of dimensions"),
        (
            "gather",
            (1, np.zeros((9, 1, 1), np.int64)),
            "expected index .* to be no larger than self",
        ),
        ("gather", (1, np.zeros((1, 1, 1), np.float32)), "Expected dtype int32/int64 for index"),
        (
            "gather",
            (1, np.full((1, 1, 1), 9)),
            "index 9 is out of bounds for dimension 1 with size 5",
        ),
        ("gather", (1, np.full((1, 1, 1), -1)), "index -1 is out of bounds for dimension 1"),
        ("take", (np.array([500]),), "tried to access index 500 on a tensor of 120 elements"),
        ("take", (np.array([0.5]),), "Expected a long tensor for index"),
        ("index_select", (0, np.array([4])), "index out of range in self"),
        ("index_select", (0, np.array([[1]])), "Index is supposed to be a vector"),
        ("masked_select", (np.ones(6),), "expected BoolTensor for mask"),
        ("masked_select", (np.ones(5, bool),), "must match"),
        ("masked_fill", (np.ones(6), 0), "only supports boolean masks"),
        (
            "masked_fill",
            (MASK, np.ones(2, np.float32)),
            "only supports a 0-dimensional value tensor",
        ),
        ("masked_fill", (MASK, 1j), "value cannot be converted to type"),
    ],
)
def test_gathering_errors_are_pytorchs(name, arguments, match):
    same_error(getattr(ops, name), getattr(torch, name), X, *arguments, match=match)


def test_masks_inside_a_traced_function_say_what_to_use_instead():

    with pytest.raises(RuntimeError, match=r"Use a form of fixed shape, such as where"):
        jax.jit(lambda x: indexing.getitem(x, x > 0))(jnp.ones(3))
    assert (jax.jit(lambda x: indexing.setitem(x, x > 0, 2.0))(jnp.ones(3)) == 2).all()


def test_a_position_that_cannot_be_checked_gives_nan():

    x, far = jnp.ones(3, jnp.float32), jnp.array([1, 7])
    assert np.isnan(jax.jit(indexing.getitem)(x, far)[1])
    assert np.isnan(jax.jit(lambda x, i: indexing.setitem(x, i, 2.0))(x, far)[1])
    assert np.isnan(jax.jit(lambda x, i: ops.gather(x, 0, i))(x, far)[1])
    assert np.isnan(jax.jit(lambda x, i: ops.index_select(x, 0, i))(x, far)[1])


def test_nonzero_static_fills_up_what_is_not_found():
    for x in (np.zeros((3, 0)), np.array([1, 0, 2]), np.array(1.0), MASK[0]):
        compare(lambda v: ops.nonzero_static(v, size=4),
                lambda v: torch.nonzero_static(v, size=4), x, grad=False)  # fmt: skip


def test_coordinates_are_int64_for_positions_of_any_type():
    compare(lambda i: ops.unravel_index(i, (3, 300)), lambda i: torch.unravel_index(i, (3, 300)),
            np.array([250, 7], np.uint8))  # fmt: skip

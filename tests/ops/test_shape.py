"""Views, pieces and rearrangements against PyTorch."""

import numpy as np
import pytest
import torch

from jtoolbox import ops
from tests.ops.cases import bools, floats, integers
from tests.reference import compare, same_error

X = floats(2, 3, 4)


def on(name, *args, **kwargs):
    """`name(x, ...)` of jtoolbox, and the Tensor method of PyTorch, on X."""
    return name, args, kwargs


VIEWS = [
    on("view", 4, 6), on("view", (-1, 8)), on("view", 24), on("reshape", (3, -1)),
    on("reshape", (2, 3, 4)), on("flatten"), on("flatten", 1), on("flatten", 0, 1),
    on("flatten", -2, -1), on("unflatten", 2, (2, -1)), on("unflatten", -1, (2, 2)), on("ravel"),
    on("unsqueeze", 0), on("unsqueeze", -1), on("unsqueeze", 3), on("squeeze"), on("squeeze", 0),
    on("transpose", 0, 2), on("transpose", -1, -2), on("swapaxes", 0, 1), on("swapdims", 1, 2),
    on("permute", (2, 0, 1)), on("permute", (-1, 0, 1)), on("movedim", 0, 2),
    on("movedim", (0, 1), (2, 0)), on("moveaxis", -1, 0), on("expand", 5, -1, -1, -1),
    on("expand", (2, 3, 4)), on("diagonal"), on("diagonal", 1, 1, 2), on("diagonal", -1, 2, 0),
    on("unfold", 2, 2, 1), on("unfold", 1, 2, 2), on("unfold", 0, 1, 3), on("adjoint"),
    on("narrow", 1, 1, 2), on("narrow", 2, -2, 1), on("select", 0, 1), on("select", -1, -2),
    on("split", 2, 2), on("split", 3, 2), on("split", [1, 3], -1), on("chunk", 2, 2),
    on("chunk", 5, 1), on("tensor_split", 3, 2), on("tensor_split", [1, 3], 2), on("hsplit", 3),
    on("vsplit", 2), on("dsplit", [1]), on("unbind"), on("unbind", 2), on("contiguous"),
]  # fmt: skip
COPIES = [
    on("repeat", 2, 1, 3), on("repeat", 2, 1, 1, 2), on("tile", (2,)), on("tile", (2, 1, 2, 1)),
    on("repeat_interleave", 2), on("repeat_interleave", 3, 1), on("roll", 1), on("roll", -2, 1),
    on("roll", (1, 2), (0, 2)), on("flip", 0), on("flip", 0, -1), on("flip", (1,)), on("fliplr"),
    on("flipud"), on("rot90"), on("rot90", 3, (0, 2)), on("rot90", -1, (1, 2)), on("diff"),
    on("diff", 2, 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), VIEWS + COPIES, ids=str)
def test_shape_operations_agree_with_pytorch(name, args, kwargs):
    ours, theirs = getattr(ops, name), getattr(torch.Tensor, name)
    compare(lambda x: ours(x, *args, **kwargs), lambda x: theirs(x, *args, **kwargs), X)


@pytest.mark.parametrize("name", ["flatten", "squeeze", "ravel", "fliplr", "flipud", "t"])
@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (0, 2)])
def test_small_shapes_agree_with_pytorch(name, shape):
    x = floats(*shape) if shape else np.array(2.5, np.float32)
    function, theirs = getattr(ops, name), getattr(torch.Tensor, name)
    try:
        theirs(torch.from_numpy(x))
    except RuntimeError:
        same_error(function, theirs, x, match="Input must be")
    else:
        compare(function, theirs, x)


def test_squeeze_takes_several_dimensions():
    x = floats(1, 3, 1, 2, 1)
    for dim in (0, (0, 2), (-1, 1), None):
        args = () if dim is None else (dim,)
        compare(lambda x, a=args: ops.squeeze(x, *a), lambda x, a=args: x.squeeze(*a), x)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float64, torch.int16, torch.uint8])
def test_view_as_another_type_keeps_the_bits(dtype):
    numpy_dtype = torch.zeros(0, dtype=dtype).numpy().dtype
    compare(lambda x: ops.view(x, dtype=numpy_dtype), lambda x: x.view(dtype), X, grad=False)


def test_complex_numbers_can_be_seen_as_pairs():
    z = (floats(3, 2) + 1j * floats(3, 2, seed=1)).astype(np.complex64)
    compare(ops.view_as_real, torch.view_as_real, z, grad=False)
    compare(ops.view_as_complex, torch.view_as_complex, floats(3, 2), grad=False)


def test_broadcast_and_atleast_agree_with_pytorch():
    x = floats(3)
    compare(lambda x: ops.broadcast_to(x, (2, 3)), lambda x: x.broadcast_to(2, 3), x)
    compare(ops.expand_as, lambda x, y: x.expand_as(y), x, floats(4, 3))
    for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
        compare(getattr(ops, name), getattr(torch, name), x, floats(2, 2), np.array(1, np.float32))


def test_repeat_interleave_takes_a_count_for_each_slice():
    counts = np.array([1, 0, 2])
    compare(lambda x, c: ops.repeat_interleave(x, c, 1),
            lambda x, c: x.repeat_interleave(c, 1), X, counts)  # fmt: skip
    compare(lambda x, c: ops.repeat_interleave(x, c, 1, output_size=3),
            lambda x, c: x.repeat_interleave(c, 1, output_size=3), X, counts)  # fmt: skip
    compare(ops.repeat_interleave, torch.repeat_interleave, counts)


def test_diff_joins_what_is_put_before_and_after():
    x, y = floats(3), floats(2, seed=1)
    compare(lambda x, y: ops.diff(x, prepend=y), lambda x, y: torch.diff(x, prepend=y), x, y)
    compare(ops.diff, torch.diff, bools(6))
    compare(lambda x: ops.diff(x, 9), lambda x: torch.diff(x, 9), integers(4))


@pytest.mark.parametrize(
    ("name", "args", "match"),
    [
        ("view", (5, 5), r"shape '\[5, 5\]' is invalid for input of size 24"),
        ("view", (-1, -1), "only one dimension can be inferred"),
        ("view", (-2, 12), "invalid shape dimension -2"),
        ("view", (), "view"),
        ("reshape", ((-1, 5),), r"shape '\[-1, 5\]' is invalid for input of size 24"),
        ("flatten", (1, 0), "start_dim cannot come after end_dim"),
        ("flatten", (5,), "Dimension out of range"),
        ("unflatten", (2, (3, 5)), "don't multiply up to the size of dim 2"),
        ("squeeze", (3,), r"expected to be in range of \[-3, 2\], but got 3"),
        ("unsqueeze", (5,), r"expected to be in range of \[-4, 3\], but got 5"),
        ("transpose", (0, 3), "Dimension out of range"),
        ("t", (), "t\\(\\) expects a tensor with <= 2 dimensions, but self is 3D"),
        ("permute", ((0, 1),), "does not match the length of the desired ordering"),
        ("permute", ((0, 0, 1),), "duplicate dims are not allowed"),
        ("movedim", ((0, 1), (0,)), "Invalid source or destination dims"),
        ("expand", (3,), "must be greater or equal to the number of dimensions"),
        ("expand", (2, 2, 4), "The expanded size of the tensor \\(2\\) must match the existing"),
        ("expand", (-1, 2, 3, 4), "isn't allowed in a leading, non-existing dimension 0"),
        ("diagonal", (0, 1, 1), "diagonal dimensions cannot be identical"),
        ("unfold", (2, 5, 1), "maximum size for tensor at dimension 2 is 4 but size is 5"),
        ("unfold", (2, 2, 0), "step is 0 but must be > 0"),
        ("narrow", (0, 1, 5), r"start \(1\) \+ length \(5\) exceeds dimension size \(2\)"),
        ("narrow", (0, 5, 1), "start out of range"),
        ("select", (0, 5), "index 5 out of range for tensor of size"),
        ("split", (0, 0), "split_size can only be 0 if dimension size is 0"),
        ("split", ([1, 1], 2), "expects split_sizes to sum exactly to 4"),
        ("chunk", (0,), "chunk expects `chunks` to be greater than 0, got: 0"),
        ("tensor_split", (0,), "number of sections must be larger than 0"),
        ("hsplit", (2,), "is not divisible by the split_size 2"),
        ("repeat", (2,), "can not be smaller than number of dimensions of tensor"),
        ("roll", ((1, 2), 0), "shifts and dimensions must align"),
        ("flip", (0, 0), "appears multiple times in the list of dims"),
        ("rot90", (1, (0, 0)), "expected rotation dims to be different"),
    ],
)
def test_shape_errors_are_pytorchs(name, args, match):
    same_error(
        lambda x: getattr(ops, name)(x, *args), lambda x: getattr(x, name)(*args), X, match=match
    )


def test_a_number_has_windows_and_no_dimensions_to_squeeze():
    number = np.array(2.0, np.float32)
    for size in (0, 1):
        compare(ops.unfold, torch.Tensor.unfold, number, 0, size, 1)
    compare(lambda x: ops.squeeze(x, ()), lambda x: torch.squeeze(x, ()), X[:1])


@pytest.mark.parametrize(
    ("f", "g", "args", "match"),
    [
        (ops.roll, torch.roll, (X, ()), "shifts. required"),
        (ops.roll, torch.roll, (X[0, 0, 0, ...].reshape(()), 0, 0), "has no dimensions"),
        (ops.narrow, torch.narrow, (X[0, 0, 0, ...].reshape(()), 0, 0, 1), "0-dim tensor"),
        (ops.linspace, torch.linspace, (X[0, 0], X[0, 0], 3), "0-dimensional start and end"),
        (ops.amax, torch.amax, (X[:0],), "Expected reduction dim to be specified"),
        (ops.renorm, torch.renorm, (X[0, 0], 2, 0, 1.0), "at least 2 dimensions"),
    ],
)
def test_what_has_no_meaning_raises(f, g, args, match):
    same_error(f, g, *args, match=match)

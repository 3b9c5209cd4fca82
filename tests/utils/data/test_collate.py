"""Collation against PyTorch's, type by type."""

import collections
import copy
import importlib
import types

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.utils.data as theirs

import jtoolbox as jt
import jtoolbox.utils.data as data
from tests.nn.both import both
from tests.reference import assert_same, to_torch

Pair = collections.namedtuple("Pair", "x y")


class Bag(dict):
    """A mapping type of one's own."""


BATCHES = {
    "floats": [1.5, 2.0],
    "integers": [1, 2],
    "booleans": [True, False],
    "an integer first": [1, 2.5],
    "a float first": [1.5, 2],
    "strings": ["a", "b"],
    "bytes": [b"a"],
    "float32 scalars": [np.float32(1), np.float32(2)],
    "float64 scalars": [np.float64(1)],
    "float16 scalars": [np.float16(1)],
    "int32 scalars": [np.int32(1), np.int32(5)],
    "uint8 scalars": [np.uint8(3)],
    "bool scalars": [np.bool_(True)],
    "complex scalars": [np.complex64(1j)],
    "int16 arrays": [np.zeros(2, np.int16), np.ones(2, np.int16)],
    "arrays without dimensions": [np.array(3.0), np.array(4.0)],
    "empty arrays": [np.zeros((0, 3))],
    "arrays of two dtypes": [np.zeros(2, np.float32), np.ones(2)],
    "integers and floats": [np.zeros(2, np.int64), np.ones(2, np.float32)],
    "tuples": [(1, 2.0), (3, 4.0)],
    "lists": [[1, "x"], [2, "y"]],
    "named tuples": [Pair(np.zeros(2), 1), Pair(np.ones(2), 2)],
    "dicts": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "a key less in the first": [{"a": 1}, {"a": 2, "b": 3}],
    "nested": [{"a": [np.zeros(2), (1, "s")]}] * 3,
    "mappings of a type": [Bag(a=1), Bag(a=2)],
    "ordered dicts": [collections.OrderedDict(a=1.0)] * 2,
    "user dicts": [collections.UserDict(a=1.0)] * 2,
    "read-only mappings": [types.MappingProxyType({"a": 1})] * 2,
    "ranges": [range(2), range(2)],
    "deques": [collections.UserList([1, 2.0])] * 2,
}


@pytest.mark.parametrize("name", BATCHES)
def test_default_collate_gives_pytorchs_values_types_and_structure(name):
    batch = BATCHES[name]
    ours, reference = data.default_collate(batch), theirs.default_collate(copy.copy(batch))
    same_structure(ours, reference)


def same_structure(ours, reference):
    if isinstance(reference, torch.Tensor):
        assert isinstance(ours, jt.Tensor)
        assert_same(ours, reference)
        return
    assert type(ours) is type(reference)
    if isinstance(reference, collections.abc.Mapping):
        assert list(ours) == list(reference)
        for key in reference:
            same_structure(ours[key], reference[key])
    elif isinstance(reference, collections.abc.Sequence) and not isinstance(reference, str | bytes):
        assert len(ours) == len(reference)
        for a, b in zip(ours, reference, strict=True):
            same_structure(a, b)
    else:
        assert ours == reference


ITEMS = {
    "an integer": 1,
    "a string": "a",
    "None": None,
    "an array": np.arange(3),
    "a scalar": np.float32(2),
    "a list": [np.zeros(1), 1],
    "a tuple": (np.zeros(1), "x"),
    "a named tuple": Pair(np.zeros(2), 1),
    "a dict": {"a": np.zeros(1)},
    "a mapping of a type": Bag(a=np.ones(2)),
    "a range": range(3),
}


@pytest.mark.parametrize("name", ITEMS)
def test_default_convert_makes_arrays_tensors_and_leaves_the_rest(name):
    same_structure(data.default_convert(ITEMS[name]), theirs.default_convert(ITEMS[name]))


def test_default_convert_leaves_arrays_of_strings_alone():
    strings = np.array(["a", "b"])
    assert data.default_convert(strings) is strings


def test_tensors_are_stacked():
    arrays = [np.full((2, 3), i, np.float32) for i in range(3)]
    ours = data.default_collate([jt.tensor(a) for a in arrays])
    assert_same(ours, theirs.default_collate([to_torch(a) for a in arrays]))


def test_bfloat16_keeps_its_type():
    arrays = [np.full(3, i, ml_dtypes.bfloat16) for i in range(2)]
    assert_same(data.default_collate(arrays), torch.stack([to_torch(a) for a in arrays]))


def test_the_batch_is_a_copy():
    array = np.zeros(2000)
    batch = data.default_collate([array])
    converted = data.default_convert(array)
    array[:] = 1
    assert not np.asarray(batch).any()
    assert not np.asarray(converted).any()


def test_big_batches_start_at_a_multiple_of_64_bytes():
    for width in range(1000, 1010):
        batch = data.default_collate([np.zeros(width), np.zeros(width)])
        assert np.asarray(batch).ctypes.data % 64 == 0


ERRORS = {
    "None": ([None], "found <class 'NoneType'>"),
    "a set": ([{1, 2}], "found <class 'set'>"),
    "a complex number": ([1j], "found <class 'complex'>"),
    "an object": ([object()], "pass a collate_fn"),
    "an array of strings": ([np.array("a")], "found <U1"),
    "an array of objects": ([np.array(["a"], object)], "found object"),
    "a date": ([np.datetime64("2020-01-01")], "datetime64"),
    "nothing": ([], "range"),
    "unequal shapes": ([np.zeros(2), np.zeros(3)], r"got \[2\] at entry 0 and \[3\]"),
    "unequal lengths": ([(1,), (1, 2)], r"equal size, found lengths \[1, 2\]"),
    "a missing key": ([{"a": 1, "b": 1}, {"a": 1}], "b"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_collated_raises_pytorchs_error(name):
    batch, match = ERRORS[name]
    with pytest.raises(Exception) as expected:  # noqa: PT011
        theirs.default_collate(batch)
    with pytest.raises(type(expected.value), match=match):
        data.default_collate(batch)


@both
def test_types_of_ones_own_are_collated_by_their_function(lib):
    class Box:
        def __init__(self, value):
            self.value = value

    class Flat(Box):
        pass

    class Record(dict):
        pass

    def boxes(batch, *, collate_fn_map=None):
        return [collate.collate([b.value for b in batch], collate_fn_map=collate_fn_map)]

    collate = importlib.import_module(f"{lib.__name__}.utils.data._utils.collate")
    own = {Box: boxes, Record: lambda batch, *, collate_fn_map=None: len(batch)}
    functions = {**own, **collate.default_collate_fn_map}
    batch = collate.collate([(Flat(1), "a"), (Flat(2), "b")], collate_fn_map=functions)
    assert batch[0][0].tolist() == [1, 2]
    assert list(batch[1]) == ["a", "b"]
    assert collate.collate([Record(a=1), Record(a=2)], collate_fn_map=functions) == 2
    collate.default_collate_fn_map.update(own)
    try:
        found = lib.utils.data.default_collate([{"x": Box(1.5)}, {"x": Box(2.5)}])
    finally:
        for kind in own:
            del collate.default_collate_fn_map[kind]
    assert found["x"][0].tolist() == [1.5, 2.5]
    with pytest.raises(TypeError, match="Box"):
        lib.utils.data.default_collate([Box(1)])


@both
def test_gradients_flow_through_a_batch_of_tensors(lib):
    x = lib.ones(2, requires_grad=True)
    lib.utils.data.default_collate([x[0], x[1] * 3]).sum().backward()
    assert x.grad.tolist() == [1, 3]

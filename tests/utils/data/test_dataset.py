"""Datasets against PyTorch's."""

import numpy as np
import pytest
import torch
import torch.utils.data as theirs

import jtoolbox as jt
import jtoolbox.utils.data as data
from tests.reference import assert_same
from tests.utils.data.datasets import Squares, Stream, Whole

X = np.random.default_rng(0).standard_normal((10, 2, 3)).astype(np.float32)
Y = np.arange(10)


class TheirStream(theirs.IterableDataset):
    def __iter__(self):
        return iter(range(5))


def ours_and_theirs():
    return (
        data.TensorDataset(jt.tensor(X), jt.tensor(Y)),
        theirs.TensorDataset(torch.tensor(X), torch.tensor(Y)),
    )


@pytest.mark.parametrize("index", [0, 3, -1, slice(2, 5), [1, 4, 1]])
def test_a_tensor_dataset_indexes_as_pytorchs(index):
    ours, reference = ours_and_theirs()
    assert len(ours) == len(reference)
    assert_same(ours[index], reference[index])
    assert all(isinstance(column, jt.Tensor) for column in ours[index])


def test_a_tensor_dataset_takes_a_tensor_of_indices():
    ours, reference = ours_and_theirs()
    assert_same(ours[jt.tensor(np.array([1, 2]))], reference[torch.tensor([1, 2])])


def test_gathered_batches_equal_collated_samples():
    ours, _ = ours_and_theirs()
    indices = [3, 0, 9, 3, -1]
    gathered = data.default_collate(ours.__getitems__(indices))
    collated = data.default_collate([ours[i] for i in indices])
    for a, b in zip(gathered, collated, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_a_gathered_batch_is_also_the_sequence_of_its_samples():
    ours, _ = ours_and_theirs()
    samples = ours.__getitems__([3, 0])
    assert len(samples) == 2
    for got, index in zip(samples, [3, 0], strict=True):
        for a, b in zip(got, ours[index], strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert len(samples[:1]) == 1


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: a[::-1], lambda a: a[:, :, ::2]])
def test_arrays_of_any_layout_are_gathered(layout):
    array = layout(X)
    (batch,) = data.default_collate(data.TensorDataset(array).__getitems__([4, 2]))
    np.testing.assert_array_equal(np.asarray(batch), array[[4, 2]])


def test_batches_are_copies_of_the_dataset():
    array = X.copy()
    dataset = data.TensorDataset(array)
    (sample,), (batch,) = dataset[0], data.default_collate(dataset.__getitems__([0]))
    array[0] = 7
    np.testing.assert_array_equal(np.asarray(sample), X[0])
    np.testing.assert_array_equal(np.asarray(batch)[0], X[0])


def test_an_index_out_of_range_is_an_index_error():
    ours, _ = ours_and_theirs()
    with pytest.raises(IndexError, match="out of bounds"):
        ours[10]
    with pytest.raises(IndexError, match="out of bounds"):
        ours.__getitems__([0, 10])


def test_subset_concat_and_stack_give_pytorchs_samples():
    for d, base in ((data, Squares(6)), (theirs, Squares(6))):
        subset = d.Subset(base, [4, 1, 3])
        joined = d.ConcatDataset([base, subset])
        assert [subset[i][1] for i in range(3)] == [4, 1, 3]
        assert [s[1] for s in subset.__getitems__([2, 0])] == [3, 4]
        assert [joined[i][1] for i in (0, 5, 6, 8, -1, -9)] == [0, 5, 4, 3, 3, 0]
        assert len(joined) == 9
        stacked = d.StackDataset(subset, a) if (a := d.Subset(base, [0, 1, 2])) else None
        assert [part[1] for part in stacked[1]] == [1, 1]
        named = d.StackDataset(x=subset, y=a)
        assert sorted(named[0]) == ["x", "y"]
        assert [row["x"][1] for row in named.__getitems__([0, 2])] == [4, 3]


def test_plus_concatenates_and_chains():
    joined = Squares(3) + Squares(2)
    assert isinstance(joined, data.ConcatDataset)
    assert len(joined) == 5
    chained = Stream(3) + Stream(2)
    assert isinstance(chained, data.ChainDataset)
    assert list(chained) == [0, 1, 2, 0, 1]


def test_a_subset_passes_whole_batches_on():
    base = Whole(6)
    samples = data.Subset(base, [5, 4, 3]).__getitems__([0, 2])
    assert [label for _, label in samples] == [5, 3]
    assert base.calls == 1


@pytest.mark.parametrize(
    "lengths", [[3, 7], [0.3, 0.7], [0.33, 0.33, 0.34], [0.5, 0.5], [10], [0.01, 0.99]]
)
@pytest.mark.filterwarnings("ignore:Length of split")
def test_random_split_cuts_into_pytorchs_lengths_without_overlap(lengths):
    ours = data.random_split(Squares(10), lengths)
    reference = theirs.random_split(Squares(10), lengths)
    assert [len(part) for part in ours] == [len(part) for part in reference]
    assert sorted(i for part in ours for i in part.indices) == list(range(10))


def test_random_split_repeats_with_its_generator():
    def parts(seed):
        generator = jt.random.Generator().manual_seed(seed)
        return [part.indices for part in data.random_split(range(30), [10, 20], generator)]

    assert parts(1) == parts(1) != parts(2)


def test_an_empty_part_is_told():
    with pytest.warns(UserWarning, match="split at index 0 is 0"):
        data.random_split(range(3), [0.0, 1.0])


ERRORS = [
    (lambda d, t: d.TensorDataset(t(X), t(Y[:4])), "Size mismatch between tensors"),
    (lambda d, t: d.ConcatDataset([]), "empty iterable"),
    (lambda d, t: d.ConcatDataset([Squares(3)])[-4], "absolute value of index"),
    (lambda d, t: d.ConcatDataset([Squares(3)])[4], "range"),
    (lambda d, t: list(d.ChainDataset([Squares(3)])), "only supports IterableDataset"),
    (lambda d, t: d.StackDataset(Squares(3), Squares(4)), "Size mismatch between datasets"),
    (lambda d, t: d.StackDataset(), "At least one dataset"),
    (lambda d, t: d.StackDataset(Squares(3), x=Squares(3)), "not both|both types"),
    (lambda d, t: d.random_split(Squares(5), [1, 2]), "Sum of input lengths"),
    (lambda d, t: d.random_split(Squares(5), [0.5, 0.6]), "Sum of input lengths"),
    (lambda d, t: d.random_split(Squares(5), [1.2, -0.2]), "Fraction at index 0"),
    (lambda d, t: d.Dataset()[0], "should implement __getitem__"),
    (lambda d, t: d.Subset(Squares(5), [1])[3], "range"),
]


@pytest.mark.parametrize(("make", "match"), ERRORS)
def test_bad_arguments_raise_pytorchs_error(make, match):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        make(theirs, torch.tensor)
    with pytest.raises(type(expected.value), match=match):
        make(data, jt.tensor)


def test_iterable_datasets_are_not_concatenated():
    with pytest.raises(AssertionError, match="use ChainDataset"):
        data.ConcatDataset([Stream(3)])


def test_an_iterable_dataset_must_implement_iter():
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(data.IterableDataset())

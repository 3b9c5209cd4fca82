"""Samplers against PyTorch's: order where it is defined, counts and errors everywhere."""

import collections
import itertools

import pytest
import torch.utils.data as theirs

import jtoolbox as jt
import jtoolbox.utils.data as data
from jtoolbox.utils.data.sampler import iterate


def seeded(seed):
    return jt.random.Generator().manual_seed(seed)


def test_a_sequential_sampler_counts_up():
    assert list(data.SequentialSampler(range(5))) == list(theirs.SequentialSampler(range(5)))
    assert len(data.SequentialSampler(range(5))) == 5


def test_a_random_sampler_visits_every_index_once():
    order = list(data.RandomSampler(range(20_000)))
    assert sorted(order) == list(range(20_000))
    assert order != sorted(order)
    assert all(type(i) is int for i in order)


def test_the_same_generator_seed_gives_the_same_order_and_the_next_epoch_another():
    sampler = data.RandomSampler(range(50), generator=seeded(3))
    first, second = list(sampler), list(sampler)
    assert first != second
    assert first == list(data.RandomSampler(range(50), generator=seeded(3)))


def test_manual_seed_repeats_an_order():
    sampler = data.RandomSampler(range(50))
    jt.random.manual_seed(5)
    first = list(sampler)
    jt.random.manual_seed(5)
    assert first == list(sampler)


def test_all_64_bits_of_a_seed_count():
    a = list(data.RandomSampler(range(50), generator=seeded(1)))
    assert a != list(data.RandomSampler(range(50), generator=seeded(1 + 2**40)))


def test_more_samples_than_the_dataset_come_as_whole_permutations():
    order = list(data.RandomSampler(range(10), num_samples=25))
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert len(order) == 25


def test_replacement_draws_uniformly():
    counts = collections.Counter(data.RandomSampler(range(4), True, 40_000, seeded(0)))
    assert all(abs(counts[i] - 10_000) < 400 for i in range(4))


def test_a_subset_random_sampler_permutes_its_indices():
    order = list(data.SubsetRandomSampler([5, 7, 9, 11], seeded(1)))
    assert sorted(order) == [5, 7, 9, 11]


def test_a_weighted_sampler_follows_its_weights():
    sampler = data.WeightedRandomSampler([1, 0, 3], 40_000, generator=seeded(0))
    counts = collections.Counter(sampler)
    assert counts[1] == 0
    assert abs(counts[2] / counts[0] - 3) < 0.15


def test_a_weighted_sampler_without_replacement_repeats_nothing():
    sampler = data.WeightedRandomSampler([1, 2, 0, 4], 3, replacement=False)
    assert sorted(sampler) == [0, 1, 3]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("n", "size"), [(10, 3), (9, 3), (2, 3), (0, 3)])
def test_a_batch_sampler_groups_as_pytorchs(n, size, drop_last):
    ours = data.BatchSampler(data.SequentialSampler(range(n)), size, drop_last)
    reference = theirs.BatchSampler(theirs.SequentialSampler(range(n)), size, drop_last)
    assert list(ours) == list(reference)
    assert len(ours) == len(reference)


@pytest.mark.parametrize("start", [0, 1, 3, 9])
def test_an_epoch_can_be_taken_up_at_any_batch(start):
    batches = data.BatchSampler(data.RandomSampler(range(20)), 3, False)
    assert list(iterate(batches, 7, start)) == list(iterate(batches, 7))[start:]


def test_a_subclass_that_iterates_in_its_own_way_is_iterated():
    class Backwards(data.RandomSampler):
        def __iter__(self):
            return reversed(range(4))

    assert list(iterate(Backwards(range(4)), 0, 1)) == [2, 1, 0]


@pytest.mark.parametrize("n", [2, 5, 9])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_distributed_sampler_shares_out_as_pytorchs(n, drop_last):
    for rank in range(4):
        arguments = {"num_replicas": 4, "rank": rank, "shuffle": False, "drop_last": drop_last}
        ours = data.DistributedSampler(range(n), **arguments)
        reference = theirs.DistributedSampler(range(n), **arguments)
        assert list(ours) == list(reference)
        assert len(ours) == len(reference)


def test_a_shuffled_distributed_sampler_covers_the_dataset_and_changes_with_the_epoch():
    parts = [data.DistributedSampler(range(12), 3, rank) for rank in range(3)]
    first = [list(part) for part in parts]
    assert sorted(itertools.chain(*first)) == list(range(12))
    for part in parts:
        part.set_epoch(1)
    assert [list(part) for part in parts] != first


def test_a_forgotten_set_epoch_is_told():
    sampler = data.DistributedSampler(range(12), 3, 0)
    list(sampler)
    with pytest.warns(UserWarning, match="set_epoch"):
        list(sampler)


def test_a_distributed_sampler_asks_jax_for_the_processes():
    sampler = data.DistributedSampler(range(12))
    assert (sampler.num_replicas, sampler.rank) == (1, 0)


ERRORS = [
    (lambda d: d.RandomSampler(range(3), replacement=3), "replacement should be a boolean"),
    (lambda d: d.RandomSampler(range(3), num_samples=0), "positive integer"),
    (lambda d: d.RandomSampler(range(3), num_samples=2.5), "positive integer"),
    (lambda d: d.RandomSampler(range(0)), "the dataset is empty"),
    (lambda d: d.WeightedRandomSampler([1.0, 2], 0), "num_samples should be a positive"),
    (lambda d: d.WeightedRandomSampler([[1.0, 2]], 2), "1d sequence"),
    (lambda d: d.WeightedRandomSampler([1.0, 2], 2, 3), "boolean"),
    (lambda d: list(d.WeightedRandomSampler([1.0, 2], 3, False)), "without replacement"),
    (lambda d: list(d.WeightedRandomSampler([1.0, -2], 3)), "invalid multinomial"),
    (lambda d: d.BatchSampler(range(3), 0, False), "batch_size should be a positive"),
    (lambda d: d.BatchSampler(range(3), True, False), "batch_size should be a positive"),
    (lambda d: d.BatchSampler(range(3), 2, 1), "drop_last should be a boolean"),
    (lambda d: d.DistributedSampler(range(3), 2, 2), "Invalid rank 2"),
]


@pytest.mark.parametrize(("make", "match"), ERRORS)
def test_bad_arguments_raise_pytorchs_error(make, match):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        make(theirs)
    with pytest.raises(type(expected.value), match=match):
        make(data)


def test_something_else_than_a_generator_is_refused():
    with pytest.raises(TypeError, match=r"jtoolbox\.Generator"):
        list(data.RandomSampler(range(3), generator=42))

"""The loader without workers: batches and errors against PyTorch's, randomness, state."""

import copy
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
import torch.utils.data as theirs

import jtoolbox as jt
import jtoolbox.utils.data as data
from tests.reference import assert_same
from tests.utils.data.datasets import (
    Random,
    SizedStream,
    Squares,
    Stream,
    Values,
    Whole,
    as_tensors,
    identity,
)

X = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
Y = np.arange(10)


class TheirStream(theirs.IterableDataset):
    def __init__(self, length):
        self.length = length

    def __iter__(self):
        return iter(range(self.length))


def arrays(batches):
    """Batches of Tensors as nested lists, for comparison by ==."""
    return [[np.asarray(t).tolist() for t in (b if isinstance(b, list) else [b])] for b in batches]


def seeded(seed):
    return jt.random.Generator().manual_seed(seed)


SETTINGS = [
    {},
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": 5},
    {"batch_size": 20},
    {"batch_size": 20, "drop_last": True},
    {"batch_size": None},
    {"sampler": [4, 2, 2], "batch_size": 2},
    {"batch_sampler": [[1], [5, 6], [0, 9, 3]]},
    {"sampler": [[1, 2], [0]], "batch_size": None},
    {"shuffle": False, "batch_size": 4},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_batches_are_pytorchs(settings):
    ours = data.DataLoader(data.TensorDataset(jt.tensor(X), jt.tensor(Y)), **settings)
    reference = theirs.DataLoader(
        theirs.TensorDataset(torch.tensor(X), torch.tensor(Y)), **settings
    )
    assert len(ours) == len(reference)
    for _ in range(2):
        ours_batches, batches = list(ours), list(reference)
        assert_same(ours_batches, batches)
        assert all(isinstance(t, jt.Tensor) for batch in ours_batches for t in batch)
        assert type(ours_batches[0]) is type(batches[0]) if batches else True


@pytest.mark.parametrize("settings", SETTINGS[:-3], ids=str)
def test_a_dataset_of_samples_gives_pytorchs_batches(settings):
    if "sampler" in settings or "batch_sampler" in settings:
        settings = {**settings}
    samples = [{"x": x, "y": float(y), "name": str(y)} for x, y in zip(X, Y, strict=True)]
    ours = list(data.DataLoader(Values(samples), **settings))
    reference = list(theirs.DataLoader(Values(samples), **settings))
    assert [b["name"] for b in ours] == [b["name"] for b in reference]
    assert_same(
        [(b["x"], b["y"]) for b in ours if settings.get("batch_size", 1)],
        [(b["x"], b["y"]) for b in reference if settings.get("batch_size", 1)],
    )


@pytest.mark.parametrize("settings", [{}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}], ids=str)  # fmt: skip  # noqa: E501
def test_a_stream_gives_pytorchs_batches(settings):
    ours, reference = (
        list(data.DataLoader(Stream(10), **settings)),
        list(theirs.DataLoader(TheirStream(10), **settings)),
    )
    assert_same(ours, reference)


def test_a_custom_collation_gets_a_list_of_samples_and_its_result_is_left_alone():
    for dataset in (data.TensorDataset(X, Y), Squares(10)):
        (batch, *_) = data.DataLoader(dataset, 3, collate_fn=identity)
        assert type(batch) is list
        assert [len(sample) for sample in batch] == [2, 2, 2]
    (batch, *_) = data.DataLoader(Squares(10), 3, collate_fn=as_tensors)
    assert isinstance(batch[0][0], jt.Tensor)
    assert isinstance(batch[1], np.ndarray)


def test_whole_batches_are_fetched_where_the_dataset_offers_it():
    dataset = Whole(10)
    batches = list(data.DataLoader(dataset, 4))
    assert dataset.calls == 3
    assert arrays(batches) == arrays(data.DataLoader(Squares(10), 4))


def test_shuffling_visits_everything_in_a_new_order_each_epoch():
    loader = data.DataLoader(data.TensorDataset(Y), 4, shuffle=True)
    epochs = [np.concatenate([np.asarray(b) for (b,) in loader]).tolist() for _ in range(3)]
    assert all(sorted(epoch) == Y.tolist() for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_manual_seed_repeats_an_epoch_and_a_generator_does():
    loader = data.DataLoader(data.TensorDataset(np.arange(50)), 4, shuffle=True)
    jt.random.manual_seed(0)
    first, second = arrays(loader), arrays(loader)
    jt.random.manual_seed(0)
    assert arrays(loader) == first != second
    a, b = (
        data.DataLoader(data.TensorDataset(np.arange(50)), 4, shuffle=True, generator=seeded(1))
        for _ in range(2)
    )
    assert arrays(a) == arrays(b)


def test_the_generator_of_a_sampler_decides_its_order():
    def order(seed):
        sampler = data.RandomSampler(range(50), generator=seeded(seed))
        return arrays(data.DataLoader(data.TensorDataset(np.arange(50)), 4, sampler=sampler))

    assert order(1) == order(1) != order(2)


def test_without_workers_a_dataset_draws_from_the_process_as_in_pytorch():
    np.random.seed(3)
    random.seed(3)
    ours = np.concatenate([np.asarray(b) for b in data.DataLoader(Random(6), 2)])
    np.random.seed(3)
    random.seed(3)
    reference = torch.cat(list(theirs.DataLoader(Random(6), 2))).numpy()
    np.testing.assert_array_equal(ours[:, :3], reference[:, :3])


def test_a_seed_fixes_everything_and_leaves_the_process_alone():
    def epochs(seed):
        loader = data.DataLoader(Random(6), 2, shuffle=True, seed=seed)
        return [arrays(loader), arrays(loader)]

    random.seed(1)
    np.random.seed(1)
    state = jt.random.default_generator.get_state()
    one, two = epochs(5)
    assert [one, two] == epochs(5)
    assert one != two
    assert epochs(5) != epochs(6)
    drawn = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    assert drawn == (random.random(), np.random.rand())
    np.testing.assert_array_equal(jt.random.default_generator.get_state(), state)


@pytest.mark.parametrize("settings", [{}, {"seed": 4}], ids=str)
@pytest.mark.parametrize("at", [0, 1, 4, 5])
def test_an_epoch_continues_after_the_last_delivered_batch(settings, at):
    def make():
        return data.DataLoader(data.TensorDataset(np.arange(20)), 4, shuffle=True, **settings)

    jt.random.manual_seed(9)
    loader = make()
    list(loader)
    iterator = iter(loader)
    for _ in range(at):
        next(iterator)
    state, generator = loader.state_dict(), jt.random.default_generator.get_state()
    rest, after = arrays(iterator), arrays(loader)
    assert state["epoch"] == 1
    assert state["batch"] == at

    resumed = make()
    resumed.load_state_dict(pickle.loads(pickle.dumps(state)))
    jt.random.default_generator.set_state(generator)
    assert arrays(resumed) == rest
    assert arrays(resumed) == after


def test_a_state_says_the_epoch_and_the_delivered_batches():
    loader = data.DataLoader(Squares(10), 4)
    assert loader.state_dict() == {"seed": None, "epoch": 0, "batch": 0}
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    assert (state["epoch"], state["batch"]) == (0, 1)
    list(iterator)
    assert loader.state_dict() == {"seed": None, "epoch": 1, "batch": 0}
    next(iter(loader))
    next(iter(loader))
    state = loader.state_dict()
    assert (state["epoch"], state["batch"]) == (2, 1)


def test_a_stream_continues_too():
    loader = data.DataLoader(Stream(10), 3)
    loader.load_state_dict({"seed": 1, "epoch": 0, "batch": 2})
    assert arrays(loader) == [[[6, 7, 8]], [[9]]]


def test_resuming_reads_none_of_the_delivered_samples():
    class Recording(Squares):
        seen = []

        def __getitem__(self, index):
            self.seen.append(index)
            return index

    loader = data.DataLoader(Recording(10), 2)
    loader.load_state_dict({"seed": 1, "epoch": 0, "batch": 4})
    list(loader)
    assert Recording.seen == [8, 9]


def test_a_state_of_something_else_is_refused():
    with pytest.raises(ValueError, match="state_dict of a DataLoader"):
        data.DataLoader(Squares(10)).load_state_dict({"epoch": 1})


def test_two_iterations_at_once_do_not_disturb_each_other():
    loader = data.DataLoader(Squares(6), 2)
    pairs = [(a, b) for a in arrays(loader) for b in arrays(loader)]
    assert len(pairs) == 9
    both = list(zip(loader, loader, strict=True))
    assert all(np.array_equal(np.asarray(a[1]), np.asarray(b[1])) for a, b in both)


def test_an_empty_dataset_has_no_batches_and_cannot_be_shuffled():
    assert list(data.DataLoader(Squares(0), 4)) == []
    with pytest.raises(ValueError, match="the dataset is empty"):
        data.DataLoader(Squares(0), 4, shuffle=True)


def test_an_iterator_has_a_length():
    assert len(iter(data.DataLoader(Squares(10), 4))) == 3


def test_a_loader_can_be_copied_and_pickled():
    loader = data.DataLoader(Squares(10), 4)
    for other in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        assert arrays(other) == arrays(loader)


def test_the_length_of_a_stream_is_a_type_error_unless_it_has_one():
    with pytest.raises(TypeError, match="has no len"):
        len(data.DataLoader(Stream(3)))
    assert len(data.DataLoader(SizedStream(3), 2)) == 2
    assert len(data.DataLoader(SizedStream(3), 2, drop_last=True)) == 1


def test_a_length_that_was_too_small_is_told_once():
    loader = data.DataLoader(SizedStream(10), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(1 for _ in loader) == 10  # list() would ask for the length.
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="reported to make 3 batches") as told:
        list(loader)
    assert len(told) == 1


def changed(name, value):
    def change(d):
        loader = d.DataLoader(Squares(3))
        setattr(loader, name, value)

    return change


class Both(theirs.IterableDataset, data.IterableDataset):
    """A stream to both libraries."""

    def __iter__(self):
        return iter(range(3))


ERRORS = [
    (lambda d: d.DataLoader(Squares(3), 0), "batch_size should be a positive integer.*=0"),
    (lambda d: d.DataLoader(Squares(3), -1), "batch_size should be a positive integer"),
    (lambda d: d.DataLoader(Squares(3), 2.0), "batch_size should be a positive integer"),
    (lambda d: d.DataLoader(Squares(3), True), "batch_size should be a positive integer"),
    (lambda d: d.DataLoader(Both(), 0), "batch_size should be a positive integer"),
    (lambda d: d.DataLoader(Squares(3), drop_last=3), "drop_last should be a boolean"),
    (lambda d: d.DataLoader(Squares(3), sampler=[1], shuffle=True), "exclusive with shuffle"),
    (lambda d: d.DataLoader(Squares(0), shuffle=True), "num_samples=0"),
    (lambda d: d.DataLoader(Squares(3), 2, batch_sampler=[[0]]), "batch_sampler option is mutu"),
    (lambda d: d.DataLoader(Squares(3), None, batch_sampler=[[0]]), "batch_sampler option is"),
    (lambda d: d.DataLoader(Squares(3), batch_sampler=[[0]], shuffle=True), "mutually exclusive"),
    (lambda d: d.DataLoader(Squares(3), batch_sampler=[[0]], sampler=[1]), "mutually exclusive"),
    (lambda d: d.DataLoader(Squares(3), None, drop_last=True), "disables auto-batching"),
    (lambda d: d.DataLoader(Squares(3), num_workers=-1), "non-negative.*use num_workers=0"),
    (lambda d: d.DataLoader(Squares(3), timeout=-1), "timeout option should be non-negative"),
    (lambda d: iter(d.DataLoader(Squares(3), timeout=1)), "timeout"),
    (lambda d: d.DataLoader(Squares(3), prefetch_factor=2), "prefetch_factor option could only"),
    (lambda d: d.DataLoader(Squares(3), num_workers=1, prefetch_factor=-2), "non-negative"),
    (lambda d: d.DataLoader(Squares(3), persistent_workers=True), "needs num_workers > 0"),
    (lambda d: d.DataLoader(Squares(3), multiprocessing_context="spawn"), "can only be used"),
    (lambda d: d.DataLoader(Squares(3), num_workers=1, multiprocessing_context="x"), "valid start"),
    (lambda d: d.DataLoader(Squares(3), num_workers=1, multiprocessing_context=3), "valid context"),
    (lambda d: d.DataLoader(Both(), shuffle=True), "unspecified shuffle"),
    (lambda d: d.DataLoader(Both(), sampler=[1]), "unspecified sampler"),
    (lambda d: d.DataLoader(Both(), batch_sampler=[[1]]), "unspecified batch_sampler"),
    (lambda d: next(iter(d.DataLoader(Values([None])))), "batch must contain tensors"),
    (lambda d: next(iter(d.DataLoader(Squares(3), sampler=["a"]))), ""),
    (changed("batch_size", 3), "batch_size attribute should not be set"),
    (changed("dataset", Squares(3)), "dataset attribute should not be set"),
]


@pytest.mark.parametrize(("make", "match"), ERRORS)
def test_bad_arguments_raise_pytorchs_error(make, match):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        make(theirs)
    with pytest.raises(type(expected.value), match=match or None):
        make(data)


def test_forking_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="hangs as soon as it touches JAX"):
        data.DataLoader(Squares(3), num_workers=1, multiprocessing_context="fork")


def test_more_workers_than_cores_are_warned_of():
    with pytest.warns(UserWarning, match="will create 999 worker processes|999 workers"):
        data.DataLoader(Squares(3), num_workers=999)


def test_pinning_without_an_accelerator_is_warned_of_as_in_pytorch():
    for lib in (jt, torch):
        loader = lib.utils.data.DataLoader([1, 2], pin_memory=True, pin_memory_device="cuda")
        with (
            pytest.warns(UserWarning, match="no accelerator is found"),
            pytest.warns(UserWarning, match="pin_memory_device is deprecated"),
        ):
            list(loader)

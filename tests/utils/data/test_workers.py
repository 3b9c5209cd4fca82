"""The loader with workers: the same batches, and every way in which a worker can fail."""

import gc
import itertools
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest

import jtoolbox as jt
import jtoolbox.utils.data as data
from jtoolbox.utils.data import transport
from tests.utils.data import datasets
from tests.utils.data.datasets import Doing, Odd, Random, Squares, Stream, WhoAmI

KINDS = [None, "thread"]
ROOT = str(Path(__file__).parents[3])


def arrays(batches):
    return [[np.asarray(t).tolist() for t in (b if isinstance(b, list) else [b])] for b in batches]


def children():
    """Worker processes of this process that are alive."""
    return multiprocessing.active_children()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 4},
        {"batch_size": 3, "drop_last": True, "prefetch_factor": 1},
        {"batch_sampler": [[1], [5, 6]]},
        {"batch_size": 2, "shuffle": True, "persistent_workers": True},
    ],
    ids=str,
)
def test_workers_give_the_batches_that_the_main_process_gives(kind, settings):
    workers = {"num_workers": 2, "multiprocessing_context": kind}
    only_workers = ("prefetch_factor", "persistent_workers")
    serial = {name: value for name, value in settings.items() if name not in only_workers}
    for dataset in (
        data.TensorDataset(jt.tensor(np.arange(4000).reshape(20, 200)), jt.tensor(np.arange(20))),
        Squares(20, 2000),
    ):
        loader = data.DataLoader(dataset, **settings, **workers)
        jt.random.manual_seed(2)
        ours = [list(loader), list(loader)]
        jt.random.manual_seed(2)
        reference = data.DataLoader(dataset, **serial)
        assert [arrays(epoch) for epoch in ours] == [arrays(reference), arrays(reference)]
        assert all(isinstance(t, jt.Tensor) for t in ours[0][0])


@pytest.mark.parametrize("kind", KINDS)
def test_without_batches_samples_are_converted(kind):
    loader = data.DataLoader(Squares(3, 2), None, num_workers=2, multiprocessing_context=kind)
    samples = list(loader)
    assert all(isinstance(x, jt.Tensor) and isinstance(i, int) for x, i in samples)
    assert [(np.asarray(x).tolist(), i) for x, i in samples] == [
        ([0, 0], 0),
        ([1, 1], 1),
        ([4, 4], 2),
    ]


def test_batches_of_workers_are_fresh_aligned_memory():
    loader = data.DataLoader(Squares(8, 5000), 2, num_workers=1)
    batches = [np.asarray(x) for x, _ in loader]
    assert all(x.ctypes.data % 64 == 0 for x in batches)
    np.testing.assert_array_equal([x[0, 0] for x in batches], [0, 4, 16, 36])


def test_batches_that_grow_are_carried():
    samples = datasets.Values([np.full(10 ** (1 + i % 5), i) for i in range(8)])
    loader = data.DataLoader(samples, 1, num_workers=1)
    assert [x.shape[1] for x in loader] == [10 ** (1 + i % 5) for i in range(8)]
    assert [int(np.asarray(x)[0, -1]) for x in loader] == list(range(8))


def test_a_custom_collation_travels_with_its_tensors():
    loader = data.DataLoader(Squares(4), 2, num_workers=1, collate_fn=datasets.as_tensors)
    for tensors, array, text in loader:
        assert isinstance(tensors[0], jt.Tensor)
        assert isinstance(array, np.ndarray)
        assert text == "text"


def test_a_dataset_that_holds_tensors_and_computes_with_them_works_in_a_worker():
    (batch,) = data.DataLoader(datasets.Tensors(), 6, num_workers=1)
    np.testing.assert_array_equal(np.asarray(batch), 2 * np.arange(12).reshape(6, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("uneven", [False, True])
def test_a_stream_shared_out_by_worker_info_comes_in_pytorchs_order(kind, uneven):
    ours = data.DataLoader(Stream(20, uneven), 3, num_workers=2, multiprocessing_context=kind)
    ends = (20, 120 if uneven else 20)
    shares = [list(range(worker, ends[worker], 2)) for worker in range(2)]
    batches = [[share[i : i + 3] for i in range(0, len(share), 3)] for share in shares]
    turns = itertools.zip_longest(*batches)  # As PyTorch: in turn, and past those that have ended.
    expected = [batch for turn in turns for batch in turn if batch]
    for _ in range(2):
        assert [np.asarray(b).tolist() for b in ours] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_may_know_its_worker(kind):
    loader = data.DataLoader(WhoAmI(8), 2, num_workers=2, multiprocessing_context=kind)
    ids, counts, lengths, pids = np.concatenate(
        [np.stack([np.asarray(t) for t in b], 1) for b in loader]
    ).T
    assert ids.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert set(counts) == {2}
    assert set(lengths) == {8}
    assert (os.getpid() in pids) == (kind == "thread")
    assert data.get_worker_info() is None


def test_without_order_every_batch_still_comes_once():
    loader = data.DataLoader(Squares(20), 2, num_workers=2, in_order=False)
    assert sorted(i for _, b in loader for i in np.asarray(b).tolist()) == list(range(20))


def test_random_numbers_do_not_depend_on_the_number_of_workers():
    def epochs(workers, seed):
        settings = {"persistent_workers": True} if workers else {}
        loader = data.DataLoader(
            Random(12), 3, shuffle=True, num_workers=workers, seed=seed, **settings
        )
        return [arrays(loader), arrays(loader)]

    assert epochs(0, 5) == epochs(1, 5) == epochs(2, 5)

    def drawn(workers):
        jt.random.manual_seed(8)
        return arrays(data.DataLoader(Random(12), 3, num_workers=workers))

    assert drawn(1) == drawn(2)
    numbers = np.concatenate(np.array(drawn(2))[:, 0])[:, 1:]
    assert len(np.unique(numbers)) == numbers.size


def test_an_epoch_continues_at_another_number_of_workers():
    def make(workers):
        return data.DataLoader(Random(24), 3, shuffle=True, num_workers=workers, seed=1)

    full = arrays(make(2))
    loader = make(2)
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    state = loader.state_dict()
    assert state["batch"] == 3
    for workers in (0, 1, 2):
        resumed = make(workers)
        resumed.load_state_dict(state)
        assert arrays(resumed) == full[3:]


def test_a_stream_continues_with_workers():
    full = arrays(data.DataLoader(Stream(20), 3, num_workers=2))
    loader = data.DataLoader(Stream(20), 3, num_workers=2)
    loader.load_state_dict({"seed": 1, "epoch": 0, "batch": 3})
    assert arrays(loader) == full[3:]


@pytest.mark.parametrize("persistent", [False, True])
def test_processes_are_kept_between_epochs(persistent):
    loader = data.DataLoader(WhoAmI(4), 1, num_workers=2, persistent_workers=persistent)
    pids = [{int(np.asarray(b[3])[0]) for b in loader} for _ in range(2)]
    assert pids[0] == pids[1]
    assert len(pids[0]) == 2


def test_a_changed_dataset_is_seen_in_the_next_epoch_unless_workers_are_persistent():
    for persistent, expected in ((False, 7), (True, 1)):
        dataset = datasets.Values([np.full(5000, 1)])
        loader = data.DataLoader(dataset, num_workers=1, persistent_workers=persistent)
        list(loader)
        dataset.values[0] = np.full(5000, 7)
        (batch,) = loader
        assert np.asarray(batch)[0, 0] == expected


def test_worker_init_fn_runs_in_each_worker():
    loader = data.DataLoader(
        datasets.Labelled(4), 1, num_workers=2, worker_init_fn=datasets.label_worker
    )
    assert [int(np.asarray(b)[0]) for b in loader] == [0, 1, 0, 1]


def test_leaving_an_epoch_early_leaves_the_loader_usable():
    loader = data.DataLoader(Squares(20, 2000), 2, num_workers=2)
    for _ in range(3):
        for _ in loader:
            break
    assert [int(np.asarray(i)[0]) for _, i in loader] == list(range(0, 20, 2))


def test_two_iterations_at_once_have_their_own_workers():
    loader = data.DataLoader(Squares(6), 2, num_workers=1, persistent_workers=True)
    pairs = list(zip(loader, loader, strict=True))
    assert len(pairs) == 3
    assert all(np.array_equal(np.asarray(a[1]), np.asarray(b[1])) for a, b in pairs)


def test_the_workers_end_with_their_loader():
    gc.collect()
    loader = data.DataLoader(Squares(6), 2, num_workers=2)
    before = len(children())
    list(loader)
    assert len(children()) == before + 2
    del loader
    gc.collect()
    assert len(children()) == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_arrives_with_its_type_and_the_workers_traceback(kind):
    loader = data.DataLoader(
        Doing(6, 3, datasets.raise_key_error), 2, num_workers=2, multiprocessing_context=kind
    )
    received = []
    with pytest.raises(KeyError) as caught:  # noqa: PT012 - the loop's line is what is tested
        for batch in loader:
            received.append(np.asarray(batch).tolist())
    text = str(caught.value)
    assert received == [[0, 1]]
    assert "Caught KeyError in DataLoader worker" in text
    assert "in raise_key_error" in text
    assert "\n" in text
    assert "for batch in loader" in "".join(traceback.format_exception(caught.value))


def test_after_an_exception_the_epoch_can_go_on():
    iterator = iter(data.DataLoader(Doing(6, 3, datasets.raise_key_error), 2, num_workers=2))
    next(iterator)
    with pytest.raises(KeyError):
        next(iterator)
    assert np.asarray(next(iterator)).tolist() == [4, 5]


def test_an_exception_that_takes_no_message_becomes_a_runtime_error():
    with pytest.raises(RuntimeError, match="Caught Odd in DataLoader worker process 0"):
        list(data.DataLoader(Doing(3, 0, datasets.raise_odd), num_workers=1))
    assert issubclass(Odd, Exception)


def test_stop_iteration_in_a_dataset_does_not_end_the_loop_in_silence():
    with pytest.raises(RuntimeError, match="Caught StopIteration"):
        list(data.DataLoader(Doing(3, 1, datasets.raise_stop), num_workers=1))


def test_an_exception_of_worker_init_fn_arrives():
    loader = data.DataLoader(Squares(3), num_workers=1, worker_init_fn=datasets.failing_init)
    with pytest.raises(ValueError, match="bad init"):
        list(loader)


def test_samples_that_cannot_be_pickled_give_an_error_that_says_so():
    loader = data.DataLoader(datasets.Unpicklable(3), num_workers=1, collate_fn=datasets.identity)
    with pytest.raises(AttributeError, match="local object"):
        list(loader)


@pytest.mark.parametrize(
    ("what", "match"),
    [(datasets.kill, "killed by signal SIGKILL.*memory"), (datasets.leave, "exit code 3")],
)
def test_a_dead_worker_is_noticed_quickly(what, match):
    loader = data.DataLoader(Doing(20, 4, what), 2, num_workers=2)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=match):
        list(loader)
    assert time.monotonic() - start < 10


def test_a_dead_idle_worker_is_noticed_in_the_next_epoch():
    loader = data.DataLoader(Squares(4), 2, num_workers=1)
    list(loader)
    for process in children():
        if process.name.startswith("DataLoader worker"):
            os.kill(process.pid, signal.SIGKILL)
            process.join()
    with pytest.raises(RuntimeError, match="SIGKILL"):
        list(loader)
    assert len(list(loader)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_timeout_is_a_runtime_error(kind):
    def nap():
        time.sleep(1)

    what = datasets.sleep if kind is None else nap
    dataset = Doing(4, 0, what)
    loader = data.DataLoader(dataset, 2, num_workers=1, timeout=0.3, multiprocessing_context=kind)
    list(data.DataLoader(Squares(2), num_workers=1))  # The server of workers is up.
    with pytest.raises(RuntimeError, match=r"timed out after 0\.3 seconds"):
        list(loader)


def test_what_cannot_be_pickled_is_refused_with_the_ways_out():
    loader = data.DataLoader(Squares(3), num_workers=1, collate_fn=lambda samples: samples)
    with pytest.raises(pickle.PicklingError, match=r"instead of lambdas.*num_workers=0"):
        iter(loader)
    thread = data.DataLoader(
        Squares(3), num_workers=1, collate_fn=lambda s: s, multiprocessing_context="thread"
    )
    assert len(list(thread)) == 3


def test_a_class_of_a_notebook_is_refused_with_the_ways_out(monkeypatch):
    script = type(sys)("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)
    script.Local = type("Local", (Squares,), {"__module__": "__main__", "__qualname__": "Local"})
    with pytest.raises(pickle.PicklingError, match=r"notebook.*Move it to a module"):
        iter(data.DataLoader(script.Local(3), num_workers=1))


def test_without_shared_memory_batches_go_through_the_pipe(monkeypatch):
    loader = data.DataLoader(Squares(8, 5000), 2, num_workers=1)
    monkeypatch.setattr(transport, "create_file", lambda: None)
    assert [float(np.asarray(x)[1, 0]) for x, _ in loader] == [1, 9, 25, 49]


def test_a_full_shared_memory_is_told_and_the_batch_goes_through_the_pipe():
    class Full(transport.SharedFile):
        def reserve(self, size):
            raise OSError(28, "")

    parcel = transport.pack(np.arange(5000), Full(os.dup(0)))
    assert parcel.trouble == "No space left on device"
    np.testing.assert_array_equal(transport.unpack(parcel, None, copy=True), np.arange(5000))


SCRIPT = """
import json, multiprocessing, signal, sys, warnings
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job would ignore it
warnings.simplefilter("error")
import numpy as np
import jtoolbox.utils.data as data
from tests.utils.data.datasets import Doing, Squares, sleep
{definitions}
{guard}
    {body}
"""


def run(body, guard="if __name__ == '__main__':", definitions="", code=0, send=None):
    """Runs a script of its own in a fresh process and returns what it printed."""
    path = f"{os.environ['SCRIPT_FOLDER']}/script_{abs(hash((body, guard, definitions)))}.py"
    body = textwrap.indent(textwrap.dedent(body).strip(), "    ").strip()
    with open(path, "w") as file:
        file.write(SCRIPT.format(body=body, guard=guard, definitions=definitions))
    with subprocess.Popen(
        [sys.executable, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    ) as process:
        started = send is None or process.stdout.readline() == "started\n"
        if send is not None and started:
            process.send_signal(send)
        out, err = process.communicate(timeout=60)
    assert started, err
    assert process.returncode == code, err
    return out, err


@pytest.fixture(autouse=True)
def script_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SCRIPT_FOLDER", str(tmp_path))


def test_a_script_without_a_guard_works_when_its_dataset_is_not_its_own_and_leaves_nothing():
    out, err = run(
        """
        loader = data.DataLoader(Squares(8, 5000), 2, num_workers=2)
        next(iter(loader))
        iterator = iter(loader)
        next(iterator)
        print(json.dumps([p.pid for p in multiprocessing.active_children()]))
        """,
        guard="if True:",
    )
    assert err == ""
    pids = json.loads(out)
    assert len(pids) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_ctrl_c_ends_the_loop_and_its_workers_and_a_guarded_script_may_define_its_dataset():
    _, err = run(
        """
        loader = data.DataLoader(Local(8, 2, sleep), 2, num_workers=2)
        iterator = iter(loader)
        next(iterator)
        print("started", flush=True)
        next(iterator)
        """,
        definitions="class Local(Doing):\n    pass",
        code=-signal.SIGINT,
        send=signal.SIGINT,
    )
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert err.count("Traceback") == 1


def test_a_script_without_a_guard_is_told_what_is_missing():
    _, err = run(
        "print(len(list(data.DataLoader(Local(3), num_workers=1))))",
        guard="if True:",
        definitions="class Local(Squares):\n    pass",
        code=1,
    )
    assert "if __name__ == '__main__':  (what the worker printed is above)" in err


def test_a_worker_stays_on_the_cpu_and_starts_no_backend_by_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = data.DataLoader(datasets.Values([0]), num_workers=1, collate_fn=datasets.backends)
        assert list(loader) == [("cpu", "cpu")]

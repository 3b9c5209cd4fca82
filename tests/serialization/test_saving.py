"""What `save` refuses, and what is on the disk when it does not come to its end."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import time
from collections import OrderedDict, defaultdict, namedtuple
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch

from jtoolbox.serialization import atomic, load, save
from jtoolbox.tensor import from_host


class Config:
    """A class of the user's own."""


class Model:
    """Something with a state_dict."""

    def state_dict(self) -> dict[str, Any]:
        return {}


Point = namedtuple("Point", "x y")
LOOP: list[Any] = []
LOOP_TUPLE = (LOOP,)
LOOP.append(LOOP_TUPLE)
REFUSED = {
    "module": (Model(), TypeError, r"obj: .*Model .*jtoolbox.save\(model.state_dict\(\), path\)"),
    "nested module": ({"net": [Model()]}, TypeError, r"obj\['net'\]\[0\]: .*save\(obj\['net'\]"),
    "numpy array": ({"x": np.ones(2)}, TypeError, r"obj\['x'\].*ndarray.*jtoolbox.tensor\(array\)"),
    "own class": ({"a": [0, Config()]}, TypeError, r"obj\['a'\]\[1\]: .*Config is not data"),
    "function": ({"f": len}, TypeError, r"obj\['f'\]: builtins.builtin_function_or_method"),
    "named tuple": (Point(1, 2), TypeError, "Point is not data"),
    "defaultdict": (defaultdict(list), TypeError, r"defaultdict is not data.*dict\(x\)"),
    "frozenset": ({"a": frozenset()}, TypeError, "frozenset is not data"),
    "path": ({"a": Path("x")}, TypeError, "Path is not data"),
    "torch's tensor": ({"a": torch.ones(2)}, TypeError, "torch.Tensor is not data"),
    "random key": ({"key": jax.random.key(0)}, TypeError, r"jax.random.key_data\(key\)"),
    "long double": ({"a": np.longdouble(1)}, TypeError, "longdouble is not data"),
    "tensor as a key": ({from_host(np.ones(1)): 1}, TypeError, "Tensor is not accepted as a key"),
    "object in a set": ({"a": {Config()}}, TypeError, "Config is not accepted as a key or an el"),
    "huge integer": ([1 << 3000], ValueError, r"obj\[0\]: an integer of over 255 bytes"),
    "tuple in itself": (LOOP_TUPLE, ValueError, "a tuple that contains itself"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_pytorch_would_not_load_is_refused_before_anything_is_written(
    case: str, tmp_path: Any
) -> None:
    obj, kind, message = REFUSED[case]
    (tmp_path / "a.pt").write_bytes(b"old")
    with pytest.raises(kind, match=message):
        save(obj, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.pt"]


def test_a_list_that_contains_itself_is_kept_and_nesting_may_be_deep() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert round_trip(loop)[0][0].__len__() == 1
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    result = round_trip(deep)
    while result:
        (result,) = result


def round_trip(obj: Any) -> Any:
    file = io.BytesIO()
    save(obj, file)
    file.seek(0)
    return load(file)


def test_a_subclass_of_ordered_dict_becomes_an_ordered_dict() -> None:
    class Destination(OrderedDict):
        _metadata: Any

    state = Destination(a=1)
    state._metadata = OrderedDict(x={"version": 2})
    file = io.BytesIO()
    save(state, file)
    file.seek(0)
    theirs = torch.load(file, weights_only=True)
    assert type(theirs) is OrderedDict
    assert theirs._metadata == state._metadata


# --- the file on the disk


def small(value: float = 1.0) -> dict[str, Any]:
    return {"x": from_host(np.full(10, value, np.float32))}


def test_the_parent_folder_must_exist(tmp_path: Any) -> None:
    with pytest.raises(RuntimeError, match=r"Parent directory .*absent does not exist.*makedirs"):
        save({}, tmp_path / "absent" / "a.pt")
    with pytest.raises(TypeError, match="expected a path or a binary file object"):
        save({}, 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(IsADirectoryError):
        save({}, tmp_path)


def test_a_relative_path_and_bytes_of_a_long_name_work(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    name = "n" * 252 + ".pt"
    save(small(), name)
    assert load(name)["x"].shape == (10,)
    assert os.listdir() == [name]


def test_the_mode_is_the_umasks_for_a_new_file_and_the_old_files_for_an_old_one(
    tmp_path: Any,
) -> None:
    path = tmp_path / "a.pt"
    before = os.umask(0o027)
    try:
        save(small(), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        save(small(), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Any) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.pt", tmp_path / "latest.pt"
    link.symlink_to(target)
    for value in (1.0, 2.0):
        save(small(value), link)
        assert link.is_symlink()
        assert np.asarray(load(target)["x"])[0] == value
    assert os.listdir(tmp_path / "real") == ["a.pt"]


def test_what_is_no_regular_file_is_written_in_place(tmp_path: Any) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    save(small(), fifo)
    data = reader.communicate()[0]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert np.asarray(load(io.BytesIO(data))["x"]).tolist() == [1] * 10


class FullDisk:
    """A file whose disk is full after some bytes."""

    def __init__(self, file: Any, room: int):
        self.file = file
        self.room = room

    def write(self, data: Any) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("room", [0, 100, 600])
def test_a_full_disk_keeps_the_old_file(
    room: int, suffix: str, tmp_path: Any, monkeypatch: Any
) -> None:
    path = tmp_path / f"a.{suffix}"
    save(small(1.0), path)
    create = atomic._create
    monkeypatch.setattr(atomic, "_create", lambda *a: FullDisk(create(*a), room))
    big = {"x": from_host(np.zeros(1000, np.float32))}
    with pytest.raises(OSError, match="No space left"):
        save(big, path)
    assert np.asarray(load(path)["x"]).tolist() == [1] * 10
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_at_the_last_steps_keeps_the_old_file(
    call: str, tmp_path: Any, monkeypatch: Any
) -> None:
    path = tmp_path / "a.pt"
    save(small(1.0), path)

    def fails(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="Input/output"):
        save(small(2.0), path)
    monkeypatch.undo()
    assert np.asarray(load(path)["x"])[0] == 1
    assert os.listdir(tmp_path) == ["a.pt"]


def test_left_overs_of_ended_processes_are_removed_and_others_stay(tmp_path: Any) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()

    def temporary(host: str, process: int, age: float = 0.0) -> str:
        name = f".jtoolbox-{host}-{process}-{'0' * 15}{len(os.listdir(tmp_path)):x}.tmp"
        (tmp_path / name).write_bytes(b"part")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
        return name

    parent = os.getppid()
    removed = {
        "ended": temporary(atomic._HOST, ended.pid),
        "our own number, not in use": temporary(atomic._HOST, os.getpid()),
        "old, of another machine": temporary("elsewhere", 1, age=2 * 86400),
    }
    kept = {
        "of a running process": temporary(atomic._HOST, parent),
        "of another machine": temporary("elsewhere", ended.pid),
    }
    other = tmp_path / ".jtoolbox-notes.tmp"
    other.write_bytes(b"")
    in_use = temporary(atomic._HOST, os.getpid())
    atomic._in_use.add(str(tmp_path / in_use))
    try:
        save(small(), tmp_path / "a.pt")
    finally:
        atomic._in_use.clear()
    left = set(os.listdir(tmp_path))
    assert left == {"a.pt", other.name, in_use, *kept.values()}
    assert not left & set(removed.values())


# Children save over one path, each file of one number throughout, until they are killed.
KILLED = """
import os, shutil, signal, sys, time
import numpy as np
from jtoolbox.serialization import save
from jtoolbox.tensor import from_host

def save_for_ever(path, ready):
    for turn in range(1, 10**9):
        save({"x": from_host(np.full(500_000, turn % 100, np.float32)), "turn": turn}, path)
        if turn == 2:
            os.write(ready, b"x")

path, copies = sys.argv[1:]
for attempt in range(12):
    started, ready = os.pipe()
    child = os.fork()
    if not child:
        save_for_ever(path, ready)
    os.read(started, 1)
    time.sleep(0.003 * attempt)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    shutil.copy(path, os.path.join(copies, f"{attempt}.pt"))
"""


def test_a_save_that_is_killed_leaves_a_whole_file(tmp_path: Any) -> None:
    folder, copies = tmp_path / "folder", tmp_path / "copies"
    folder.mkdir()
    copies.mkdir()
    path = folder / "a.pt"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", KILLED, path, copies], cwd=root, check=True, timeout=100)
    assert len(os.listdir(copies)) == 12
    for copy in copies.iterdir():
        loaded = load(copy)
        assert loaded["turn"] >= 2
        assert set(np.asarray(loaded["x"]).tolist()) == {float(loaded["turn"] % 100)}
        assert torch.load(copy, weights_only=True)["turn"] == loaded["turn"]
    save(small(), path)
    assert os.listdir(folder) == ["a.pt"]

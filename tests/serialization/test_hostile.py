"""Files that ask for more than data, or lie about it: a clear error, and nothing else happens."""

from __future__ import annotations

import io
import os
import pickle
import re
import resource
import struct
import tarfile
import zipfile
from typing import Any

import numpy as np
import pytest
import torch

from jtoolbox.serialization import add_safe_globals, clear_safe_globals, load, safe_globals
from tests.serialization.builders import (
    ORDERED_DICT,
    archive,
    dict_of,
    legacy,
    name,
    number,
    numbers,
    storage,
    tensor,
    text,
)

DAMAGED = r"damaged|cut short|ends early"


class Runs:
    """Pickles to a call of `os.system`."""

    def __reduce__(self) -> Any:
        return os.system, ("touch SHOULD_NOT_EXIST",)


def pickled(obj: Any, protocol: int = 2) -> bytes:
    """Python's own pickle of an object, less its first and last opcode."""
    return pickle.dumps(obj, protocol)[2:-1]


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    return name(module, attribute) + b"(" + b"".join(arguments) + b"tR"


REBUILD = name("torch._utils", "_rebuild_tensor_v2")
GLOBALS = {
    "os.system": (pickled(Runs()), "GLOBAL (posix|nt).system"),
    "protocol 4": (pickled(Runs(), 4), "GLOBAL (posix|nt).system"),
    "eval": (call("builtins", "eval", text("1")), "GLOBAL builtins.eval"),
    "python 2's eval": (call("__builtin__", "eval", text("1")), "GLOBAL builtins.eval"),
    "getattr": (call("builtins", "getattr", text("a"), text("b")), "GLOBAL builtins.getattr"),
    "bytearray of a size": (call("builtins", "bytearray", number(2**40)), "else than bytes"),
    "nested name": (call("collections", "OrderedDict.fromkeys", b"]"), "OrderedDict.fromkeys"),
    "a torch function": (call("torch", "load", text("x")), "GLOBAL torch.load"),
    "a torch module": (call("torch.nn.modules.linear", "Linear"), "torch.nn.modules.linear.Linear"),
    "load from bytes": (call("torch.storage", "_load_from_bytes", b"N"), "_load_from_bytes"),
    "numpy": (pickled(np.ones(2)), "GLOBAL numpy"),
    "uncalled": (dict_of(x=name("os", "system")), "GLOBAL os.system"),
    "by the stack": (text("os") + text("system") + b"\x93", "GLOBAL os.system"),
    "codecs": (call("_codecs", "encode", text("a"), text("rot13")), "_codecs.encode is used"),
    "by extension": (b"\x82\x01", r"opcode b'\\x82'"),
    "by INST": (b"(ios\nsystem\n", "opcode b'i'"),
    "by OBJ": (b"(" + name("os", "system") + b"o", "GLOBAL os.system"),
    "quantized": (name("torch", "QInt8Storage"), "no quantized tensors.*dequantize"),
    "sparse": (name("torch._utils", "_rebuild_sparse_tensor"), "no sparse tensors.*to_dense"),
    "float8": (name("torch", "float8_e4m3fn"), "GLOBAL torch.float8_e4m3fn"),
}


@pytest.mark.parametrize("case", GLOBALS)
def test_a_name_outside_the_table_is_an_error_that_says_it(
    case: str, tmp_path: Any, monkeypatch: Any
) -> None:
    body, message = GLOBALS[case]
    monkeypatch.chdir(tmp_path)
    for data in (archive(body), legacy(body, b"\x80\x02].", b"")):
        with pytest.raises(pickle.UnpicklingError, match=message):
            load(io.BytesIO(data))
    assert not (tmp_path / "SHOULD_NOT_EXIST").exists()


METADATA = b"}" + text("_metadata")
OPCODES = {
    "BUILD on a dict": (b"}" + dict_of(a=b"N") + b"b", "added to a dict"),
    "BUILD on a tensor": (tensor() + dict_of(a=b"N") + b"b", "added to a Tensor"),
    "BUILD on a name": (name("torch", "Size") + dict_of(a=b"N") + b"b", "added to a Constructor"),
    "BUILD of methods": (ORDERED_DICT + dict_of(items=b"N") + b"b", "other than _metadata"),
    "BUILD of metadata that is none": (ORDERED_DICT + METADATA + b"Nsb", "_metadata .* not a dict"),
    "SETITEM on a list": (b"]" + text("a") + b"Ns", "added to a list"),
    "SETITEMS on a tensor": (tensor() + b"(" + text("a") + b"Nu", "added to a Tensor"),
    "SETITEMS of an odd number": (b"}(" + text("a") + b"u", DAMAGED),
    "APPEND to a dict": (b"}Na", "added to a dict"),
    "APPENDS to a tuple": (b")(Ne", "added to a tuple"),
    "ADDITEMS to a list": (b"](N\x90", "added to a list"),
    "a list as a key": (b"}]Ns", "a list is not accepted as a key"),
    "a tensor as a key": (b"}" + tensor() + b"Ns", "a Tensor is not accepted as a key"),
    "a deep tuple as a key": (b"}" + b")" + b"\x85" * 10**5 + b"Ns", "a tuple is not accepted"),
    "an empty stack": (b"a", DAMAGED),
    "REDUCE on nothing": (b"R", DAMAGED),
    "TUPLE2 of one": (b"N\x86", DAMAGED),
    "TUPLE without a mark": (b"Nt", DAMAGED),
    "a stack across a mark": (b"]N(a", DAMAGED),
    "two objects left": (b"NN", "stack unfinished"),
    "a mark left": (b"(N", "stack unfinished"),
    "a memo that is empty": (b"h\x05", DAMAGED),
    "a memo far away": (b"j\xff\xff\xff\xff", DAMAGED),
    "REDUCE of text": (text("os.system") + b")R", "'os.system' is called"),
    "REDUCE of a tensor": (tensor() + b")R", "a Tensor is called"),
    "REDUCE of a deep list": (b"]" * 9999 + b"a" * 9998 + b")R", "a list is called"),
    "deep metadata": (REBUILD + b"(" + storage() + number(0) + numbers(6) + numbers(1) + b"\x89"
                      + ORDERED_DICT + b"]" * 9999 + b"a" * 9998 + b"tR", "no dict"),
    "a deep size": (REBUILD + b"(" + storage() + number(0) + b"]" * 9999 + b"a" * 9998
                    + b"\x85" + numbers(1) + b"\x89" + ORDERED_DICT + b"tR", "has size a tuple"),
    "REDUCE of a storage type": (name("torch", "FloatStorage") + b")R", "is called"),
    "REDUCE with a list": (name("collections", "OrderedDict") + b"]R", "expected a tuple"),
    "NEWOBJ of text": (text("a") + b")\x81", "'a' is called"),
    "too many arguments": (call("torch", "Size", b")", b"N"), DAMAGED),
    "a huge string": (b"X\xff\xff\xff\xffabc", "ends early"),
    "a huge string of 8 bytes": (b"\x8d" + b"\xff" * 8 + b"abc", "ends early"),
    "huge bytes": (b"B\xff\xff\xff\xffabc", "ends early"),
    "a huge integer": (b"\x8b\xff\xff\xff\x7fabc", "an integer of 2147483647 bytes"),
    "an integer of negative size": (b"\x8b\xff\xff\xff\xffabc", "an integer of -1 bytes"),
    "text that is none": (b"X\x02\x00\x00\x00\xff\xfe", DAMAGED),
    "a name that never ends": (b"c" + b"a" * 2000, "name of a global"),
    "protocol 0": (b"I1\n", "opcode b'I'"),
    "another protocol": (b"\x80\x09", "protocol 9"),
    "a frame": (b"\x95" + b"\xff" * 4, "ends early"),
    "a constructor as the result": (name("torch", "Size"), "stands where a value is expected"),
    "a storage as the result": (storage(), "stands where a value is expected"),
    "a storage in a list": (b"]" + storage() + b"a", "stands where a value is expected"),
    "a storage in a tuple": (b"]" + storage() + b"\x85a", "stands where a value is expected"),
    "a storage in pairs": (
        call("collections", "OrderedDict", b"](](" + text("a") + storage() + b"ee"),
        "stands where a value is expected",
    ),
    "a set of lists": (call("builtins", "set", b"]]a"), "a list is not accepted as a key"),
    "a Counter of pairs": (call("collections", "Counter", b"]"), "else than a dict"),
    "a complex of text": (call("builtins", "complex", text("a"), text("b")), "two floats"),
    "a Size of floats": (call("torch", "Size", b"(" + b"G" + bytes(8) + b"t"), "integers"),
    "a device of numbers": (call("torch", "device", b"K\x01"), "a name and an index"),
    "a Parameter of nothing": (call("torch._utils", "_rebuild_parameter", b"N", b"\x88", b"N"),
                               "made of something else than a tensor"),
    "a Parameter with hooks": (
        call("torch._utils", "_rebuild_parameter", tensor(), b"\x88", dict_of(a=b"N")), "hooks"),
    "a subclass": (
        call("torch._tensor", "_rebuild_from_type_v2", name("torch", "Size"),
             name("torch", "Tensor"), b"(" + b")" + b"t", b"N"), "a subclass of Tensor"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPCODES)
def test_a_wrong_program_is_an_unpickling_error(case: str) -> None:
    body, message = OPCODES[case]
    with pytest.raises(pickle.UnpicklingError, match=message):
        load(io.BytesIO(archive(body)))


def persistent(*parts: bytes) -> bytes:
    return tensor(stored=b"(" + b"".join(parts) + b"tQ")


FLOATS, KEY, CPU = name("torch", "FloatStorage"), text("0"), text("cpu")
TENSORS = {
    "offset beyond": (tensor(offset=1), "outside its storage"),
    "negative offset": (tensor(offset=-1), "wrong type"),
    "size beyond": (tensor(size=(3, 3)), "outside its storage"),
    "negative size": (tensor(size=(-2, -3)), r"size \(-2, -3\)"),
    "stride beyond": (tensor(stride=(4, 1)), "outside its storage"),
    "negative stride": (tensor(stride=(-3, 1)), r"stride \(-3, 1\)"),
    "huge numbers": (tensor(size=(2**62, 2**62), stride=(2**62, 2**62)), "outside its storage"),
    "size and stride differ": (tensor(stride=(3, 1, 1)), "2 sizes and 3 strides"),
    "100 dimensions": (tensor((1,) * 100, (1,) * 100), "100 sizes"),
    "terabytes from one number": (tensor((2**40,), (0,)), "far more memory than the file"),
    "an empty tensor of huge size": (tensor((0, 2**62, 2**62), (1, 1, 1)), DAMAGED),
    "requires_grad that is text": (tensor(requires_grad=text("a")), "requires_grad is not a bool"),
    "a storage that is not there": (tensor(stored=storage("7")), "storage 7 .* not in the file"),
    "a path as a key": (tensor(stored=storage("../data.pkl")), "not in the file"),
    "a storage of fewer elements": (tensor(stored=storage(count=5)), "should have 20"),
    "a storage of huge size": (tensor(stored=storage(count=2**62)), "has 24 bytes"),
    "a storage of negative size": (tensor(stored=storage(count=-1)), "wrong type"),
    "a storage of two types": (
        b"](" + tensor() + tensor(stored=storage(kind="IntStorage")) + b"e", "in two ways"),
    "an integer that requires grad": (
        tensor(stored=storage(kind="IntStorage"), requires_grad=b"\x88"), "require grad"),
    "an id that is text": (text("storage") + b"Q", "named by a str"),
    "an id of another kind": (persistent(text("module"), FLOATS, KEY, CPU, b"K\x06"), "else than"),
    "an id that is short": (persistent(text("storage"), FLOATS, KEY, CPU), "else than a storage"),
    "a type that is text": (persistent(text("storage"), text("torch.FloatStorage"), KEY, CPU,
                                       b"K\x06"), "else than a storage"),
    "a key that is a number": (persistent(text("storage"), FLOATS, b"K\x00", CPU, b"K\x06"),
                               "wrong type"),
    "a place that is a number": (persistent(text("storage"), FLOATS, KEY, b"K\x00", b"K\x06"),
                                 "wrong type"),
    "no storage": (tensor(stored=b"N"), "else than a storage and a type"),
    "a type of numbers that is none": (
        name("torch._utils", "_rebuild_tensor_v3") + b"(" + storage() + number(0) + numbers(6)
        + numbers(1) + b"\x89" + ORDERED_DICT + name("torch", "Size") + b"tR", "and a type"),
    "metadata of another kind": (
        REBUILD + b"(" + storage() + number(0) + numbers(6) + numbers(1) + b"\x89" + ORDERED_DICT
        + dict_of(conjugate=b"\x88") + b"tR", "does not know"),
    "hooks": (REBUILD + b"(" + storage() + number(0) + numbers(6) + numbers(1) + b"\x89"
              + dict_of(a=b"N") + b"tR", "carries hooks"),
}  # fmt: skip


@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_that_is_not_in_its_storage_is_an_unpickling_error(case: str) -> None:
    body, message = TENSORS[case]
    with pytest.raises(pickle.UnpicklingError, match=message):
        load(io.BytesIO(archive(body)))


def test_the_hand_made_file_is_right_where_nothing_is_wrong_with_it() -> None:
    data = archive(dict_of(x=tensor(), y=tensor((3, 2), (1, 3))))
    ours, theirs = load(io.BytesIO(data)), torch.load(io.BytesIO(data), weights_only=True)
    for key in ("x", "y"):
        assert np.asarray(ours[key]).tolist() == theirs[key].tolist()


# --- containers


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1
    return data.replace(old, new)


GOOD = archive(tensor())
CENTRAL = GOOD.index(b"PK\x01\x02")


def central(field: int, layout: str, value: int, which: bytes = b"archive/data/0") -> bytes:
    """The good file with one field of an entry's line in the directory changed."""
    data = bytearray(GOOD)
    start = data.index(which, CENTRAL) - 46
    struct.pack_into(layout, data, start + field, value)
    return bytes(data)


CONTAINERS = {
    "compressed": (archive(tensor(), compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "a zip of zeros": (
        archive(b"N", {"0": bytes(10**7)}, zipfile.ZIP_DEFLATED), "overlap|is compressed"),
    "encrypted": (central(8, "<H", 1), "is encrypted"),
    "a huge entry": (central(24, "<I", 2**31), "overlap"),
    "a longer entry": (central(24, "<I", 28), "28 bytes in the file and should have 24"),
    "another place": (central(42, "<I", 0), "not where the directory says"),
    "a place beyond": (central(42, "<I", 2**31), DAMAGED),
    "a changed number": (patched(GOOD, struct.pack("<f", 5), struct.pack("<f", 6)), "checksum"),
    "a changed pickle": (patched(GOOD, b"_rebuild_tensor_v2", b"_rebuild_tensor_v3"), "checksum"),
    "no directory": (GOOD[:CENTRAL], DAMAGED),
    "an empty archive": (b"PK\x05\x06" + bytes(18), "without data.pkl"),
    "two pickles": (archive(b"N", {"b/data.pkl": b"N"}), "without a single data.pkl"),
    "a program": (archive(b"N", {}, **{"constants.pkl": b"N"}), "TorchScript"),
    "another byte order": (archive(tensor(), byteorder=b"middle"), "unknown byte order b'middle'"),
    "a long byte order": (archive(tensor(), byteorder=b"little" * 99), "unknown byte order"),
    "no file at all": (b"", "neither a file of torch.save"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a file of torch.save"),
    "a plain pickle": (pickle.dumps({"a": 1}), "neither a file of torch.save"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTAINERS)
def test_a_damaged_container_is_an_error(case: str) -> None:
    data, message = CONTAINERS[case]
    with pytest.raises((RuntimeError, pickle.UnpicklingError), match=message):
        load(io.BytesIO(data))


def test_two_entries_of_one_name_are_an_error() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02N.")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("archive/data.pkl", b"\x80\x02\x88.")
    with pytest.raises(RuntimeError, match="two entries have one name"):
        load(io.BytesIO(out.getvalue()))


def test_numpys_archive_is_said_to_be_one() -> None:
    out = io.BytesIO()
    np.savez(out, a=np.ones(2))
    with pytest.raises(RuntimeError, match=r"without data.pkl.*numpy.load"):
        load(io.BytesIO(out.getvalue()))


def test_a_program_of_torchscript_is_said_to_be_one(tmp_path: Any) -> None:
    out = io.BytesIO()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(torch.nn.ReLU()), out)
    with pytest.raises(RuntimeError, match="TorchScript"):
        load(io.BytesIO(out.getvalue()))


def test_the_tar_format_is_said_to_be_one() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        file.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(RuntimeError, match="a tar archive, as PyTorch wrote before"):
        load(io.BytesIO(out.getvalue()))


def test_a_whole_module_is_refused_with_its_name() -> None:
    for zipped in (True, False):
        out = io.BytesIO()
        torch.save(torch.nn.Linear(2, 2), out, _use_new_zipfile_serialization=zipped)
        out.seek(0)
        with pytest.raises(pickle.UnpicklingError, match=r"Linear.*model\.state_dict\(\)"):
            load(out)


# --- the legacy format

VIEWED = b"(" + text("storage") + FLOATS + KEY + CPU + b"K\x06" + b"NtQ"
KEYS = b"\x80\x02]" + KEY + b"a."
SIX = struct.pack("<q", 6) + np.arange(6, dtype=np.float32).tobytes()
LEGACY = {
    "short storage": (tensor(stored=VIEWED), KEYS, SIX[:-1], "cut short"),
    "no storage": (tensor(stored=VIEWED), KEYS, b"", "cut short"),
    "a negative length": (tensor(stored=VIEWED), KEYS, b"\xff" * 8 + SIX, "cut short"),
    "a huge length": (tensor(stored=VIEWED), KEYS, b"\xff" * 7 + b"\x7f" + SIX, "cut short"),
    "another length": (tensor(stored=VIEWED), KEYS, struct.pack("<q", 5) + SIX[8:], "should have"),
    "no keys": (tensor(stored=VIEWED), b"\x80\x02].", SIX, "list of storages"),
    "further keys": (b"N", KEYS, SIX, "list of storages"),
    "keys twice": (tensor(stored=VIEWED), b"\x80\x02](" + KEY * 2 + b"e.", SIX * 2, "list of stor"),
    "keys that are no list": (tensor(stored=VIEWED), b"\x80\x02N.", SIX, "no list of names"),
    "keys that are lists": (tensor(stored=VIEWED), b"\x80\x02](]e.", SIX, "no list of names"),
    "keys with names": (tensor(stored=VIEWED), b"\x80\x02" + FLOATS + b".", SIX, "more than data"),
    "a view of a storage": (tensor(stored=VIEWED.replace(b"NtQ", b"(K\x00K\x00K\x01ttQ")), KEYS,
                            SIX, "before 0.4"),
    "an id of five": (tensor(), KEYS, SIX, "else than a storage"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEGACY)
def test_a_wrong_file_of_the_legacy_format_is_an_error(case: str) -> None:
    body, keys, tail, message = LEGACY[case]
    with pytest.raises((RuntimeError, pickle.UnpicklingError), match=message):
        load(io.BytesIO(legacy(body, keys, tail)))


def test_the_hand_made_legacy_file_is_right_where_nothing_is_wrong_with_it() -> None:
    data = legacy(tensor(stored=VIEWED), KEYS, SIX)
    assert np.asarray(load(io.BytesIO(data))).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_another_version_of_the_legacy_format_is_an_error() -> None:
    data = legacy(b"N", b"\x80\x02].", b"").replace(number(1001), number(1002))
    with pytest.raises(RuntimeError, match="version 1002"):
        load(io.BytesIO(data))


# --- size


def test_a_memo_bomb_stays_as_small_as_its_file() -> None:
    rounds = range(1, 200)
    bomb = b"]q\x00" + b"".join(b"0](h%ch%ceq%c" % (i - 1, i - 1, i) for i in rounds)
    shared = b"](" + b"".join(b"](h%ch%ceq%c" % (i - 1, i - 1, i) for i in rounds)
    with pytest.raises(pickle.UnpicklingError, match="opcode b'0'"):
        load(io.BytesIO(archive(bomb)))
    nested = load(io.BytesIO(archive(b"](]q\x00" + shared[2:] + b"e")))
    assert len(nested) == 200
    assert nested[5][0] is nested[5][1] is nested[4]


def test_deep_nesting_neither_recurses_nor_crashes() -> None:
    depth = 100_000
    nested = load(io.BytesIO(archive(b"]" * depth + b"a" * (depth - 1))))
    count = 0
    while nested:
        (nested,) = nested
        count += 1
    assert count == depth - 1


def test_views_cannot_take_many_times_the_memory_of_the_file() -> None:
    count = 1 << 18
    views = b"".join(tensor((count - i,), (1,), stored=storage(count=count)) for i in range(400))
    data = archive(b"](" + views + b"e", {"0": bytes(4 * count)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(pickle.UnpicklingError, match="far more memory"):
        load(io.BytesIO(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


# --- what a user says


def test_weights_only_false_loads_plain_data_and_runs_no_code() -> None:
    assert load(io.BytesIO(GOOD), weights_only=False).shape == (2, 3)
    assert load(io.BytesIO(GOOD), weights_only=None).shape == (2, 3)
    with pytest.raises(pickle.UnpicklingError) as refused:
        load(io.BytesIO(archive(b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R", {})), weights_only=False)
    assert re.search(r"never executes code .*state_dict\(\), new_path", refused.value.__notes__[0])


def test_marking_a_name_as_safe_builds_nothing_and_the_error_says_so() -> None:
    data = archive(call("tests.serialization.test_hostile", "Runs"))
    with pytest.raises(pickle.UnpicklingError, match=r"test_hostile.Runs") as plain:
        load(io.BytesIO(data))
    assert "add_safe_globals" not in str(plain.value)
    with (
        safe_globals([Runs]),
        pytest.raises(pickle.UnpicklingError, match="which add_safe_globals does not change"),
    ):
        load(io.BytesIO(data))
    add_safe_globals([(print, "builtins.eval")])
    try:
        with pytest.raises(pickle.UnpicklingError, match="add_safe_globals does not change"):
            load(io.BytesIO(archive(call("builtins", "eval", text("1")))))
    finally:
        clear_safe_globals()


def test_mapping_needs_a_path_and_text_files_are_refused(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="mmap=True needs a path, got BytesIO"):
        load(io.BytesIO(GOOD), mmap=True)
    (tmp_path / "a.pt").write_bytes(GOOD)
    with pytest.raises(TypeError, match="binary mode"), open(tmp_path / "a.pt") as file:
        load(file)
    with pytest.raises(TypeError, match="expected a path or a binary file object"):
        load({"a": 1})
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")

"""Files of jtoolbox in PyTorch, and PyTorch's in jtoolbox."""

from __future__ import annotations

import io
from collections import Counter, OrderedDict
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import dtypes, nn, optim
from jtoolbox.nn.parameter import Parameter
from jtoolbox.serialization import load, save
from jtoolbox.serialization.source import aligned_empty
from jtoolbox.tensor import Size, Tensor, from_host
from tests.serialization.builders import ORDERED_DICT, archive, name, number, numbers, same, text

NEW_OR_OLD = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def ours_to_torch(obj: Any) -> Any:
    file = io.BytesIO()
    save(obj, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def torch_to_ours(obj: Any, zipped: bool = True) -> Any:
    file = io.BytesIO()
    torch.save(obj, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    return load(file)


def round_trip(obj: Any) -> Any:
    file = io.BytesIO()
    save(obj, file)
    file.seek(0)
    return load(file)


def values_of(d: dtypes.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Values that fit the type, with extremes, NaN and infinities where it has them."""
    count = int(np.prod(shape))
    values = np.arange(count) % 100
    if d.is_floating_point or d.is_complex:
        values = values * 0.37 - 3.0
        values.reshape(-1)[:3] = [np.nan, np.inf, -np.inf][:count]
    values = values.astype(d.dtype)
    if d.is_complex:
        values = values * d.dtype.type(1 - 2j)
        values.reshape(-1)[:3] = 1 + 2j
    return values.reshape(shape)


def bits(x: Any) -> bytes:
    """The bytes of a tensor of either library, or of an array."""
    if isinstance(x, torch.Tensor):
        return x.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    values = x.detach() if isinstance(x, Tensor) else x
    return np.ascontiguousarray(np.asarray(values)).tobytes()


def to_torch(values: np.ndarray) -> torch.Tensor:
    if values.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def assert_same_tensor(ours: Any, theirs: torch.Tensor) -> None:
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype)
    assert bits(ours) == bits(theirs)
    assert ours.requires_grad == theirs.requires_grad


@pytest.mark.parametrize("d", dtypes.ALL, ids=lambda d: d.name)
def test_torch_reads_every_dtype_that_we_write(d: dtypes.dtype) -> None:
    obj = {str(shape): from_host(values_of(d, shape)) for shape in [(), (0, 3), (5,), (2, 3, 4)]}
    loaded = ours_to_torch(obj)
    for key, ours in obj.items():
        assert_same_tensor(ours, loaded[key])
        assert loaded[key].is_contiguous()


@NEW_OR_OLD
@pytest.mark.parametrize("d", dtypes.ALL, ids=lambda d: d.name)
def test_we_read_every_dtype_that_torch_writes(d: dtypes.dtype, zipped: bool) -> None:
    shapes = [(), (0, 3), (5,), (2, 3, 4)]
    obj = {str(shape): to_torch(values_of(d, shape)) for shape in shapes}
    loaded = torch_to_ours(obj, zipped)
    for key, theirs in obj.items():
        assert_same_tensor(loaded[key], theirs)


PLAIN = {
    "numbers": [0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, -(2**31), 2**31, -(2**63), 10**100],
    "floats": [0.0, -0.0, 1e-320, 1.5, float("inf"), 0.1],
    "other": [None, True, False, "", "text", "ünïcode \U0001f600", b"", b"\x00\xff", 1 - 2j],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((1, (2,)),)),
    "sets": [set(), {1, 2, 3}, {"a", ("b", 1)}],
    "dicts": [{}, {1: "int", 2.5: "float", None: "none", (1, "a"): "tuple"}, {True: 1}],
    "ordered": OrderedDict([("z", 1), ("a", OrderedDict())]),
    "counter": Counter("abracadabra"),
    "bytearray": bytearray(b"ab\x00"),
    "many": list(range(3000)),
    "big dict": {f"key {i}": i for i in range(2000)},
}


def test_torch_reads_plain_values_that_we_write() -> None:
    assert same(ours_to_torch(PLAIN), PLAIN)


@NEW_OR_OLD
def test_we_read_plain_values_that_torch_writes(zipped: bool) -> None:
    assert same(torch_to_ours({k: v for k, v in PLAIN.items() if k != "other"}, zipped),
                {k: v for k, v in PLAIN.items() if k != "other"})  # fmt: skip
    other = [v for v in PLAIN["other"] if v != b""]
    assert same(torch_to_ours(other, zipped), other)


def test_plain_values_come_back_as_they_were() -> None:
    assert same(round_trip(PLAIN), PLAIN)


def test_sizes_devices_and_dtypes_are_torchs_in_torch_and_ours_here() -> None:
    obj = [Size((2, 3)), jt.devices.device("cpu"), jt.devices.device("cuda:1"), dtypes.bfloat16]
    theirs = ours_to_torch(obj)
    assert theirs == [torch.Size([2, 3]), torch.device("cpu"), torch.device("cuda:1"),
                      torch.bfloat16]  # fmt: skip
    assert type(theirs[0]) is torch.Size
    back = torch_to_ours(theirs)
    assert back == obj
    assert type(back[0]) is Size
    assert back[3] is dtypes.bfloat16


def test_a_tpu_is_written_under_the_name_that_torch_knows() -> None:
    assert ours_to_torch(jt.devices.device("tpu")) == torch.device("xla")


def test_numpy_numbers_are_written_as_pythons() -> None:
    obj = {"best": np.float32(0.5), "n": np.int64(7), "ok": np.bool_(True), "mean": np.float64(0.1)}
    assert ours_to_torch(obj) == {"best": 0.5, "n": 7, "ok": True, "mean": 0.1}
    assert all(type(v) in (float, int, bool) for v in round_trip(obj).values())


def test_requires_grad_and_parameters_keep_their_kind_both_ways() -> None:
    values = np.ones((2, 2), np.float32)
    obj = {
        "parameter": Parameter(from_host(values)),
        "frozen": Parameter(from_host(values.copy()), requires_grad=False),
        "leaf": from_host(values.copy()).requires_grad_(),
        "plain": from_host(values.copy()),
    }
    theirs = ours_to_torch(obj)
    assert isinstance(theirs["parameter"], torch.nn.Parameter)
    assert isinstance(theirs["frozen"], torch.nn.Parameter)
    for loaded in (round_trip(obj), torch_to_ours(theirs), torch_to_ours(theirs, zipped=False)):
        for key, ours in loaded.items():
            assert_same_tensor(ours, theirs[key])
            assert type(ours) is type(obj[key])


def test_jax_arrays_are_written_as_tensors() -> None:
    theirs = ours_to_torch({"w": jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3)})
    assert theirs["w"].dtype == torch.bfloat16
    assert theirs["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_transposed_values_are_written_in_their_order() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    theirs = ours_to_torch([from_host(x.T), from_host(x[:, ::2])])
    assert theirs[0].tolist() == x.T.tolist()
    assert theirs[1].tolist() == x[:, ::2].tolist()


# --- tied weights and views


def test_the_same_tensor_is_written_once_and_comes_back_as_one() -> None:
    w = from_host(np.ones(1000, np.float32))
    file = io.BytesIO()
    save({"a": w, "b": [w]}, file)
    assert len(file.getvalue()) < 4000 + 1500
    file.seek(0)
    theirs = torch.load(file, weights_only=True)
    assert theirs["a"] is theirs["b"][0]
    file.seek(0)
    ours = load(file)
    assert ours["a"] is ours["b"][0]


def test_detached_handles_of_one_parameter_are_written_as_one_storage() -> None:
    p = Parameter(from_host(np.ones(1000, np.float32)))
    file = io.BytesIO()
    save(OrderedDict(a=p.detach(), b=p.detach(), c=p.data), file)
    assert len(file.getvalue()) < 4000 + 2000
    file.seek(0)
    theirs = torch.load(file, weights_only=True)
    theirs["a"][0] = 5
    assert theirs["b"][0] == 5
    assert theirs["c"][0] == 5
    file.seek(0)
    ours = load(file)
    assert ours["a"] is ours["b"]


def test_tensors_of_equal_values_stay_separate_in_torch() -> None:
    first = from_host(np.zeros(3, np.float32))
    second = from_host(np.zeros(3, np.float32))
    theirs = ours_to_torch([first, second])
    theirs[0] += 1
    assert theirs[1].tolist() == [0, 0, 0]


@NEW_OR_OLD
def test_views_of_one_storage_have_their_own_values(zipped: bool) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    views = {
        "base": base,
        "transposed": base.T,
        "row": base[2],
        "column": base[:, 3],
        "steps": base[1::2, ::3],
        "expanded": torch.tensor([7.0]).expand(3, 4),
        "flat": base.view(-1),
        "permuted": torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1),
        "channels last": torch.ones(1, 3, 4, 4).to(memory_format=torch.channels_last),
        "empty": base[:0],
        "number": base[1, 1],
        "size one": torch.arange(5.0).as_strided((1, 5), (77, 1)),
    }
    ours = torch_to_ours(views, zipped)
    for key, theirs in views.items():
        assert_same_tensor(ours[key], theirs)


@NEW_OR_OLD
def test_identical_views_come_back_as_one_tensor(zipped: bool) -> None:
    tied = torch.nn.Linear(3, 3)
    state = OrderedDict(a=tied.weight.detach(), b=tied.weight.detach(), c=tied.bias.detach())
    ours = torch_to_ours(state, zipped)
    assert ours["a"] is ours["b"]
    assert ours["a"] is not ours["c"]


def test_conjugated_and_negated_views_have_their_values() -> None:
    x = torch.tensor([1 + 2j, 3 - 4j])
    negated = x.conj().imag
    assert negated.is_neg()
    conjugated, plain = torch_to_ours([x.conj(), x])
    assert np.asarray(conjugated).tolist() == [1 - 2j, 3 + 4j]
    assert np.asarray(plain).tolist() == [1 + 2j, 3 - 4j]
    assert np.asarray(torch_to_ours(negated)).tolist() == [-2.0, 4.0]


def test_overlapping_tensors_have_memory_of_their_own() -> None:
    base = torch.arange(6.0)
    whole, shaped, part = map(np.asarray, torch_to_ours([base, base.view(2, 3), base[2:]]))
    assert not np.shares_memory(whole, shaped)
    assert not np.shares_memory(whole, part)
    assert shaped.tolist() == [[0, 1, 2], [3, 4, 5]]


# --- whole state dicts


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 8)
        self.body = torch.nn.Sequential(
            torch.nn.Conv1d(8, 8, 3, bias=False), torch.nn.BatchNorm1d(8), torch.nn.LSTM(4, 8)
        )
        self.head = torch.nn.Linear(8, 11)
        self.head.weight = self.embedding.weight


def assert_same_state(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, torch.Tensor):
        assert_same_tensor(ours, theirs)
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs)
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same_state(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_same_state(mine, other)
    else:
        assert ours == theirs


@NEW_OR_OLD
def test_a_models_state_dict_goes_there_and_back_with_its_metadata(zipped: bool) -> None:
    state = Tied().state_dict()
    ours = torch_to_ours(state, zipped)
    assert_same_state(ours, state)
    assert ours._metadata == state._metadata
    assert ours["head.weight"] is ours["embedding.weight"]
    back = ours_to_torch(ours)
    assert back._metadata == state._metadata
    fresh = Tied()
    assert not fresh.load_state_dict(back).missing_keys
    assert_same_state(ours, fresh.state_dict())


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW([{"params": p[:1], "lr": 0.5}, {"params": p[1:]}]),
    "Adagrad": torch.optim.Adagrad,
    "RMSprop": torch.optim.RMSprop,
}


@NEW_OR_OLD
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizers_state_dict_goes_there_and_back(kind: str, zipped: bool) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = OPTIMIZERS[kind](list(model.parameters()))
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    ours = torch_to_ours(state, zipped)
    assert_same_state(ours, state)
    back = ours_to_torch({"optimizer": ours, "epoch": 3, "loss": 0.5})
    assert_same_state(ours, back["optimizer"])
    OPTIMIZERS[kind](list(model.parameters())).load_state_dict(back["optimizer"])


def test_torch_continues_in_the_same_way_from_our_copy_of_a_checkpoint() -> None:
    def trained(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for step in range(steps):
            optimizer.zero_grad()
            model(torch.ones(4, 3) * (step + 1)).pow(2).mean().backward()
            optimizer.step()

    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    trained(model, optimizer, 3)
    checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    copied = ours_to_torch(torch_to_ours(checkpoint))
    other = torch.nn.Linear(3, 2)
    again = torch.optim.Adam(other.parameters())
    other.load_state_dict(copied["model"])
    again.load_state_dict(copied["optimizer"])
    trained(model, optimizer, 3)
    trained(other, again, 3)
    assert torch.equal(model.weight, other.weight)


# --- paths, file objects, options


def test_torch_reads_our_file_by_path_and_by_mapping(tmp_path: Any) -> None:
    x = np.arange(1000, dtype=np.float32)
    save({"x": from_host(x), "y": from_host(x[:7].copy())}, tmp_path / "a.pt")
    for mmap in (False, True):
        theirs = torch.load(tmp_path / "a.pt", weights_only=True, mmap=mmap)
        assert theirs["x"].tolist() == x.tolist()
        assert theirs["y"].tolist() == x[:7].tolist()
    mapped = torch.load(str(tmp_path / "a.pt"), weights_only=True, mmap=True)
    assert mapped["x"].data_ptr() % 64 == 0


def test_storages_start_at_multiples_of_64(tmp_path: Any) -> None:
    tensors = [from_host(np.full(n, n, np.uint8)) for n in (1, 3, 64, 65)]
    save(tensors, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    for n in (3, 64, 65):
        assert data.index(bytes([n]) * n) % 64 == 0


def test_files_without_checksums_and_of_both_byte_orders_are_read() -> None:
    x = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    torch.serialization.set_crc32_options(False)
    try:
        assert np.asarray(torch_to_ours(x)).tolist() == x.tolist()
    finally:
        torch.serialization.set_crc32_options(True)


@pytest.mark.parametrize("d", dtypes.ALL, ids=lambda d: d.name)
def test_a_big_endian_file_has_the_same_values(d: dtypes.dtype) -> None:
    values = values_of(d, (5,))
    width = d.itemsize // 2 if d.is_complex else d.itemsize
    swapped = values.view(f"u{width}").byteswap().tobytes()
    raw = b"(" + text("storage") + name("torch", "UntypedStorage") + text("0") + text("cpu")
    raw += number(len(swapped)) + b"tQ"
    pickled = name("torch._utils", "_rebuild_tensor_v3") + b"(" + raw + number(0) + numbers(5)
    pickled += numbers(1) + b"\x89" + ORDERED_DICT + name("torch", d.name) + b"tR"
    data = archive(pickled, {"0": swapped}, byteorder=b"big")
    assert bits(load(io.BytesIO(data))) == bits(values)


def test_a_file_object_is_read_from_its_position_and_left_open() -> None:
    file = io.BytesIO(b"before")
    file.seek(6)
    save([1, 2], file)
    file.seek(6)
    assert load(file) == [1, 2]
    assert not file.closed
    file.seek(0, 2)
    with pytest.raises(RuntimeError, match=r"call f.seek\(0\) first"):
        load(file)


def test_several_objects_in_one_legacy_stream_are_not_confused() -> None:
    file = io.BytesIO()
    torch.save([torch.ones(2)], file, _use_new_zipfile_serialization=False)
    length = file.tell()
    torch.save([torch.zeros(3)], file, _use_new_zipfile_serialization=False)
    file.seek(length)
    assert np.asarray(load(file)[0]).tolist() == [0, 0, 0]


def test_a_file_object_that_cannot_seek_is_written_and_read() -> None:
    class Pipe:
        def __init__(self, data: bytes = b""):
            self.data = data

        def write(self, data: Any) -> int:
            self.data += bytes(data)
            return len(data)

        def flush(self) -> None:
            pass

        def read(self, size: int = -1) -> bytes:
            return self.data

    pipe = Pipe()
    save({"x": from_host(np.ones(3, np.float32))}, pipe)
    assert np.asarray(load(Pipe(pipe.data))["x"]).tolist() == [1, 1, 1]
    assert torch.load(io.BytesIO(pipe.data), weights_only=True)["x"].tolist() == [1, 1, 1]


def test_later_pickle_protocols_are_read() -> None:
    for protocol in (2, 3, 4, 5):
        file = io.BytesIO()
        obj = {"x": torch.ones(2), "s": {1, 2}, "b": b"bytes", "t": "é" * 300, "n": (1, 2.5)}
        torch.save(obj, file, pickle_protocol=protocol)
        file.seek(0)
        assert_same_state(load(file), obj)


def test_attributes_of_a_tensor_are_left_out_with_a_warning() -> None:
    x = torch.ones(2)
    x.note = "hello"
    with pytest.warns(UserWarning, match="left out: 'note'"):
        ours = torch_to_ours(x)
    assert np.asarray(ours).tolist() == [1, 1]
    p = torch.nn.Parameter(torch.ones(2))
    p.note = "hello"
    with pytest.warns(UserWarning, match="left out: 'note'"):
        assert isinstance(torch_to_ours(p), Parameter)


def test_loaded_values_lie_in_their_own_aligned_memory(tmp_path: Any) -> None:
    assert all(aligned_empty(n).ctypes.data % 64 == 0 for n in (1, 63, 64, 1000, 10**6))
    torch.save({"x": torch.arange(1000.0)}, tmp_path / "a.pt")
    x = load(tmp_path / "a.pt", mmap=True)["x"]
    with open(tmp_path / "a.pt", "r+b") as file:
        file.write(bytes((tmp_path / "a.pt").stat().st_size))
    assert np.asarray(x).tolist() == list(range(1000))


class OurTied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(from_host(np.ones((11, 8), np.float32)))
        self.head = nn.Module()
        self.head.weight = self.weight
        self.register_buffer("steps", from_host(np.array(3)))


def test_our_modules_state_dict_goes_to_torch_and_back_with_its_ties() -> None:
    model = OurTied()
    file = io.BytesIO()
    save({"model": model.state_dict(), "epoch": 3}, file)
    file.seek(0)
    theirs = torch.load(file, weights_only=True)["model"]
    assert list(theirs) == list(model.state_dict())
    assert theirs._metadata == model.state_dict()._metadata
    theirs["weight"][0, 0] = 7
    assert theirs["head.weight"][0, 0] == 7
    ours = torch_to_ours(theirs)
    assert ours["weight"] is ours["head.weight"]
    assert not OurTied().load_state_dict(ours).missing_keys


def test_our_adams_state_dict_goes_to_torchs_adam_and_back() -> None:
    p = Parameter(from_host(np.ones((3, 4), np.float32)))
    optimizer = optim.Adam([p], betas=(0.8, 0.9))
    (p * p).sum().backward()
    optimizer.step()
    file = io.BytesIO()
    save(optimizer.state_dict(), file)
    file.seek(0)
    theirs = torch.optim.Adam([torch.nn.Parameter(torch.ones(3, 4))])
    theirs.load_state_dict(torch.load(file, weights_only=True))
    assert theirs.param_groups[0]["betas"] == (0.8, 0.9)
    back = torch_to_ours(theirs.state_dict())
    assert_same_state(back, theirs.state_dict())
    optimizer.load_state_dict(back)
    assert optimizer.state[p].keys() == theirs.state[theirs.param_groups[0]["params"][0]].keys()

"""Tensor's constructors, conversions and attributes give what PyTorch's give, or its error."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.both import both
from tests.reference import to_numpy


def described(value: Any) -> Any:
    """A result in words that both libraries share."""
    if isinstance(value, (torch.Tensor, jt.Tensor)):
        values = to_numpy(value).astype(complex if value.is_complex() else float)
        return (type(value).__name__, list(value.shape), str(value.dtype), value.requires_grad,
                np.round(values, 4).tolist())  # fmt: skip
    if isinstance(value, (tuple, list)):
        return type(value).__name__, [described(v) for v in value]
    return value if isinstance(value, (int, float, complex, str)) else repr(value)


def outcome(lib: Any, text: str) -> Any:
    """What the expression gives with this library: described, or the type of its error."""
    *lines, last = text.split("; ")
    names = {"torch": lib, "np": np, "nn": lib.nn, "copy": copy, "pickle": pickle}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec("\n".join(lines), names)
            return described(eval(last, names))
        except Exception as error:
            return type(error)


CONSTRUCTORS = [
    "torch.Tensor()",
    "torch.Tensor(2, 3).shape",
    "torch.Tensor(2.5)",
    "torch.Tensor([1, 2])",
    "torch.Tensor(range(3))",
    "torch.Tensor(np.ones((2, 2)))",
    "torch.Tensor(np.array([1, 2]))",
    "torch.Tensor(torch.ones(2, dtype=torch.int64))",
    "torch.Tensor(torch.Size([2, 1])).shape",
    "torch.ones(2).new().shape",
    "torch.ones(2).new([1, 2])",
    "torch.ones(2).new_tensor([1j])",
    "torch.ones(2, dtype=torch.int8).new_tensor([300])",
    "torch.ones(2, dtype=torch.int64).new_tensor([1.5, 2])",
    "torch.FloatTensor(torch.Size([2])).shape",
    "isinstance(torch.ones(1), torch.cuda.FloatTensor)",
    "repr(torch.cuda.FloatTensor)",
    "torch.ones(1).type('float')",
    "torch.ones(1).type('torch.DoubleTensor')",
]
DATA = [
    "torch.ones(2, dtype=float)",
    "torch.zeros(1, dtype=complex)",
    "torch.ones(2, dtype=int)",
    "torch.ones(2).to(float)",
    "torch.arange(3, dtype=float)",
    "torch.tensor([np.float32(1), 2])",
    "torch.tensor([1, np.float64(1)])",
    "torch.tensor([np.int32(1), 2])",
    "torch.tensor((np.int8(1),))",
    "torch.tensor([np.float16(1)])",
    "torch.tensor([np.bool_(True)])",
    "torch.tensor([np.array([1, 2], np.int32)])",
    "torch.tensor([torch.tensor(1, dtype=torch.int32), 2.5])",
    "torch.tensor([torch.tensor(1.0, dtype=torch.float64)])",
    "torch.tensor([[True], [1.5]])",
    "torch.tensor([1, 1j])",
    "torch.tensor([[], []])",
    "torch.tensor(2**63)",
    "torch.tensor([2**64])",
    "torch.tensor(-2**63)",
    "torch.tensor(2**63, dtype=torch.uint64)",
    "torch.tensor([-1], dtype=torch.uint8)",
    "torch.tensor(-255, dtype=torch.uint8)",
    "torch.tensor(-256, dtype=torch.uint8)",
    "torch.tensor(128, dtype=torch.int8)",
    "torch.tensor(1e10, dtype=torch.int32)",
    "torch.tensor(float('nan'), dtype=torch.int64)",
    "torch.tensor(1e6, dtype=torch.float16)",
    "torch.tensor(1j, dtype=torch.float32)",
    "torch.tensor(np.array([300, -1]), dtype=torch.uint8)",
    "torch.tensor(np.array([1j]), dtype=torch.float32)",
    "torch.tensor([0.5, 2], dtype=torch.bool)",
    "torch.tensor(None)",
    "torch.tensor([{}])",
    "torch.tensor('a')",
    "torch.result_type(1, 2)",
]
# Numbers that a type cannot hold, where they are written.
NUMBERS = [
    "torch.ones(2, dtype=torch.uint8).fill_(300)",
    "torch.ones(2, dtype=torch.uint8).fill_(-1)",
    "torch.ones(2, dtype=torch.int8).fill_(float('nan'))",
    "torch.ones(2, dtype=torch.int64).fill_(1.7)",
    "torch.ones(2, dtype=torch.float16).fill_(1e6)",
    "torch.ones(2, dtype=torch.float16).fill_(float('inf'))",
    "torch.ones(2).fill_(1e40)",
    "torch.ones(1).fill_(1j)",
    "torch.full((1,), 300, dtype=torch.uint8)",
    "torch.full((1,), 2**63)",
    "torch.full((1,), 1e40)",
    "torch.full((1,), 1e6, dtype=torch.float16)",
    "torch.full((1,), 1j, dtype=torch.float32)",
    "torch.full_like(torch.ones(2, dtype=torch.uint8), 300)",
    "torch.ones(1, dtype=torch.float16).masked_fill(torch.tensor([True]), -1e9)",
    "torch.ones(1, dtype=torch.float16).masked_fill(torch.tensor([True]), float('-inf'))",
    "torch.ones(1, dtype=torch.bfloat16).masked_fill(torch.tensor([True]), -1e9)",
    "torch.ones(2, dtype=torch.uint8).index_fill(0, torch.tensor([0]), 300)",
    "torch.ones(2, dtype=torch.uint8).clamp(max=300)",
    "torch.ones(2, dtype=torch.uint8).clamp(0, 200)",
    "torch.ones(2, dtype=torch.uint8).clamp(0.5)",
    "torch.where(torch.tensor([True, False]), torch.ones(2, dtype=torch.uint8), 300)",
    "torch.where(torch.tensor([True, False]), torch.ones(2, dtype=torch.uint8), 2.5)",
    "torch.ones(2, dtype=torch.uint8).scatter(0, torch.tensor([0]), 300)",
    "torch.nn.functional.pad(torch.ones(2, dtype=torch.uint8), (1, 1), value=300)",
    "x = torch.ones(2, dtype=torch.uint8); x[:] = 300; x",
    "x = torch.ones(2, dtype=torch.uint8); x[0] = -1; x",
    "x = torch.ones(2, dtype=torch.uint8); x[torch.tensor([True, False])] = 300; x",
    "torch.ones(2, dtype=torch.uint8) + 300",
    "torch.randint(0, 300, (2,), dtype=torch.uint8)",
    "torch.zeros(2, dtype=torch.uint8).random_(0, 300)",
    "torch.arange(0.5, 3.7, dtype=torch.int64)",
    "torch.arange(0, 10, 2.7, dtype=torch.int32)",
    "torch.linspace(0.5, 3.7, 3, dtype=torch.int64)",
]
ATTRIBUTES = [
    "x = torch.ones(2, requires_grad=True); x.data = torch.zeros(2, dtype=torch.int64); x",
    "x = torch.ones(2, requires_grad=True); x.grad = x; x",
    "float(torch.ones(2))",
    "int(torch.ones(2))",
    "complex(torch.tensor([[2.0]]))",
    "np.sqrt(torch.ones(2))",
    "np.isnan(torch.ones(2))",
    "torch.ones(2) * np.float64(2)",
    "torch.ones(2).map2_(torch.ones(2), torch.tensor(3.0), lambda a, b, c: a + b + c)",
    "torch.ones(2, 3).contiguous(memory_format=torch.channels_last)",
    "torch.ones(2).to(memory_format=torch.channels_last)",
    "torch.ones(2).clone(memory_format=torch.channels_last_3d)",
    "torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last).shape",
    "x = torch.ones(1, requires_grad=True) * 2; pickle.loads(pickle.dumps(x))",
    "pickle.loads(pickle.dumps(nn.Parameter(torch.ones(1))))",
    "copy.deepcopy(nn.Parameter(torch.ones(1), requires_grad=False))",
    "torch.equal(torch.ones(1), [1.0])",
    "torch._assert(True, 'no'), torch._assert(False, 'no')",
    "torch.norm_except_dim(torch.arange(6.0).view(2, 3), 2, 1)",
    "torch.nuclear_norm(torch.arange(6.0).view(2, 3))",
    "torch.frobenius_norm(torch.arange(6.0).view(2, 3), [0, 1])",
    "repr(torch.finfo(torch.float16))",
    "torch.Generator().initial_seed(), torch.Generator().get_state().dtype",
    "torch.Generator().device",
    "torch.manual_seed(2**64)",
    "torch.is_storage(torch.ones(1).untyped_storage()), torch.is_storage(1)",
]
SIZES = [
    "(1,) + torch.Size([2, 3])",
    "torch.Size([2, 3]) * 2",
    "2 * torch.Size([2, 3])",
    "torch.Size([2, 3]) + [1]",
    "torch.Size([2.5])",
    "torch.Size('ab')",
    "torch.Size([torch.tensor(2)])",
    "torch.Size(), torch.Size((2, 3))[:1]",
    "pickle.loads(pickle.dumps(torch.Size([2])))",
]


@pytest.mark.parametrize("text", [*CONSTRUCTORS, *DATA, *NUMBERS, *ATTRIBUTES, *SIZES])
def test_expressions_give_what_pytorch_gives(text):
    assert outcome(jt, text) == outcome(torch, text)


def test_numbers_out_of_range_are_named():
    with pytest.raises(RuntimeError, match=r"converted to type float16 without overflow: it is -1"):
        jt.ones(1).half().masked_fill(jt.tensor([True]), -1e9)
    with pytest.raises(ValueError, match=r"outside of int64's range"):
        jt.tensor([2**63])
    with pytest.raises(TypeError, match=r"real number, not complex: float32 cannot hold it"):
        jt.tensor([1j], dtype=jt.float32)
    with pytest.raises(RuntimeError, match=r"to - 1 is out of bounds for uint8: it is 299"):
        jt.randint(0, 300, (2,), dtype=jt.uint8)


def test_sparse_layouts_of_dense_functions_are_refused():
    for make in (jt.ones, jt.rand, jt.empty, jt.hann_window, jt.arange):
        with pytest.raises(RuntimeError, match=r"call to_sparse\(\)"):
            make(2, layout=jt.sparse_coo)
    with pytest.raises(RuntimeError, match=r"dense tensors"):
        jt.zeros_like(jt.ones(2), layout=jt.sparse_csr)
    assert jt.ones(2, layout=jt.strided).shape == (2,)


def test_what_set_would_do_is_said():
    with pytest.raises(RuntimeError, match=r"x\.data = other"):
        jt.ones(2).set_(jt.zeros(3))


@both
def test_a_storage_tells_size_and_sharing(lib):
    x = lib.arange(6.0)
    part, other = x[2:].view(2, 2), x.clone()
    assert part.untyped_storage().nbytes() == part.untyped_storage().size() == 24
    assert part.untyped_storage().data_ptr() == x.detach().untyped_storage().data_ptr()
    assert other.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        elements = part.storage()
    assert (len(elements), elements[3], elements.dtype) == (6, 3.0, lib.float32)
    assert list(elements) == elements.tolist() == [0, 1, 2, 3, 4, 5]
    assert type(elements.untyped()) is type(x.untyped_storage())
    assert x.untyped_storage().device == lib.device("cpu")


def test_storages_are_to_be_looked_at():
    with pytest.raises(RuntimeError, match=r"copy_ of a storage is not supported.*x\.copy_"):
        jt.ones(2).untyped_storage().copy_(jt.ones(2).untyped_storage())
    with pytest.raises(RuntimeError, match="resize_"):
        jt.ones(2).untyped_storage().resize_(0)


@both
def test_the_default_device_survives_a_wrong_one(lib):
    with pytest.raises(RuntimeError):
        lib.set_default_device("foo")
    with pytest.raises((RuntimeError, AssertionError)), lib.device("cuda:77"):
        lib.ones(2)
    assert lib.ones(2).device.type == "cpu"


def test_the_default_device_survives_one_that_is_absent():
    with pytest.raises(RuntimeError, match="not available"):
        jt.set_default_device("cuda:7")
    with pytest.raises(RuntimeError, match="not available"), jt.device("cuda:7"):
        pass
    assert jt.ones(2).sum().item() == 2


@both
def test_old_random_generators_begin_alike(lib):
    first, second = (lib.rand(3, generator=lib.Generator()).tolist() for _ in range(2))
    assert first == second


@both
def test_a_storage_may_be_the_bytes_of_a_file(lib, tmp_path):
    path = str(tmp_path / "bytes")
    np.arange(16, dtype=np.uint8).tofile(path)
    found = lib.UntypedStorage.from_file(path, False, 16)
    part = lib.asarray(found[4:8], dtype=lib.uint8)
    assert (found.nbytes(), found[3], part.tolist()) == (16, 3, [4, 5, 6, 7])
    for arguments in ((path, False, 17), (str(tmp_path / "none"), False, 1)):
        with pytest.raises(RuntimeError, match=r"bytes|none"):
            lib.UntypedStorage.from_file(*arguments)

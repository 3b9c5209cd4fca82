"""The torch namespace: in-place functions, old tensor classes, switches, facts about tensors."""

import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox import in_place

SAME = [n for n in in_place.__all__ if n.startswith(("ex", "lo", "si", "sq", "ro", "ne", "ab"))]


@pytest.mark.parametrize("name", SAME)
def test_in_place_functions_write_their_argument(name):
    values = np.array([0.2, 0.5, 0.9], np.float32)
    ours, theirs = jtoolbox.tensor(values), torch.tensor(values)
    assert getattr(jtoolbox, name)(ours) is ours
    getattr(torch, name)(theirs)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5)


def test_every_in_place_function_is_one_of_torch():
    assert all(callable(getattr(torch, name)) for name in in_place.__all__)
    with pytest.raises(TypeError, match=r"must be Tensor, not ndarray.*use exp\(\)"):
        jtoolbox.exp_(np.ones(2))


CLASSES = ["Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"]


@pytest.mark.parametrize("kind", CLASSES)
def test_old_tensor_classes(kind):
    ours, theirs = (getattr(t, f"{kind}Tensor") for t in (jtoolbox, torch))
    assert ours(2, 3).shape == theirs(2, 3).shape
    assert str(ours([1, 0]).dtype) == str(theirs([1, 0]).dtype)
    assert ours([1, 0]).tolist() == theirs([1, 0]).tolist()
    assert isinstance(ours([1]), ours)
    assert not isinstance(jtoolbox.ones(1, dtype=jtoolbox.complex64), ours)
    assert ours([1]).type() == theirs([1]).type() == f"torch.{kind}Tensor"
    assert jtoolbox.ones(2).type(ours).dtype is ours.dtype
    assert repr(ours) == repr(theirs)


def test_old_classes_take_what_torchs_take():
    assert jtoolbox.LongTensor([1.5, 2]).tolist() == [1, 2]
    assert jtoolbox.FloatTensor(np.array([1], np.int32)).dtype is jtoolbox.float32
    assert jtoolbox.FloatTensor(jtoolbox.Size([2, 3])).shape == (2, 3)
    assert jtoolbox.LongTensor(range(3)).tolist() == [0, 1, 2]
    assert jtoolbox.FloatTensor().shape == (0,)
    with pytest.raises(TypeError, match="Convert it"):
        jtoolbox.FloatTensor(jtoolbox.tensor([1]))
    with pytest.raises(TypeError, match="data must be a sequence"):
        jtoolbox.FloatTensor(2.5)


def test_the_default_tensor_type():
    try:
        jtoolbox.set_default_tensor_type("torch.DoubleTensor")
        assert jtoolbox.ones(1).dtype is jtoolbox.float64
        jtoolbox.set_default_tensor_type(jtoolbox.FloatTensor)
        assert jtoolbox.ones(1).dtype is jtoolbox.float32
        with pytest.raises(TypeError, match="only floating-point"):
            jtoolbox.set_default_tensor_type("torch.LongTensor")
        with pytest.raises(TypeError, match="not available"):
            jtoolbox.set_default_tensor_type("torch.cuda.FloatTensor")
    finally:
        jtoolbox.set_default_dtype(jtoolbox.float32)


def test_switches_are_kept():
    jtoolbox.use_deterministic_algorithms(True, warn_only=True)
    assert jtoolbox.are_deterministic_algorithms_enabled()
    assert jtoolbox.get_deterministic_debug_mode() == 1
    jtoolbox.set_deterministic_debug_mode("default")
    assert not jtoolbox.are_deterministic_algorithms_enabled()
    assert jtoolbox.get_float32_matmul_precision() == "highest"
    with pytest.warns(UserWarning, match="has no effect"):
        jtoolbox.set_float32_matmul_precision("other")
    with pytest.raises(RuntimeError, match="positive integer"):
        jtoolbox.set_num_threads(0)
    assert jtoolbox.get_num_threads() >= 1
    assert jtoolbox.get_default_device() == jtoolbox.device("cpu")


def test_facts_about_tensors():
    x = jtoolbox.ones(2)
    assert (x.layout, x.output_nr, x.name) == (jtoolbox.strided, 0, None)
    assert repr(jtoolbox.sparse_coo) == repr(torch.sparse_coo)
    assert not any((x.is_conj(), x.is_pinned(), x.is_shared(), x.is_inference(), x.is_meta))
    assert x.share_memory_() is x
    assert x.to_dense() is x
    assert jtoolbox.is_signed(x)
    assert jtoolbox.is_same_size(x, x + 1)
    assert jtoolbox.typename(x) == torch.typename(torch.ones(2))
    assert jtoolbox.typename(3) == torch.typename(3)
    assert jtoolbox.ones(3).resize_(5).tolist()[:3] == [1.0] * 3
    assert jtoolbox.ones(3).resize_(2).tolist() == [1.0] * 2
    x.map_(jtoolbox.tensor([2.0, 3.0]), lambda a, b: a + b)
    assert x.tolist() == [3.0, 4.0]


def test_random_state_is_put_back():
    jtoolbox.manual_seed(3)
    with jtoolbox.random.fork_rng():
        inside = jtoolbox.rand(3)
    assert jtoolbox.rand(3).tolist() == inside.tolist()
    count, chance = jtoolbox.full((1000,), 10.0), jtoolbox.full((1000,), 0.3)
    drawn = jtoolbox.binomial(count, chance)
    assert abs(float(drawn.mean()) - 3) < 0.3
    assert drawn.dtype is jtoolbox.float32


def test_histogramdd():
    points = np.array([[0.0, 1], [1, 0], [2, 0], [2, 2]], np.float32)
    ours = jtoolbox.histogramdd(jtoolbox.tensor(points), bins=[3, 3])
    theirs = torch.histogramdd(torch.tensor(points), bins=[3, 3])
    np.testing.assert_array_equal(ours.hist.numpy(), theirs.hist.numpy())
    np.testing.assert_allclose(ours.bin_edges[0].numpy(), theirs.bin_edges[0].numpy(), rtol=1e-6)


def test_frombuffer():
    data = bytearray(b"abcdefgh")
    ours = jtoolbox.frombuffer(data, dtype=jtoolbox.uint8, offset=1, count=3)
    assert ours.tolist() == torch.frombuffer(data, dtype=torch.uint8, offset=1, count=3).tolist()
    with pytest.raises(ValueError, match="multiple of element size"):
        jtoolbox.frombuffer(data, dtype=jtoolbox.int32, offset=1)

"""Strides of views are PyTorch's; `view` raises and `reshape` copies where PyTorch's do."""

import ctypes
import random

import numpy as np
import pytest
import torch

import jtoolbox

STEPS = [
    lambda x: x.transpose(0, -1),
    lambda x: x.unsqueeze(0),
    lambda x: x.unsqueeze(-1),
    lambda x: x.squeeze(),
    lambda x: x[1:],
    lambda x: x[..., ::2],
    lambda x: x[0],
    lambda x: x[:, None],
    lambda x: x.expand(3, *x.shape),
    lambda x: x.diagonal(),
    lambda x: x.unfold(-1, 2, 1),
    lambda x: x.view(-1),
    lambda x: x.view(x.shape[0], 2, -1),
    lambda x: x.reshape(-1),
    lambda x: x.flatten(0, 1),
    lambda x: x.contiguous(),
    lambda x: x.detach(),
    lambda x: x.narrow(0, 0, 1),
    lambda x: x.select(-1, 1),
    lambda x: x.permute(*range(x.dim())[::-1]),
    lambda x: x.chunk(2)[-1],
]
SHAPES = [(4, 6), (2, 3, 4), (6,), (1, 4, 1, 2)]


def outcome(step, x):
    try:
        return step(x)
    except (RuntimeError, IndexError, ValueError):
        return None


def wide(x):
    """The strides of the dimensions that have more than one element; others mean nothing."""
    return [s for s, n in zip(x.stride(), x.shape, strict=True) if n > 1]


@pytest.mark.parametrize("seed", range(3))
def test_random_chains_of_views(seed):
    choose = random.Random(seed)
    for _ in range(25):
        shape = choose.choice(SHAPES)
        theirs = torch.arange(float(np.prod(shape))).reshape(shape).clone()
        ours = jtoolbox.tensor(theirs.numpy())
        for step in choose.choices(STEPS, k=4):
            theirs, ours = outcome(step, theirs), outcome(step, ours)
            assert (theirs is None) == (ours is None)
            if theirs is None or 0 in theirs.shape:
                break
            assert wide(ours) == wide(theirs)
            assert ours.is_contiguous() == theirs.is_contiguous()
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_view_of_a_transposed_matrix_raises_and_reshape_copies():
    x = jtoolbox.zeros(2, 3)
    with pytest.raises(RuntimeError, match=r"Use .reshape\(...\) instead"):
        x.t().view(6)
    x.t().reshape(6)[0] = 5.0
    assert x[0, 0] == 0.0
    x.reshape(6)[0] = 5.0
    assert x[0, 0] == 5.0


def test_storage_offset_and_data_ptr_tell_what_is_shared():
    x = jtoolbox.zeros(3, 4)
    row = x[1]
    assert row.storage_offset() == torch.zeros(3, 4)[1].storage_offset()
    assert x.data_ptr() == x.detach().data_ptr() == x.view(12).data_ptr()
    assert row.data_ptr() - x.data_ptr() == 16
    assert x.is_set_to(x.detach())
    assert not x.is_set_to(x.clone())


def test_as_strided_reads_and_writes_the_base():
    x = jtoolbox.arange(6.0)
    assert x.as_strided((2, 2), (1, 3), 1).tolist() == [[1.0, 4.0], [2.0, 5.0]]
    x.as_strided((2,), (3,))[:] = 9.0
    assert x.tolist() == [9.0, 1.0, 2.0, 9.0, 4.0, 5.0]
    with pytest.raises(RuntimeError, match="out of bounds"):
        x.as_strided((4,), (2,))
    with pytest.raises(RuntimeError, match="Call it on the base"):
        x.view(2, 3).t().as_strided((2,), (1,))
    assert jtoolbox.empty_strided((2, 3), (1, 2)).stride() == (1, 2)


def at(address, like):
    """The numbers that lie at an address, as many as `like` has."""
    size = like.numel() * like.itemsize
    return np.frombuffer(ctypes.string_at(address, size), np.float32).reshape(like.shape)


def test_data_ptr_is_where_the_elements_lie():
    x = jtoolbox.arange(6.0).reshape(2, 3) + 1
    assert (at(x.data_ptr(), x) == x.numpy()).all()
    assert (at(x[1].data_ptr(), x[1]) == [4, 5, 6]).all()
    x[0] = 9
    assert (at(x.data_ptr(), x) == [[9, 9, 9], [4, 5, 6]]).all()
    same = x.clone()
    assert same.data_ptr() != x.data_ptr()
    assert x.data_ptr() == x.detach().data_ptr() == x.data_ptr()
    assert jtoolbox.zeros(0).data_ptr() == torch.zeros(0).data_ptr() == 0


def test_memory_at_data_ptr_stays_as_it_was_while_steps_go_on():
    w = jtoolbox.ones(512, requires_grad=True)
    optimizer = jtoolbox.optim.SGD([w], lr=1.0)
    for step in range(3):
        before = w.data_ptr()
        held = w.detach()
        (w * 2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        assert (at(before, held) == 1 - 2 * step).all()
        assert w[0].item() == -1 - 2 * step

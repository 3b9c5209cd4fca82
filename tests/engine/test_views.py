"""Views and in-place operations, against PyTorch: handles follow each other, values agree."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.engine.test_gradients import both, leaf

A = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: x[1],
        lambda x: x[1:, 2],
        lambda x: x[..., ::2],
        lambda x: x[None, 0:2],
        lambda x: x.view(12),
        lambda x: x.view(2, 6)[1],
        lambda x: x.t(),
        lambda x: x.t()[1:3],
        lambda x: x.transpose(0, 1),
        lambda x: x.permute(1, 0),
        lambda x: x.unsqueeze(1),
        lambda x: x[:1].squeeze(0),
        lambda x: x.narrow(1, 1, 2),
        lambda x: x.select(0, 2),
        lambda x: x.diagonal(),
        lambda x: x.flatten(),
        lambda x: x.reshape(4, 3),
        lambda x: x.split(2)[0],
        lambda x: x.chunk(2, 1)[1],
        lambda x: x.unbind(0)[2],
        lambda x: x.detach(),
        lambda x: x.data,
        lambda x: x.unfold(1, 2, 2),
        lambda x: x.swapaxes(0, 1)[0],
        lambda x: x.movedim(0, 1),
    ],
)
def test_writing_a_view_writes_the_base_and_its_other_views(cut):
    def program(t):
        x = t.tensor(A.copy())
        other = x[1:]
        v = cut(x)
        v.mul_(10)
        v += 1
        x[0, 0] = -5
        return x, v, other

    both(program)


def test_a_changed_base_shows_in_its_views():
    def program(t):
        x = t.tensor(A.copy())
        row, rows = x[1], x[1:].t()
        x.mul_(2)
        x[1, 1] = 100
        return row, rows, x

    both(program)


def test_views_of_pending_tensors_write_through():
    def program(t):
        w = t.tensor(A.copy()).requires_grad_()
        x = w * 2
        y = x[0]
        z = x.view(12)
        z[5] = 0
        y.mul_(3)
        (x * x).sum().backward()
        return x, y, z, w.grad

    both(program)


def test_views_outlive_their_base():
    def program(t):
        def make():
            x = t.tensor(A.copy()) * 2
            return x[0], x[0, 1:]

        a, b = make()
        b.add_(100)
        return a, b

    both(program)


def test_assigning_to_slices_and_masks():
    def program(t):
        x = t.tensor(A.copy())
        x[x > 5] = -1
        x[0, 1:3] = t.tensor([7.0, 8.0])
        x[[0, 2], 3] += 10
        x[:, 0] = x[:, 1]
        return (x,)

    both(program)


def test_expanded_memory_cannot_be_written():
    x = jt.zeros(3, 1).expand(3, 4)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x.add_(1)


def test_parameters_updated_by_a_step_show_in_their_views():
    def program(t):
        w = t.tensor(A.copy()).requires_grad_()
        row, data = w.detach()[0], w.data
        optimizer = t.optim.SGD([w], lr=0.5)
        (w * 2).sum().backward()
        optimizer.step()
        return w, row, data

    both(program)


def test_data_may_be_assigned():
    def program(t):
        w = t.tensor(A.copy()).requires_grad_()
        w.data = t.tensor(A * 2)
        (w * w).sum().backward()
        return w, w.grad, w.is_leaf

    both(program)


FREED = {
    "data_assigned": lambda t, w, v: setattr(v, "data", w * 3),
    "data_written": lambda t, w, v: v.data.copy_(w * 3),
    "data_written_in_part": lambda t, w, v: v.data[0].mul_(w[0]),
    "detached_written": lambda t, w, v: v.detach().mul_(w),
    "under_no_grad": lambda t, w, v: t.no_grad()(v.copy_)(w * 3),
    "detached": lambda t, w, v: (w * 3).detach().requires_grad_(),
    "detached_in_place": lambda t, w, v: (w * 3).detach_().requires_grad_(),
    "a_parameter": lambda t, w, v: t.nn.Parameter(w * 3),
}


@pytest.mark.parametrize("how", FREED)
def test_a_leaf_made_of_others_passes_them_no_gradient(how):
    def program(t):
        w, v = leaf(t, A), leaf(t, A)
        made = FREED[how](t, w, v)
        v = v if how.startswith(("data", "detached_written", "under")) else made
        (v * w).sum().backward()
        return v, v.is_leaf, v.requires_grad, v.grad, w.grad

    both(program)


def test_what_is_written_behind_a_history_leaves_the_history():
    def program(t):
        w, plain = leaf(t, A), t.ones(3, 4)
        view = plain.detach()
        view += w
        x = w * 2
        x.detach().zero_()
        plain.data += w
        x.sum().backward()
        return w.grad, x, view.requires_grad, plain.requires_grad, plain, plain.is_leaf

    both(program)


def test_a_view_that_replaces_itself_is_no_error_in_the_backward_pass():
    def program(t):
        w = leaf(t, A)
        share = (w * 2).topk(1)[0].squeeze(-1)
        total = share + 3.0
        share /= total
        share *= t.tensor([1.0, 0.0, 2.0])
        share.sum().backward()
        return w.grad, share

    both(program)


def test_in_place_arithmetic_with_itself():
    def program(t):
        x = t.tensor(A.copy())
        x += x
        x -= x[0].clone()
        x[1] += x[2]
        x.copy_(x.clone() * 2)
        return (x,)

    both(program)


def test_an_unused_handle_keeps_its_value_when_another_is_rebound():
    def program(t):
        x = t.tensor(A.copy())
        y = x * 1
        z = y
        y = y + 1
        z.add_(5)
        return x, y, z

    both(program)


def test_numpy_gives_a_read_only_snapshot():
    x = jt.tensor(A)
    host = x.numpy()
    with pytest.raises(ValueError, match="read-only"):
        host[0] = 1
    x.add_(1)
    np.testing.assert_array_equal(host, A)


def test_a_step_does_not_touch_arrays_that_others_hold():
    w = jt.tensor(A).requires_grad_()
    optimizer = jt.optim.SGD([w], lr=0.5, momentum=0.9)
    held = []
    for _ in range(4):
        held.append((w.array, w.detach().numpy(), w.detach().clone()))
        (w * w).sum().backward()
        optimizer.step()
    for array, host, clone in held:
        np.testing.assert_array_equal(np.asarray(array), host)
        np.testing.assert_array_equal(clone.numpy(), host)


COPIED = {
    "a base and its view": lambda b: [b, b[1:3], b.view(2, 2)[1]],
    "the view first": lambda b: [b.view(2, 2).t(), b],
    "views whose base is gone": lambda b: [(b + 1)[:2], b[1:], b[::2]],
    "a detached view": lambda b: [b, b.detach()],
    "a strided view": lambda b: [b.as_strided((2, 2), (1, 2)), b],
    "data of a parameter": lambda b: b,
}


@pytest.mark.parametrize("case", COPIED)
def test_deep_copies_of_views_stay_views_of_the_copied_base(case):
    found = []
    for t in (jt, torch):
        base = t.arange(4.0)
        parameter = t.nn.Parameter(t.ones(2))
        made = [parameter.data, parameter] if "parameter" in case else COPIED[case](base)
        before = [x.tolist() for x in made]
        twins = copy.deepcopy(made)
        places = [(x.stride(), x.storage_offset()) for x in twins]
        twins[0].fill_(7)
        twins[-1].data.mul_(2)
        assert [x.tolist() for x in made] == before
        found.append(([x.tolist() for x in twins], places))
    assert found[0] == found[1]

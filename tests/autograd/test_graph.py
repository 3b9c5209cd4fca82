"""Hooks on several tensors at once, compared with PyTorch's."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt


@pytest.mark.parametrize("mode", ["all", "any"])
def test_a_hook_on_several_tensors_runs_once_in_each_backward_pass(mode):
    found = []
    for t in (jt, torch):
        a, b, c = (t.ones(2, requires_grad=True) for _ in range(3))
        seen = []

        def see(grads, seen=seen):
            seen.append([g is None for g in grads] if isinstance(grads, list) else grads.tolist())

        handle = t.autograd.graph.register_multi_grad_hook((a, b, c), see, mode=mode)
        (a * b).sum().backward()
        (a * b * c).sum().backward()
        handle.remove()
        a.sum().backward()
        found.append([list(s) for s in seen])
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_another_mode_raises():
    with pytest.raises(ValueError, match="Expects mode"):
        jt.autograd.graph.register_multi_grad_hook((), print, mode="some")

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


def test_gradients_are_asked_for_at_edges_of_the_graph():
    found = []
    for t in (jt, torch):
        graph = t.autograd.graph
        x = t.ones(2, requires_grad=True)
        y = x * 2
        first, second = (y * t.tensor([1.0, 3.0])).unbind()
        edges = [graph.get_gradient_edge(v) for v in (y, x, second)]
        names = [e.node.name() for e in edges[:2]]
        grads = t.autograd.grad(first + second * 4, edges[:2])
        t.autograd.backward([graph.get_gradient_edge(x * 3)], [t.ones(2)])
        assert isinstance(edges[0].node, graph.Node)
        found.append([names, [g.tolist() for g in grads], x.grad.tolist()])
        with pytest.raises(RuntimeError, match="does not require gradients"):
            graph.get_gradient_edge(t.ones(1))
    assert found[0] == found[1]


def test_writes_in_place_are_counted_and_checked():
    found = []
    for t in (jt, torch):
        graph = t.autograd.graph
        x = t.ones(4)
        seen = [x._version]
        x.add_(1).mul_(2)
        view = x[1:3]
        view.zero_()
        x[0] = 3
        x.data.add_(1)
        x.detach().add_(1)
        seen += [x._version, view._version, x.clone()._version, view._base is x, x._base]
        graph.increment_version(x)
        seen.append(x._version)
        p = t.ones(2, requires_grad=True)
        y = p * 1
        z = y * y
        graph.increment_version(y)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()
        with graph.allow_mutation_on_saved_tensors():
            y = p * 1
            z = y * y
            y.add_(1)
            z.sum().backward()
        found.append([*seen, p.grad.tolist()])
    assert found[0] == found[1]


def test_hooks_on_saved_tensors_say_what_to_use():
    graph = jt.autograd.graph
    with pytest.raises(NotImplementedError, match="checkpoint"):
        graph.saved_tensors_hooks(lambda x: x, lambda x: x).__enter__()
    x = jt.ones(2, requires_grad=True)
    with graph.save_on_cpu():
        (x * x).sum().backward()
    assert x.grad.tolist() == [2, 2]
    forbidden = graph.disable_saved_tensors_hooks("not now")
    with forbidden, pytest.raises(RuntimeError, match="not now"):
        graph.save_on_cpu().__enter__()

"""The backward graph as programs see it: names, edges and hooks of `grad_fn`, as PyTorch's."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt

NAMES = [
    *("x + y", "x - 1", "1 - x", "2 / x", "x ** 2", "x ** y", "2 ** x", "x.log1p()", "x.square()"),
    *("x @ y", "x @ v", "v @ v", "b @ b", "x.sum()", "x.sum(0)", "x.max()", "x.norm()", "x.std()"),
    *("x.view(-1)", "x[0]", "x[None]", "x[:, :1]", "x.T", "x.mT", "x.squeeze()", "x.clamp(0, 1)"),
    *("F.linear(x, y, v)", "F.linear(x, y)", "F.linear(b, y, v)", "F.linear(b, y)", "x.t()"),
    *("F.layer_norm(x, (2,))", "F.cross_entropy(x, i)", "F.l1_loss(x, y)", "F.dropout(x)"),
    *("F.max_pool2d(b[None], 2)", "F.conv2d(b[None], b[None])", "F.pad(x, (1, 1))"),
    *("F.interpolate(b[None], 4)", "torch.linalg.qr(x)[0]", "torch.where(x > 0, x, y)"),
    *("torch.fmod(x, y)", "torch.fmod(x, 1)", "torch.lerp(x, y, 0.5)", "F.selu(x)", "x.double()"),
    *("m.add_(1)", "m.zero_()", "m.copy_(y)", "(m[0].mul_(2), m)[1]", "x.logdet()", "x.diff()"),
]


def _name(t, expression):
    x = t.tensor([[0.5, 0.2], [0.1, 0.7]], requires_grad=True)
    names = {"x": x, "y": x.detach().clone().requires_grad_(), "v": x[0].detach().requires_grad_()}
    names |= {"b": t.ones(2, 2, 2, requires_grad=True), "i": t.tensor([0, 1]), "m": x * 1}
    result = eval(expression, {**names, "torch": t, "F": t.nn.functional})
    return result.grad_fn.name(), type(result.grad_fn).__name__


@pytest.mark.parametrize("expression", NAMES)
def test_a_node_has_the_name_that_pytorch_gives_it(expression):
    assert _name(jt, expression) == _name(torch, expression)


def _tree(node, leaves):
    if node is None:
        return None
    if hasattr(node, "variable"):
        return [name for name, leaf in leaves.items() if leaf is node.variable]
    return [node.name(), *[(_tree(n, leaves), k) for n, k in node.next_functions]]


def test_the_graph_is_walked_from_the_loss_to_the_parameters():
    found = []
    for t in (jt, torch):
        layer = t.nn.Linear(2, 3)
        norm = t.nn.BatchNorm1d(3)
        x = t.ones(4, 2, requires_grad=True)
        values, _ = (norm(layer(x)).relu() * 2).max(1)
        loss = t.nn.functional.cross_entropy(layer(x), t.zeros(4).long()) + values.sum()
        leaves = {"x": x, **dict(t.nn.ModuleList([layer, norm]).named_parameters())}
        found.append(_tree(loss.grad_fn, leaves))
    assert found[0] == found[1]


def test_a_node_is_one_object_and_keeps_what_is_stored_with_it():
    x = jt.ones(2, requires_grad=True)
    y = x * 2
    z = y + y
    assert z.grad_fn is z.grad_fn
    (first, _), (second, _) = z.grad_fn.next_functions
    assert first is second is y.grad_fn
    first.metadata["seen"] = 1
    del first, second
    assert y.grad_fn.metadata == {"seen": 1}


def test_the_edges_of_a_released_graph_raise():
    x = jt.ones(2, requires_grad=True)
    loss = (x * 2).sum()
    loss.backward()
    jt.synchronize()
    with pytest.raises(RuntimeError, match=r"SumBackward0 was released by a backward pass"):
        _ = loss.grad_fn.next_functions


def test_hooks_on_nodes_see_and_replace_gradients():
    found = []
    for t in (jt, torch):
        seen = []
        x, w = (t.full((2,), n, requires_grad=True) for n in (2.0, 3.0))
        y = x * w

        def post(inputs, outputs, seen=seen):
            seen.append([g.tolist() for g in (*inputs, *outputs)])
            return inputs[0] * 10, None

        handle = y.grad_fn.register_hook(post)
        z = y * y
        z.grad_fn.register_prehook(lambda grads: (grads[0] * 2,))
        z.sum().backward()
        handle.remove()
        found.append([seen, x.grad.tolist(), w.grad])
    assert found[0] == found[1]


def test_hooks_on_the_end_of_the_graph_run_before_and_after_a_gradient_is_added():
    found = []
    for t in (jt, torch):
        seen = []
        x = t.ones(2, requires_grad=True)
        end = x.expand_as(x).grad_fn.next_functions[0][0]
        assert end.variable is x
        before = end.register_prehook(lambda g, seen=seen: seen.append(g[0].tolist()))
        after = end.register_hook(
            lambda i, g, x=x, seen=seen: seen.append([i, g[0].tolist(), x.grad.tolist()])
        )
        for _ in range(2):
            (x * 3).sum().backward()
        before.remove()
        after.remove()
        (x * 3).sum().backward()
        found.append(seen)
    assert found[0] == found[1]


def test_a_hook_on_a_node_whose_tensor_was_used_says_where_it_belongs():
    x = jt.ones(2, requires_grad=True)
    y = x * 2
    (y * y).sum().item()
    with pytest.raises(RuntimeError, match="must be called before the tensor is used"):
        y.grad_fn.register_hook(print)

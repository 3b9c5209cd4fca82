"""Methods, operators, in-place variants, and what is said about names that are not there."""

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.ops import methods
from tests.ops.cases import floats, integers

X = floats(3, 4, low=0.5, high=2.0)
Y = floats(3, 4, low=0.5, high=2.0, seed=1)


def same(ours, theirs):
    theirs = theirs.detach()
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert repr(ours.dtype) == repr(theirs.dtype)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.numpy(), rtol=2e-6, atol=1e-6)


OPERATORS = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b, "floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b,
    "pow": lambda a, b: a**b, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_agree_with_pytorch(name):
    f = OPERATORS[name]
    a, b, x, y = jt.tensor(X), jt.tensor(Y), torch.tensor(X), torch.tensor(Y)
    same(f(a, b), f(x, y))
    for number in (2, 1.5):
        same(f(a, number), f(x, number))
        same(f(number, a), f(number, x))


def test_integer_operators_agree_with_pytorch():
    i, j = integers(5, low=0, high=8), integers(5, low=1, high=4, seed=1)
    a, b, x, y = jt.tensor(i), jt.tensor(j), torch.tensor(i), torch.tensor(j)
    for f in (lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b, lambda a, b: a << b,
              lambda a, b: a >> b, lambda a, b: a / b, lambda a, b: a // b, lambda a, b: 3 & a,
              lambda a, b: 1 - a, lambda a, b: 2**a):  # fmt: skip
        same(f(a, b), f(x, y))
    for f in (lambda a: -a, lambda a: +a, lambda a: ~a, abs):
        same(f(a), f(x))
    same(jt.tensor(X) @ jt.tensor(Y).T, torch.tensor(X) @ torch.tensor(Y).T)


def test_numpy_on_the_left_leaves_the_operator_to_the_tensor():
    for left in (Y, np.float32(2.0)):
        result = left * jt.tensor(X)
        assert isinstance(result, jt.Tensor)
        np.testing.assert_allclose(result.numpy(), left * X)


def test_operators_with_a_stranger_raise_type_error():
    x = jt.tensor(X)
    for f in (lambda: x + "a", lambda: [1] * x, lambda: x < None, lambda: x @ object()):
        with pytest.raises(TypeError):
            f()
    assert (x == None) is False  # noqa: E711


IN_PLACE = [
    ("add_", (2,)), ("sub_", (0.5,)), ("mul_", (3,)), ("div_", (4,)), ("pow_", (2,)),
    ("clamp_", (0.7, 1.2)), ("exp_", ()), ("log_", ()), ("sqrt_", ()), ("neg_", ()), ("abs_", ()),
    ("sigmoid_", ()), ("tanh_", ()), ("zero_", ()), ("fill_", (3,)), ("round_", ()),
    ("reciprocal_", ()), ("floor_", ()), ("relu_", ()), ("tril_", ()), ("triu_", (1,)),
    ("cumsum_", (1,)), ("t_", ()), ("squeeze_", ()), ("unsqueeze_", (0,)), ("transpose_", (0, 1)),
    ("swapaxes_", (0, 1)), ("resize_", (4, 3)), ("fill_diagonal_", (9,)), ("eq_", (1,)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args"), IN_PLACE, ids=lambda v: v if isinstance(v, str) else "")
def test_in_place_methods_change_the_tensor_itself(name, args):
    a, x = jt.tensor(X), torch.tensor(X)
    assert getattr(a, name)(*args) is a
    getattr(x, name)(*args)
    same(a, x)


def test_in_place_methods_with_tensors_agree_with_pytorch():
    a, x = jt.tensor(X), torch.tensor(X)
    for m, t in ((jt, a), (torch, x)):
        other, mask = m.tensor(Y), m.tensor(Y) > 1
        t.add_(other, alpha=2).addcmul_(other, other, value=0.5).lerp_(other, 0.25)
        t.masked_fill_(mask, -1)
        t.index_add_(0, m.tensor([0, 2]), other[:2])
        t.scatter_(1, m.tensor([[0], [1], [2]]), 5.0)
        t.index_put_((m.tensor([0]), m.tensor([3])), m.tensor(8.0))
        t.copy_(t * 2)
        t += 1
        t *= other
        t[0] -= 3
        t //= 2
    same(a, x)


def test_in_place_results_must_fit():
    i, x = jt.tensor([1, 2, 3]), jt.tensor(floats(3))
    with pytest.raises(
        RuntimeError, match="result type Float can't be cast to the desired output type Long"
    ):
        i += x
    with pytest.raises(RuntimeError, match="result type Float can't be cast"):
        i.div_(2)
    with pytest.raises(
        RuntimeError, match=r"output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"
    ):
        x.add_(jt.tensor(floats(2, 3)))
    with pytest.raises(RuntimeError, match=r"output with shape \[3\] doesn't match|expanded size"):
        x.copy_(jt.tensor(floats(2, 3)))
    x.add_(i)
    assert x.dtype is jt.float32


def test_a_leaf_that_requires_grad_is_not_changed_in_place():
    w = jt.tensor(X, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        w.add_(1)
    with jt.no_grad():
        w.add_(1)
        w -= 0.5
    w.data.mul_(2)
    same(w, torch.tensor((X + 0.5) * 2))
    assert w.requires_grad
    assert w.is_leaf


def test_random_fills_write_the_tensor():
    x = jt.zeros(200, 50)
    jt.manual_seed(0)
    assert x.uniform_(-1, 1) is x
    assert -1 <= x.min() < -0.99
    assert 0.99 < x.max() < 1
    assert abs(x.mean()) < 0.05
    first = x.clone()
    jt.manual_seed(0)
    assert (x.uniform_(**{"from": -1, "to": 1}) == first).all()
    assert abs(x.normal_(3, 2).mean() - 3) < 0.1
    assert abs(x.std() - 2) < 0.1
    assert set(x.bernoulli_(0.3).unique().tolist()) == {0.0, 1.0}
    assert abs(x.mean() - 0.3) < 0.03
    assert abs(x.exponential_(2).mean() - 0.5) < 0.05
    assert set(jt.zeros(100, dtype=jt.int64).random_(3).tolist()) == {0, 1, 2}
    generator = jt.Generator()
    generator.manual_seed(5)
    first = x.normal_(generator=generator).clone()
    generator.manual_seed(5)
    assert (x.normal_(generator=generator) == first).all()


CASTS = ["float", "double", "half", "bfloat16", "long", "int", "short", "char", "byte", "bool"]


@pytest.mark.parametrize("name", CASTS)
def test_casts_agree_with_pytorch(name):
    values = np.array([-1.5, 0.0, 2.5, 100.0, 300.0], np.float32)
    ours, theirs = getattr(jt.tensor(values), name)(), getattr(torch.tensor(values), name)()
    assert ours.tolist() == theirs.tolist()
    assert repr(ours.dtype) == repr(theirs.dtype)
    assert ours.type() == theirs.type()
    assert getattr(ours, name)() is ours


def test_to_accepts_types_devices_and_tensors():
    x = jt.tensor([1, 2])
    assert x.to(jt.float64).dtype is jt.float64
    assert x.to("cpu") is x
    assert x.to("cpu", jt.float32).dtype is jt.float32
    assert x.to(dtype=jt.int32).dtype is jt.int32
    assert x.to(jt.tensor(1.0)).dtype is jt.float32
    assert x.type_as(jt.tensor(True)).dtype is jt.bool
    assert x.to(jt.int64) is x
    assert x.to(jt.int64, copy=True) is not x
    assert x.cpu() is x
    assert x.type("torch.FloatTensor").dtype is jt.float32
    assert x.type(jt.int8).dtype is jt.int8
    with pytest.raises(RuntimeError, match="device 'cuda:7' is not available"):
        x.to("cuda:7")


def test_gradients_flow_through_casts_and_clones():
    x = jt.tensor(X, requires_grad=True)
    x.double().clone().mul(2).sum().backward()
    assert (x.grad == 2).all()
    assert x.grad.dtype is jt.float32


def test_new_tensors_take_type_and_shape_from_their_arguments():
    x = jt.tensor([1.0], dtype=jt.float64)
    for new, value in ((x.new_zeros(2, 3), 0), (x.new_ones((2, 3)), 1), (x.new_full((2, 3), 7), 7)):
        assert new.dtype is jt.float64
        assert tuple(new.shape) == (2, 3)
        assert (new == value).all()
    assert x.new_empty(2, dtype=jt.int64).dtype is jt.int64
    assert x.new_tensor([1, 2]).tolist() == [1.0, 2.0]
    assert x.new(2, 3).shape == (2, 3)
    assert x.new([4]).tolist() == [4.0]
    assert x.new_tensor([1]).dtype is jt.float64


def test_sizes_may_be_given_as_arguments_or_as_one_tuple():
    x = jt.tensor(X)
    for name, args in (("view", (2, 6)), ("reshape", (2, 6)), ("permute", (1, 0)),
                       ("expand", (3, 4)),
                       ("repeat", (2, 1)), ("flip", (0, 1)), ("tile", (2, 1))):  # fmt: skip
        method, theirs = getattr(x, name), getattr(torch.tensor(X), name)
        same(method(*args), theirs(*args))
        same(method(args), theirs(args))
    same(x.view(size=(4, 3)), torch.tensor(X).view(size=(4, 3)))
    with pytest.raises(TypeError, match="takes integers or one tuple of integers"):
        x.view(1.5, 2)


def test_properties_agree_with_pytorch():
    x, y = jt.tensor(X), torch.tensor(X)
    for name in ("T", "mT", "H", "mH", "real"):
        same(getattr(x, name), getattr(y, name))
    z = jt.tensor(X.astype(np.complex64) * 1j)
    assert (z.imag == x).all()
    assert x.is_contiguous()
    assert x.stride() == (4, 1)
    assert x.is_cpu


def test_a_tensor_is_a_container():
    x = jt.tensor(X)
    assert len(x) == 3
    assert float(X[1, 1]) in x
    assert 99 not in x
    assert [tuple(row.shape) for row in x] == [(4,)] * 3
    assert np.array_equal(np.stack([r.numpy() for r in reversed(x)]), X[::-1])
    *_, last = x
    same(last, torch.tensor(X[2]))


def test_what_pytorch_has_and_jtoolbox_lacks_is_said_so():
    x = jt.tensor(X)
    with pytest.raises(
        AttributeError, match=r"jtoolbox has no Tensor\.sspaddmm, which PyTorch has"
    ):
        _ = x.sspaddmm
    with pytest.raises(
        AttributeError, match=r"no attribute 'unsqeeze'. Did you mean 'unsqueeze'\?"
    ):
        _ = x.unsqeeze
    assert not hasattr(x, "__cuda_array_interface__")
    assert not hasattr(x, "volatile")
    assert "which PyTorch's torch has" in methods.missing_name("hub", ["cat"])
    assert "Did you mean 'cat'" in methods.missing_name("catt", ["cat"])


# What PyTorch has on a Tensor for sparse, quantized and foreign memory, old names, and the rest of
# what is not here yet. The list may only become shorter.
ABSENT = """
    dequantize eig hash_tensor index int_repr ipu lstsq module_load mtia
    q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point
    qscheme reinforce resize resize_as resize_as_sparse_ slice_inverse smm solve sparse_resize_
    sparse_resize_and_clear_ sspaddmm symeig to_padded_tensor
    volatile xpu
"""


def test_every_other_attribute_of_pytorchs_tensor_is_here():
    missing = {n for n in methods.TENSOR_NAMES.split() if n not in dir(jt.Tensor)}
    assert missing <= set(ABSENT.split()), sorted(missing - set(ABSENT.split()))


def test_another_start_of_a_slice_or_another_row_compiles_nothing(compilations):
    values = floats(40, 3)
    data, weight = jt.tensor(values), jt.tensor(values, requires_grad=True)
    for start in (0, 8, 16, 3):
        np.testing.assert_array_equal(data[start : start + 8].numpy(), values[start : start + 8])
        np.testing.assert_array_equal(data[start].numpy(), values[start])
        weight.grad = None
        (weight[start : start + 8] * 2).sum().backward()
        assert weight.grad[start].tolist() == [2, 2, 2]
        assert start == 0 or compilations.count() == 0
        compilations.count()


def test_a_mask_with_a_number_compiles_once_for_any_count(compilations):
    x = jt.tensor(floats(20))
    for limit in (0.5, 1.0, 2.0):
        x[x > limit] = 0
        assert (x <= limit).all()
        assert limit == 0.5 or compilations.count() == 0
        compilations.count()

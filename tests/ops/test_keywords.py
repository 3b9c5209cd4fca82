"""Functions and methods take the keywords that PyTorch's take, NumPy's names among them."""

import numpy as np
import pytest
import torch

import jtoolbox
from tests.ops.cases import floats, integers
from tests.reference import compare

A, B = floats(2, 4), floats(2, 4, seed=1)


def run(name, *inputs, **kwargs):
    """The function and the method of this name with keywords, against PyTorch's."""
    for ours, theirs in ((jtoolbox, torch), (jtoolbox.Tensor, torch.Tensor)):
        if hasattr(theirs, name):
            expected = getattr(theirs, name)(*map(torch.tensor, inputs), **kwargs)
            found = getattr(ours, name)(*map(jtoolbox.tensor, inputs), **kwargs)
            many = isinstance(expected, tuple)
            for a, b in zip(found, expected, strict=True) if many else [(found, expected)]:
                np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "max", "std", "median", "var_mean"])
def test_axis_and_keepdims_name_dim_and_keepdim(name):
    run(name, A, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["cumsum", "sort", "unsqueeze", "unbind", "diff", "chunk"])
def test_axis_names_dim(name):
    run(name, A, **({"axis": 0, "chunks": 2} if name == "chunk" else {"axis": 0}))


def test_x_names_input_and_x2_other():
    x, y = jtoolbox.tensor(A), jtoolbox.tensor(B)
    assert jtoolbox.equal(jtoolbox.add(x1=x, x2=y), x + y)
    assert jtoolbox.equal(jtoolbox.abs(a=x), x.abs())
    assert jtoolbox.cat([x, y], axis=1).shape == (2, 8)
    assert jtoolbox.stack([x, y], axis=1).shape == (2, 2, 4)


def test_both_names_of_a_parameter_raise():
    with pytest.raises(TypeError):
        jtoolbox.tensor(A).sum(dim=0, axis=1)
    with pytest.raises(TypeError):
        jtoolbox.tensor(A).std(dim=0, axis=1)


def test_sizes_and_dims_by_keyword():
    run("flip", A, dims=(0, 1))
    run("tile", A, dims=(2,))
    x, y = jtoolbox.tensor(A), torch.tensor(A)
    np.testing.assert_array_equal(x.repeat(repeats=(2, 1)).numpy(), y.repeat(repeats=(2, 1)))
    np.testing.assert_array_equal(x.expand(size=(3, 2, 4)).numpy(), y.expand(size=(3, 2, 4)))


def test_cuts_by_keyword():
    run("hsplit", A, sections=2)
    run("vsplit", A, indices=(1,))
    run("tensor_split", A, indices=(1, 3), dim=1)
    assert len(jtoolbox.tensor(A).split(split_size=1)) == 2
    with pytest.raises(TypeError, match="needs one of"):
        jtoolbox.hsplit(jtoolbox.tensor(A))


def test_reflected_division_has_its_old_name():
    compare(lambda x: x.__rdiv__(2) if hasattr(x, "__rdiv__") else 2 / x,
            lambda x: x.__rdiv__(2), A)  # fmt: skip


def test_scalar_tensor_may_require_gradients():
    assert jtoolbox.scalar_tensor(2, requires_grad=True).requires_grad
    assert not jtoolbox.scalar_tensor(2).requires_grad


def test_bounds_by_keyword_alone():
    assert jtoolbox.arange(end=5).tolist() == [0, 1, 2, 3, 4]
    assert jtoolbox.randint(high=1, size=(2,)).tolist() == [0, 0]
    assert jtoolbox.randint_like(jtoolbox.tensor([5]), high=1).tolist() == [0]
    assert jtoolbox.repeat_interleave(repeats=jtoolbox.tensor([1, 2])).tolist() == [0, 1, 1]
    for call in (jtoolbox.arange, lambda: jtoolbox.randint(size=(2,))):
        with pytest.raises(TypeError, match="needs"):
            call()


@pytest.mark.parametrize("name", ["sum", "prod", "nansum"])
def test_a_narrow_type_stays_narrow(name):
    x = integers(2, 4)
    for dtype in ("int32", "uint8", "float16"):
        ours = getattr(jtoolbox, name)(jtoolbox.tensor(x), 1, dtype=getattr(jtoolbox, dtype))
        theirs = getattr(torch, name)(torch.tensor(x), 1, dtype=getattr(torch, dtype))
        assert str(ours.dtype)[-6:] == str(theirs.dtype)[-6:]
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_rounding_to_decimals_divides():
    x = (np.arange(300) / 3).astype(np.float32)
    compare(lambda v: jtoolbox.round(v, decimals=2), lambda v: torch.round(v, decimals=2), x,
            rtol=0, atol=0, grad=False)  # fmt: skip


def test_gradient_takes_none_for_its_defaults():
    compare(lambda x: jtoolbox.ops.gradient(x, dim=None, spacing=None),
            lambda x: torch.gradient(x, dim=None, spacing=None), A)  # fmt: skip
    with pytest.raises(RuntimeError, match="multiple times"):
        jtoolbox.gradient(jtoolbox.tensor(A), dim=(1, 1))


def test_integers_are_integrated_as_floats():
    compare(lambda x: jtoolbox.ops.trapezoid(x, dx=2.0), lambda x: torch.trapezoid(x, dx=2.0),
            integers(2, 4))  # fmt: skip

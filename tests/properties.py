"""What the property tests share: arrays of small values, and comparisons with PyTorch."""

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

import jtoolbox
from tests.reference import assert_same

DTYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]
sizes = st.lists(st.integers(1, 3), min_size=0, max_size=3).map(tuple)
few = settings(deadline=None, max_examples=15, derandomize=True, database=None)


@st.composite
def arrays(draw, shapes=sizes, dtypes=DTYPES):
    """An array with small values, so that no sum or product overflows."""
    shape, dtype = draw(shapes), draw(st.sampled_from(dtypes))
    count = int(np.prod(shape))
    values = draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count))
    values = np.abs(values) if dtype == np.uint8 else np.array(values)
    values = values / 2 if np.issubdtype(dtype, np.floating) else values
    return np.asarray(values).reshape(shape).astype(dtype)


@st.composite
def pairs(draw):
    """Two arrays whose shapes broadcast."""
    x = draw(arrays())
    cut = draw(st.integers(0, x.ndim))
    shape = tuple(1 if draw(st.booleans()) else n for n in x.shape[cut:])
    y = draw(arrays(st.just(shape)))
    return (x, y) if draw(st.booleans()) else (y, x)


@st.composite
def with_dim(draw, **kwargs):
    """An array with at least one dimension, and one of them."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple))
    x = draw(arrays(st.just(shape), **kwargs))
    return x, draw(st.integers(-x.ndim, x.ndim - 1))


def agree(call, *inputs):
    """`call(library, *tensors)` gives the same with both, or raises with both."""
    expected, error = outcome(call, torch, inputs)
    made, our_error = outcome(call, jtoolbox, inputs)
    assert (our_error is None) == (error is None), f"{our_error!r}, PyTorch has {error!r}"
    if error is None:
        assert_same(made, expected, rtol=1e-4, atol=1e-5)


def outcome(call, library, inputs):
    """The result of a call, or the exception that it raised."""
    try:
        return call(library, *[library.tensor(x) for x in inputs]), None
    except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError) as raised:
        return None, raised


def agree_with_gradients(call, *inputs):
    """The same, and gradients of a weighted sum of the result by all inputs of floats as well."""
    expected, error = outcome(call, torch, inputs)
    _, our_error = outcome(call, jtoolbox, inputs)
    assert (our_error is None) == (error is None), f"{our_error!r}, PyTorch has {error!r}"
    if error is not None:
        return
    weights = np.cos(np.arange(expected.numel())).reshape(tuple(expected.shape))
    results = []
    for library in (jtoolbox, torch):
        tensors = [library.tensor(x) for x in inputs]
        leaves = [t.requires_grad_() for t in tensors if t.is_floating_point()]
        result = call(library, *tensors)
        loss = (result * library.tensor(weights.astype(expected.detach().numpy().dtype))).sum()
        results.append([result.detach(), *library.autograd.grad(loss, leaves)])
    for made, wanted in zip(*results, strict=True):
        assert_same(made, wanted, rtol=1e-4, atol=1e-5)

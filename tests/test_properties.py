"""Properties that hold for all shapes, types and axes: results are PyTorch's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import agree, arrays, few, pairs, with_dim

UNARY = ["abs", "exp", "floor", "neg", "relu", "sign", "square", "sigmoid", "logical_not"]
BINARY = ["add", "mul", "sub", "div", "maximum", "eq", "lt", "logical_and", "pow", "atan2"]
REDUCTIONS = ["sum", "mean", "amax", "prod", "any", "all", "argmax", "var", "logsumexp"]
SCANS = ["cumsum", "cumprod", "cummax", "sort", "flip", "softmax"]


@few
@given(st.sampled_from(UNARY), arrays())
def test_elementwise(name, x):
    agree(lambda t, x: getattr(t, name)(x), x)


@few
@given(st.sampled_from(BINARY), pairs())
def test_broadcasting_and_promotion(name, pair):
    x, y = pair
    if name == "pow":  # integers to negative powers are PyTorch's own business
        y = np.abs(y) if y.dtype != np.bool_ else y
    agree(lambda t, x, y: getattr(t, name)(x, y), x, y)


@few
@given(st.sampled_from(BINARY[:6]), arrays(), st.sampled_from([True, 2, 0.5]))
def test_numbers_do_not_widen(name, x, number):
    if name != "maximum":
        agree(lambda t, x: getattr(t, name)(x, number), x)


@few
@given(st.sampled_from(REDUCTIONS), with_dim(), st.booleans())
def test_reductions(name, pair, keepdim):
    x, dim = pair
    if name == "argmax":  # which of equal elements is found first is not promised
        x = np.arange(x.size).reshape(x.shape).astype(np.float32)
    if name == "var" and x.shape[dim] < 2:
        return  # NaN, with a warning
    agree(lambda t, x: getattr(t, name)(x, dim, keepdim=keepdim), x)


@few
@given(st.sampled_from(SCANS), with_dim(dtypes=[np.float32, np.int64]))
def test_scans_and_sorts(name, pair):
    x, dim = pair
    x = (x + np.arange(x.size).reshape(x.shape) * 8).astype(x.dtype) if name == "sort" else x
    agree(lambda t, x: getattr(t, name)(x, (dim,) if name == "flip" else dim), x)


@few
@given(with_dim(dtypes=[np.float32]), st.data())
def test_shapes(pair, data):
    x, dim = pair
    order = tuple(data.draw(st.permutations(range(x.ndim))))
    agree(lambda t, x: x.permute(order), x)
    agree(lambda t, x: x.unsqueeze(dim).squeeze(), x)
    agree(lambda t, x: t.cat([x, x], dim), x)
    agree(lambda t, x: t.stack([x, x], dim), x)
    agree(lambda t, x: x.permute(order).reshape(-1), x)
    agree(lambda t, x: x.flatten(dim), x)


@few
@given(with_dim(), st.data())
def test_gather_scatter_and_index_select(pair, data):
    x, dim = pair
    n = x.shape[dim]
    count = int(np.prod(x.shape))
    flat = data.draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count))
    index = np.array(flat).reshape(x.shape)
    agree(lambda t, x, i: t.gather(x, dim, i), x, index)
    agree(lambda t, x, i: x.scatter_add(dim, i, x), x, index)
    agree(lambda t, x, i: t.index_select(x, dim, i.reshape(-1)), x, index)
    for reduce in ("sum", "amax", "mean"):
        if x.dtype == np.float32:
            agree(lambda t, x, i, r=reduce: x.scatter_reduce(dim, i, x, r), x, index)


def entry(n):
    """One entry of an index for a dimension of size n."""
    return st.one_of(
        st.integers(-n, n - 1),
        st.builds(slice, st.integers(0, n), st.integers(0, n), st.integers(1, 2)),
        st.just(slice(None)),
        st.none(),
        st.lists(st.integers(-n, n - 1), min_size=1, max_size=2),
    )


@few
@given(st.data())
def test_indexing_reads_and_writes(data):
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    index = tuple(data.draw(entry(n)) for n in shape[: data.draw(st.integers(1, len(shape)))])
    index = tuple(np.array(i) if isinstance(i, list) else i for i in index)

    def items(t):
        return tuple(t.tensor(i) if isinstance(i, np.ndarray) else i for i in index)

    def written(t, x):
        x = x.clone()
        x[items(t)] = -1.0
        return x

    agree(lambda t, x: x[items(t)], x)
    agree(written, x)


@few
@given(arrays(), arrays())
def test_masks(x, y):
    agree(lambda t, x: x[x > 0], x)
    agree(lambda t, x: t.nonzero(x), x)
    agree(lambda t, x: t.unique(x), x)
    agree(lambda t, x, y: t.where(x.bool(), x, 0), x, y)
    agree(lambda t, x: x.masked_fill(x > 0, 1), x)

"""Layers' functions for all shapes and settings: values, gradients and refusals are PyTorch's."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties import agree_with_gradients, few

small = st.integers(1, 3)


def values(*shape):
    """Distinct small values of a shape, so that no two elements tie."""
    count = int(np.prod(shape))
    order = np.random.default_rng(count).permutation(count)
    return ((order - count / 2) / max(count, 1)).reshape(shape).astype(np.float32)


@few
@given(st.integers(1, 2), st.data())
def test_convolutions(dims, data):
    groups, batch = data.draw(st.integers(1, 2)), data.draw(small)
    inputs, outputs = groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    kernel = [data.draw(small) for _ in range(dims)]
    size = [data.draw(st.integers(1, 6)) for _ in range(dims)]
    stride, padding, dilation = (data.draw(st.integers(*r)) for r in ((1, 3), (0, 2), (1, 2)))
    x, w, b = (
        values(batch, inputs, *size),
        values(outputs, inputs // groups, *kernel),
        values(outputs),
    )

    def call(lib, x, w, b):
        function = getattr(lib.nn.functional, f"conv{dims}d")
        return function(x, w, b, stride, padding, dilation, groups)

    agree_with_gradients(call, x, w, b)


@few
@given(st.integers(1, 2), st.data())
def test_transposed_convolutions(dims, data):
    groups, batch = data.draw(st.integers(1, 2)), data.draw(small)
    inputs, outputs = groups * data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    kernel = [data.draw(small) for _ in range(dims)]
    size = [data.draw(st.integers(1, 4)) for _ in range(dims)]
    stride, padding, dilation = (data.draw(st.integers(*r)) for r in ((1, 3), (0, 2), (1, 2)))
    more = data.draw(st.integers(0, 2))
    pairs = zip(size, kernel, strict=True)
    # Whether PyTorch refuses a result of no elements depends on the library that it picks.
    assume(all((n - 1) * stride - 2 * padding + dilation * (k - 1) + more != -1 for n, k in pairs))
    x, w = values(batch, inputs, *size), values(inputs, outputs, *kernel)

    def call(lib, x, w):
        function = getattr(lib.nn.functional, f"conv_transpose{dims}d")
        return function(x, w, None, stride, padding, more, groups, dilation)

    agree_with_gradients(call, x, w)


@few
@given(st.sampled_from(["max", "avg"]), st.integers(1, 2), st.data())
def test_pooling(kind, dims, data):
    size = [data.draw(st.integers(1, 7)) for _ in range(dims)]
    kernel, stride, padding = (data.draw(st.integers(*r)) for r in ((1, 3), (1, 3), (0, 2)))
    ceil = data.draw(st.booleans())
    x = values(2, 2, *size)

    def call(lib, x):
        function = getattr(lib.nn.functional, f"{kind}_pool{dims}d")
        return function(x, kernel, stride, padding, ceil_mode=ceil)

    agree_with_gradients(call, x)


@few
@given(st.sampled_from(["constant", "reflect", "replicate", "circular"]), st.data())
def test_padding(mode, data):
    rank = data.draw(st.integers(2, 4))
    x = values(*[data.draw(small) for _ in range(rank)])
    amounts = data.draw(st.lists(st.integers(-1, 2), min_size=2, max_size=2 * (rank - 1)))
    agree_with_gradients(lambda lib, x: lib.nn.functional.pad(x, amounts, mode), x)


@few
@given(st.data())
def test_normalization(data):
    shape = [data.draw(small) for _ in range(data.draw(st.integers(2, 4)))]
    kind = data.draw(st.sampled_from(["layer_norm", "group_norm", "batch_norm", "instance_norm"]))
    rank = data.draw(st.integers(1, len(shape)))
    x = values(*shape)

    def call(lib, x):
        F = lib.nn.functional
        if kind == "layer_norm":
            return F.layer_norm(x, shape[-rank:], eps=0.1)
        if kind == "group_norm":
            return F.group_norm(x, rank, eps=0.1)
        if kind == "batch_norm":
            return F.batch_norm(x, None, None, training=True, eps=0.1)
        return F.instance_norm(x, eps=0.1)

    agree_with_gradients(call, x)


@few
@given(st.data())
def test_matrix_products(data):
    n, k, m = (data.draw(small) for _ in range(3))
    batch = data.draw(st.lists(small, max_size=2))
    left = [1 if data.draw(st.booleans()) else b for b in batch]
    right = batch[data.draw(st.integers(0, len(batch))) :]
    a = values(*left, *([n, k] if data.draw(st.booleans()) or left else [k]))
    b = values(*right, *([k, m] if data.draw(st.booleans()) or right else [k]))
    agree_with_gradients(lambda lib, a, b: lib.matmul(a, b), a, b)


LOSSES = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss"]


@few
@given(st.sampled_from(LOSSES), st.sampled_from(["none", "mean", "sum"]), st.data())
def test_losses_of_pairs(name, reduction, data):
    shape = data.draw(st.lists(small, max_size=3))
    x, y = values(*shape), np.sign(values(*shape) + 0.01)

    def call(lib, x):
        return getattr(lib.nn.functional, name)(x, lib.tensor(y), reduction=reduction)

    agree_with_gradients(call, x)


@few
@given(st.sampled_from(["none", "mean", "sum"]), st.data())
def test_cross_entropy(reduction, data):
    classes = data.draw(st.integers(1, 4))
    places = data.draw(st.lists(small, max_size=2))
    batch = data.draw(small)
    x = values(batch, classes, *places)
    label = np.arange(batch * int(np.prod(places))).reshape(batch, *places) % classes
    ignored = data.draw(st.sampled_from([-100, 0]))
    smoothing = data.draw(st.sampled_from([0.0, 0.25]))
    weight = values(classes) + 1
    weighted = data.draw(st.booleans())

    def call(lib, x):
        return lib.nn.functional.cross_entropy(
            x,
            lib.tensor(label),
            lib.tensor(weight) if weighted else None,
            ignore_index=ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        )

    agree_with_gradients(call, x)

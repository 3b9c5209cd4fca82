"""Functions of halves round once, at the end, as PyTorch's: compared with float32's results."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jtoolbox.nn.functional as F

ACTIVATIONS = (
    *(F.celu, F.elu, F.gelu, F.glu, F.logsigmoid, F.mish, F.selu, F.silu, F.softplus),
    *(F.softsign, F.tanhshrink),
)

CASES = {
    "activations": (ACTIVATIONS, (4, 8)),
    "depthwise": ([lambda x, w: F.conv2d(x, w, groups=4)], (2, 4, 6, 6), (8, 1, 3, 3)),
    "groups": ([lambda x, w: F.conv1d(x, w, groups=2)], (2, 4, 9), (4, 2, 3)),
    "volumes": ([F.conv3d], (1, 3, 4, 5, 5), (2, 3, 3, 3, 3)),
    "transposed": ([lambda x, w: F.conv_transpose2d(x, w, stride=2)], (2, 3, 4, 4), (3, 2, 3, 3)),
    "attention": ([F.scaled_dot_product_attention], (2, 3, 8), (2, 6, 8), (2, 6, 8), (3, 6)),
    "distances": (
        [F.cosine_similarity, F.pairwise_distance, lambda x, y: F.normalize(x, 1.0)],
        (5, 6),
        (5, 6),
    ),
    "losses": (
        [
            lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="sum"),
            lambda x, t: F.soft_margin_loss(x, t, reduction="sum"),
            lambda x, t: F.multilabel_soft_margin_loss(x, t, reduction="sum"),
            lambda x, t: F.cosine_embedding_loss(x, t, jnp.ones(4), reduction="none"),
        ],
        (4, 5),
        (4, 5),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_of_halves_are_float32s_rounded_once(case):
    functions, *shapes = CASES[case]
    rng = np.random.default_rng(0)
    halves = [jnp.asarray(rng.standard_normal(s), jnp.bfloat16) for s in shapes]

    @jax.jit
    def both(*arrays):
        pairs = [jax.vjp(f, *arrays) for f in functions]
        return [(value, pullback(jnp.ones_like(value))) for value, pullback in pairs]

    found = jax.tree.leaves(both(*halves))
    exact = jax.tree.leaves(both(*[x.astype(jnp.float32) for x in halves]))
    for ours, truth in zip(found, exact, strict=True):
        assert ours.dtype == jnp.bfloat16
        smallest = 2.0**-8 * 0.05 * np.abs(truth).max()
        np.testing.assert_allclose(ours.astype(jnp.float32), truth, rtol=2.0**-8, atol=smallest)

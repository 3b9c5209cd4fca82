"""Starting weights into Equinox modules that are named as PyTorch's."""

import equinox as eqx
import jax
import jax.numpy as jnp

from benchmarks.workloads import layouts


def find(model, path):
    """The layer or parameter at a path such as `blocks.0.conv1.weight`."""
    for part in path.split("."):
        model = model[int(part)] if part.isdigit() else getattr(model, part)
    return model


def value(model, name, w):
    """A weight as its Equinox layer has it: transposed convolutions flipped, biases with axes."""
    layer, _, kind = name.rpartition(".")
    if kind == "weight" and isinstance(find(model, layer), eqx.nn.ConvTranspose2d):
        w = w.swapaxes(0, 1)[:, :, ::-1, ::-1]
    return jnp.asarray(w.reshape(find(model, name).shape))


def fill(model, weights):
    """The model with every parameter set."""
    weights = layouts.parameters(weights)
    return eqx.tree_at(
        lambda m: [find(m, name) for name in weights],
        model,
        [value(model, name, w) for name, w in weights.items()],
    )


def statistics(model):
    """The running statistics of every batch norm, starting at mean 0 and variance 1 as PyTorch's.

    Equinox starts from variance 0; nothing else in `eqx.nn.State` is touched.
    """
    state = eqx.nn.State(model)
    norms = jax.tree.leaves(model, is_leaf=is_norm)
    for norm in filter(is_norm, norms):
        mean, var = state.get(norm.batch_state_index)
        state = state.set(norm.batch_state_index, (mean, jnp.ones_like(var)))
    return state


def is_norm(x):
    return isinstance(x, eqx.nn.BatchNorm)

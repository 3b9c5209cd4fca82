"""Starting weights into Flax NNX modules that are named as PyTorch's."""

from flax import nnx

from benchmarks.workloads import layouts

NAMES = {"running_mean": "mean", "running_var": "var"}


def leaf(layer, kind):
    """The variable of an NNX layer that PyTorch calls `kind`."""
    if kind != "weight":
        return getattr(layer, NAMES.get(kind, kind))
    if isinstance(layer, nnx.Embed):
        return layer.embedding
    return layer.scale if isinstance(layer, (nnx.BatchNorm, nnx.LayerNorm)) else layer.kernel


def fill(model, weights, transposed=()):
    """Sets every variable; `transposed` names the transposed convolutions."""
    layers = {name.rpartition(".")[0] for name in weights}
    tables = [layer for layer in layers if isinstance(find(model, layer), nnx.Embed)]
    for name, w in layouts.kernels(weights, transposed, tables).items():
        layer, _, kind = name.rpartition(".")
        if kind != "num_batches_tracked":
            leaf(find(model, layer), kind)[...] = w
    return model


def find(model, path):
    """The layer at a path such as `blocks.0.conv1`."""
    for part in path.split("."):
        model = model[int(part)] if part.isdigit() else getattr(model, part)
    return model

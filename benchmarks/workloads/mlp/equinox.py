"""The perceptron in Equinox."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax


class MLP(eqx.Module):
    layers: list

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        sizes = ((784, 300), (300, 100), (100, 10))
        self.layers = [eqx.nn.Linear(*size, key=k) for size, k in zip(sizes, keys, strict=True)]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


def build(weights):
    return eqx.tree_at(
        lambda m: [p for layer in m.layers for p in (layer.weight, layer.bias)],
        MLP(jax.random.key(0)),
        [jnp.asarray(w) for w in weights.values()],
    )


def batch(image, label):
    return image, label.astype("int32")


def forward(model, image):
    return jax.vmap(model)(image)


def loss(model, image, label):
    logits = forward(model, image)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()

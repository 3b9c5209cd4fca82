"""PyTorch's optimizers as optax writes them, for the libraries that use optax."""

import optax


def transform(name: str, settings: dict) -> optax.GradientTransformation:
    """The transformation whose arithmetic is that of PyTorch's optimizer of that name."""
    if name == "SGD":
        return optax.sgd(settings["lr"], momentum=settings.get("momentum"))
    if name == "Adam":
        return optax.adam(settings["lr"])
    return optax.adamw(settings["lr"], weight_decay=settings["weight_decay"])

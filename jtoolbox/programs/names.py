"""PyTorch's dotted names, `torch.nn.modules.conv.Conv2d`, and what stands for them here."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import jtoolbox

__all__ = ["FACADES", "Missing", "facade_of", "find", "nearest", "public", "sentence"]

# Files of PyTorch's that programs import from, whose names live in one namespace here.
_FILES = {
    "nn.modules": (
        "nn",
        "activation adaptive batchnorm channelshuffle container conv distance dropout flatten "
        "fold instancenorm lazy linear loss module normalization padding pixelshuffle pooling rnn "
        "sparse transformer upsampling",
    ),
    "optim": (
        "optim",
        "adadelta adafactor adagrad adam adamax adamw asgd lbfgs nadam optimizer radam rmsprop "
        "rprop sgd sparse_adam",
    ),
    "distributions": (
        "distributions",
        "bernoulli beta binomial categorical cauchy chi2 continuous_bernoulli dirichlet "
        "distribution exp_family exponential fishersnedecor gamma geometric gumbel half_cauchy "
        "half_normal independent inverse_gamma kl kumaraswamy laplace lkj_cholesky log_normal "
        "logistic_normal lowrank_multivariate_normal mixture_same_family multinomial "
        "multivariate_normal negative_binomial normal one_hot_categorical pareto poisson "
        "relaxed_bernoulli relaxed_categorical studentT transformed_distribution uniform von_mises "
        "weibull wishart",
    ),
    "cuda.amp": ("cuda.amp", "autocast_mode grad_scaler common"),
    "cuda": ("cuda", "random memory streams"),
    "utils.data": ("utils.data", "dataloader dataset sampler distributed"),
    "utils.data._utils": ("utils.data", "collate"),
}
# Folders before what is in them.
FACADES = {
    "nn.modules": "nn",
    "jit": "jit",
    "functional": "",
    "utils.data._utils": "utils.data",
    **{f"{folder}.{f}": here for folder, (here, files) in _FILES.items() for f in files.split()},
}
# Where a name that is looked for in one namespace may be found instead.
NAMESPACES = (
    *("", "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "linalg", "special", "fft"),
    *("optim", "optim.lr_scheduler", "autograd", "func", "utils.data", "cuda", "distributions"),
)


class Missing(Exception):
    """There is no such name: `path` is the part that exists, `name` the one that does not."""

    def __init__(self, path: str, name: str):
        self.path, self.name = path, name
        super().__init__(f"torch.{path}.{name}" if path else f"torch.{name}")


def facade_of(path: str) -> str | None:
    """The namespace that holds the names of one of PyTorch's files; None for any other path."""
    return FACADES.get(path)


def _child(value: Any, path: str, name: str) -> Any:
    """Attribute or submodule `name` of what stands for `path`; AttributeError when there is none.

    A class of the same name comes before a submodule, as in PyTorch.
    """
    full = f"{path}.{name}" if path else name
    try:
        return getattr(value, name)
    except AttributeError:
        if full in FACADES:
            return find(FACADES[full])
        if not hasattr(value, "__path__"):
            raise
    module = f"{value.__name__}.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise AttributeError(name) from None


def find(path: str) -> Any:
    """What stands for a dotted name, without the leading "torch."; Missing when nothing does."""
    value: Any = jtoolbox
    done = ""
    for name in path.split(".") if path else ():
        try:
            value = _child(value, done, name)
        except AttributeError:
            raise Missing(done, name) from None
        done = f"{done}.{name}" if done else name
    return value


def public(value: Any) -> list[str]:
    """The public names of a namespace."""
    return [n for n in dir(value) if not n.startswith("_")]


def nearest(path: str, name: str) -> str | None:
    """The dotted name nearest to a missing one: itself elsewhere, or one spelled alike."""
    for other in NAMESPACES:
        if other != path and _has(other, name):
            return ".".join(part for part in ("torch", other, name) if part)
    try:
        here = public(find(path))
    except Missing:
        return None
    close = difflib.get_close_matches(name, here, n=1, cutoff=0.6)
    return ".".join(part for part in ("torch", path, *close) if part) if close else None


def _has(path: str, name: str) -> bool:
    try:
        return hasattr(find(path), name)
    except Missing:
        return False


def sentence(path: str, name: str) -> str:
    """What to say of a missing name."""
    where = f"torch.{path}" if path else "torch"
    near = nearest(path, name)
    return f"jtoolbox has no {where}.{name}." + (f" The nearest is {near}." if near else "")

"""Comparing gradients with finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jtoolbox import ops
from jtoolbox.autograd.function import grad
from jtoolbox.engine.modes import enable_grad, no_grad
from jtoolbox.tensor import Tensor, from_host

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

NOTHING = (
    "gradcheck expects at least one input tensor to require gradient, but none of the them have "
    "requires_grad=True."
)
SINGLE = (
    "Input #{i} requires gradient and is not a double precision floating point or complex. This "
    "check will likely fail if all the inputs are not of double precision floating point or "
    "complex."
)
MISMATCH = (
    "Jacobian mismatch for output {o} with respect to input {i},\nnumerical:{numerical}\n"
    "analytical:{analytical}\n"
)


class GradcheckError(RuntimeError):
    """Gradients and finite differences disagree."""


def _tensors(value: Any) -> list[Tensor]:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return [v for v in values if isinstance(v, Tensor)]


def _differences(
    function: Callable[..., Any], inputs: Sequence[Any], number: int, eps: float
) -> list[np.ndarray]:
    """d output / d input by central differences, one matrix (input, output) for each output."""
    x = inputs[number].detach().numpy()
    given = list(inputs)
    rows: list[list[np.ndarray]] = []
    steps = [eps, eps * 1j] if np.iscomplexobj(x) else [eps]
    for k in range(x.size):
        parts = []
        for step in steps:
            ends = []
            for sign in (1, -1):
                moved = x.copy().reshape(-1)
                moved[k] += sign * step
                given[number] = from_host(moved.reshape(x.shape))
                with no_grad():
                    values = _tensors(function(*given))
                ends.append([y.detach().numpy().reshape(-1) for y in values])
            parts.append([(a - b) / (2 * eps) for a, b in zip(*ends, strict=True)])
        # PyTorch's gradient of a complex input: the derivative by the real part plus i times the
        # one by the imaginary part.
        whole = parts[0] if len(parts) == 1 else [a + 1j * b for a, b in zip(*parts, strict=True)]
        rows.append(whole)
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _gradients(
    function: Callable[..., Any], inputs: Sequence[Any], number: int
) -> list[np.ndarray]:
    """The same by recorded gradients."""
    x = inputs[number]
    found = []
    for y in _tensors(function(*inputs)):
        columns = []
        for k in range(y.numel()):
            start = np.zeros(y.numel(), y.dtype.dtype)
            start[k] = 1
            part = None
            if y.requires_grad:
                weight = from_host(start.reshape(y.shape))
                (part,) = grad(y, [x], [weight], retain_graph=True, allow_unused=True)
            values = np.zeros(x.numel(), x.dtype.dtype) if part is None else part.detach().numpy()
            columns.append(values.reshape(-1))
        found.append(np.stack(columns, 1) if columns else np.zeros((x.numel(), 0)))
    return found


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **settings: Any,
) -> bool:
    """Whether gradients of `func` at `inputs` agree with central differences of width `eps`.

    Inputs that require grad should be float64 (a warning otherwise); outputs are real. Raises
    GradcheckError, a RuntimeError, where they differ by more than atol + rtol |value|, or returns
    False with `raise_exception=False`. PyTorch's other settings are accepted: the slow, whole
    comparison is always made, and forward mode is JAX's own.
    """
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    wanted = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    try:
        if not wanted:
            raise ValueError(NOTHING)
        for i in wanted:
            if given[i].dtype.to_real().itemsize < 8:
                warnings.warn(SINGLE.format(i=i), stacklevel=2)
            _compare(func, given, i, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _compare(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    i: int,
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    numerical = _differences(function, inputs, i, eps)
    analytical = _gradients(function, inputs, i)
    for o, (a, n) in enumerate(zip(analytical, numerical, strict=True)):
        if np.iscomplexobj(n) and not np.iscomplexobj(a):
            raise NotImplementedError("gradcheck of a complex output: return its real and imag")
        if not np.allclose(a, n, rtol, atol):
            raise GradcheckError(MISMATCH.format(o=o, i=i, numerical=n, analytical=a))


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **settings: Any,
) -> bool:
    """The same for second derivatives: `gradcheck` of the gradients, weighted by `grad_outputs`.

    They are random by default.
    """
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not places:
        raise ValueError(NOTHING)
    outputs = [y for y in _tensors(func(*given)) if y.requires_grad]
    if grad_outputs is None:
        weights = [ops.randn_like(y).detach().requires_grad_() for y in outputs]
    else:
        weights = _tensors(grad_outputs)

    def gradient(*args: Any) -> tuple[Any, ...]:
        xs, vs = list(args[: len(given)]), args[len(given) :]
        for i in places:
            if not xs[i].requires_grad:
                xs[i] = xs[i].detach().requires_grad_()
        with enable_grad():
            ys = [y for y in _tensors(func(*xs)) if y.requires_grad]
            wrt = [xs[i] for i in places]
            return grad(ys, wrt, vs, create_graph=True, allow_unused=True, materialize_grads=True)

    return gradcheck(gradient, (*given, *weights), eps=eps, atol=atol, rtol=rtol,
                     raise_exception=raise_exception)  # fmt: skip

"""Derivatives of functions of Tensors, by JAX's transformations: `torch.func`'s."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine.modes import carried_forward, mode
from jtoolbox.engine.trace import HoldsGradients
from jtoolbox.tracing import (
    is_handle,
    leaves_of,
    on_arrays,
    to_arrays,
    to_be_recorded,
    to_tensors,
    transformed,
    watched,
    widened,
)

__all__ = [
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "value_and_grad",
    "vjp",
]


def _only_arrays(result: Any, name: str) -> Any:
    """The result of a function; RuntimeError as PyTorch's for anything but Tensors or arrays."""
    leaves = jax.tree.leaves(result, is_leaf=lambda v: v is None)
    for leaf in leaves:
        if not isinstance(leaf, (jax.Array, np.ndarray)):
            raise RuntimeError(
                f"{name}: expected f(*args) to return only tensors, got unsupported type "
                f"{type(leaf)}"
            )
    if not leaves:
        raise RuntimeError(
            f"{name}: Expected f to be a function that has non-empty output (got output = {result})"
        )
    return result


def _with_aux(result: Any, has_aux: bool, name: str) -> tuple[Any, Any]:
    """The value and what comes with it."""
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(
            f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return result


def _places(argnums: Any, count: int) -> None:
    """RuntimeError as PyTorch's for argument numbers that do not fit `count` arguments."""
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    if not numbers:
        raise RuntimeError("argnums must be non-empty")
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    for n in numbers:
        if not -count <= n < count:
            raise RuntimeError(f"Got argnum={n}, but only {count} positional inputs")
    if len({n % count for n in numbers}) != len(numbers):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")


def _derivable(args: Sequence[Any], argnums: Any) -> None:
    _places(argnums, len(args))
    for n in argnums if isinstance(argnums, tuple) else (argnums,):
        for leaf in jax.tree.leaves(args[n]):
            if hasattr(leaf, "dtype") and not jnp.issubdtype(leaf.dtype, jnp.inexact):
                raise RuntimeError(
                    "only Tensors of floating point dtype can require gradients, argument "
                    f"{n} has {leaf.dtype}"
                )


def _gradient(
    func: Callable[..., Any], argnums: Any, has_aux: bool, order: tuple[int, ...]
) -> Callable[..., Any]:
    """The transformation that gives of (gradient, value, aux) those in `order`."""
    name = "grad_and_value(f)(*args)"

    def make(f: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any, **kwargs: Any) -> Any:
            loss, aux = _with_aux(f(*args, **kwargs), has_aux, name)
            if not isinstance(loss, (jax.Array, np.ndarray)):
                raise RuntimeError(
                    f"{name}: Expected f(*args) to return a Tensor, got {type(loss)}"
                )
            if np.ndim(loss):
                raise RuntimeError(
                    f"{name}: Expected f(*args) to return a scalar tensor, got tensor with "
                    f"{np.ndim(loss)} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            return loss, aux

        def call(*args: Any, **kwargs: Any) -> Any:
            _derivable(args, argnums)
            both = jax.value_and_grad(checked, argnums, has_aux=True)
            (value, aux), gradient = both(*args, **kwargs)
            found = (gradient, value, aux)
            if has_aux:
                return _nested(found, order)
            return found[order[0]] if len(order) == 1 else tuple(found[i] for i in order)

        return call

    return transformed(make, func, ("grad", argnums, has_aux, order))


def _nested(found: tuple[Any, Any, Any], order: tuple[int, ...]) -> Any:
    """With aux: (gradient, aux), (gradient, (value, aux)) or ((value, aux), gradient)."""
    gradient, value, aux = found
    if order == (0,):
        return gradient, aux
    return (gradient, (value, aux)) if order == (0, 1) else ((value, aux), gradient)


def grad(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of a function that returns one number, by its arguments `argnums`."""
    return _gradient(func, argnums, has_aux, (0,))


def value_and_grad(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """(value, gradient) of a function, as `jax.value_and_grad`."""
    return _gradient(func, argnums, has_aux, (1, 0))


def grad_and_value(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """(gradient, value) of a function, in PyTorch's order."""
    return _gradient(func, argnums, has_aux, (0, 1))


def _jacobian(name: str, func: Callable[..., Any], argnums: Any, has_aux: bool) -> Any:
    transform = jax.jacrev if name == "jacrev" else jax.jacfwd

    def make(f: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any, **kwargs: Any) -> Any:
            value, aux = _with_aux(f(*args, **kwargs), has_aux, f"{name}(f)(*args)")
            _only_arrays(value, f"{name}(f)(*args)")
            for leaf in jax.tree.leaves(value):
                if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                    raise RuntimeError(
                        f"{name}(f)(*args): All outputs of f must be floating-point or complex "
                        f"Tensors, got Tensor with dtype {leaf.dtype}"
                    )
            return value, aux

        def call(*args: Any, **kwargs: Any) -> Any:
            _derivable(args, argnums)
            with carried_forward(name == "jacfwd"):
                found, aux = transform(checked, argnums, has_aux=True)(*args, **kwargs)
            return (found, aux) if has_aux else found

        return call

    return transformed(make, func, (name, argnums, has_aux))


def jacrev(
    func: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """The Jacobian by reverse mode: one pass for each output, all together (`chunk_size` too)."""
    if chunk_size is not None and chunk_size < 1:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")
    return _jacobian("jacrev", func, argnums, has_aux)


def jacfwd(
    func: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Callable[..., Any]:
    """The Jacobian by forward mode: one pass for each input, random numbers the same in all."""
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    return _jacobian("jacfwd", func, argnums, has_aux)


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The second derivatives: forward mode over reverse mode."""

    def make(f: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            _derivable(args, argnums)
            return jax.hessian(lambda *a: _only_arrays(f(*a, **kwargs), "hessian"), argnums)(*args)

        return call

    return transformed(make, func, ("hessian", argnums))


def _check_tangents(primals: Any, tangents: Any) -> None:
    """RuntimeError as PyTorch's for primals and tangents of `jvp` that do not go together."""
    for what, values in (("primals", primals), ("tangents", tangents)):
        if not isinstance(values, tuple):
            raise RuntimeError(
                f"jvp(f, primals, tangents): Expected {what} to be a tuple. E.g. it should be "
                f"valid to call f(*primals), got {type(values)}."
            )
    if not leaves_of(primals):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to contain at least one Tensor."
        )
    if jax.tree.structure(primals, is_leaf=is_handle) != jax.tree.structure(
        tangents, is_leaf=is_handle
    ):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python "
            f"structure, got {len(leaves_of(primals))} and {len(leaves_of(tangents))} values."
        )
    for p, t in zip(leaves_of(primals), leaves_of(tangents), strict=True):
        if not hasattr(t, "shape"):
            raise RuntimeError(
                "jvp(f, primals, tangents): Expected tangents to only contain Tensors, got "
                f"{type(t)}"
            )
        if hasattr(p, "shape") and tuple(p.shape) != tuple(t.shape):
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the "
                f"original Tensor: Tensor is of size {list(p.shape)} while the given forward "
                f"gradient is of size {list(t.shape)}."
            )


def _of_integers_too(value: Any, derivative: Any) -> Any:
    """The derivative with zeros, as PyTorch's, where JAX has a type of no values for integers."""
    return jax.tree.map(
        lambda v, d: jnp.zeros_like(v) if d.dtype == jax.dtypes.float0 else d, value, derivative
    )


def _with_integers(value: Any, push: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *tangents: _of_integers_too(value, push(*tangents))


def jvp(
    func: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """(value, directional derivative along `tangents`), and aux if `has_aux`."""
    _check_tangents(primals, tangents)

    def make(f: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any) -> Any:
            value, aux = _with_aux(f(*args), has_aux, "jvp(f, primals, tangents)")
            return _only_arrays(value, "jvp(f, primals, tangents)"), aux

        def call(p: Any, t: Any) -> Any:
            with carried_forward():
                value, derivative, aux = jax.jvp(checked, p, t, has_aux=True)
            derivative = _of_integers_too(value, derivative)
            return (value, derivative, aux) if has_aux else (value, derivative)

        return call

    return transformed(make, func, ("jvp", has_aux))(primals, tangents)


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(value, function from a cotangent to the gradients of `primals`), and aux if `has_aux`."""
    name = "vjp(f, *primals)"

    def checked(f: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            value, aux = _with_aux(f(*args), has_aux, name)
            return _only_arrays(value, name), aux

        return call

    def pulled(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda args, given: jax.vjp(checked(f), *args, has_aux=True)[1](given)

    def pull_recorded(cotangent: Any) -> Any:
        return transformed(pulled, func, ("vjp", has_aux))(primals, cotangent)

    given = leaves_of(primals)
    tensors = any(is_handle(v) for v in given)
    value = aux = pull = None
    if not to_be_recorded(given):
        pure = functools.partial(on_arrays(func), tensors)
        try:
            with watched(tensors):
                value, pull, aux = jax.vjp(checked(pure), *to_arrays(primals), has_aux=True)
        except HoldsGradients:
            if mode.functional is not None:
                raise
    if pull is None:
        value, aux = transformed(checked, func, ("call", has_aux))(*primals)
        pull = pull_recorded
    else:
        value, pull = _as_given(value, pull, tensors)
        aux = to_tensors(aux) if tensors else aux

    def pullback(*cotangents: Any) -> Any:
        cotangent = _checked_cotangents(value, cotangents)
        recorded = to_be_recorded(leaves_of(cotangent))
        return (pull_recorded if recorded else pull)(cotangent)

    return (value, pullback, aux) if has_aux else (value, pullback)


def _checked_cotangents(value: Any, cotangents: tuple[Any, ...]) -> Any:
    """The cotangent in the structure of the value; PyTorch's errors where it has another."""
    given = cotangents[0] if len(cotangents) == 1 else cotangents
    found = jax.tree.structure(given, is_leaf=is_handle)
    wanted = jax.tree.structure(value, is_leaf=is_handle)
    if found != wanted:
        raise RuntimeError(
            "Expected pytree structure of cotangents to be the same as pytree structure of "
            f"outputs to the function. cotangents: {found}, primal output: {wanted}"
        )
    for i, (v, c) in enumerate(zip(leaves_of(value), leaves_of(given), strict=True)):
        if not hasattr(c, "shape"):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(c)}")
        if tuple(v.shape) != tuple(c.shape):
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {list(c.shape)} and "
                f"output[{i}] has a shape of {list(v.shape)}."
            )
    return given


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(value, function from tangents to the derivative along them), as `jax.linearize`.

    The function is linear and may be called many times; the value is computed once.
    """
    given = leaves_of(primals)
    tensors = any(is_handle(v) for v in given)

    def by_parts() -> tuple[Any, Callable[..., Any]]:
        value = transformed(lambda f: f, func, ("call",))(*primals)
        return value, lambda *tangents: jvp(func, primals, tangents)[1]

    if to_be_recorded(given):
        value, push = by_parts()
    else:
        pure = functools.partial(on_arrays(func), tensors)
        value = push = None
        try:
            with watched(tensors), carried_forward():
                value, push = jax.linearize(pure, *to_arrays(primals))
        except HoldsGradients:
            if mode.functional is not None:
                raise
        if push is None:
            value, push = by_parts()
        else:
            value, push = _as_given(value, _with_integers(value, push), tensors)

    def pushforward(*tangents: Any) -> Any:
        _check_pushed(primals, tangents)
        if to_be_recorded(leaves_of(tangents)):
            return jvp(func, primals, tangents)[1]
        return push(*tangents)

    return value, pushforward


def _as_given(value: Any, push: Callable[..., Any], tensors: bool) -> Any:
    """JAX's value and linear function, of Tensors if Tensors were given."""

    def call(*tangents: Any) -> Any:
        with widened(tensors):
            result = push(*to_arrays(tangents))
        return to_tensors(result) if tensors else result

    return (to_tensors(value) if tensors else value), call


def _check_pushed(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> None:
    if len(tangents) != len(primals):
        raise RuntimeError(
            f"Expected the tangents to have the same argspec as the primals: {len(tangents)} "
            f"tangents for {len(primals)} primals."
        )
    for i, (p, t) in enumerate(zip(leaves_of(primals), leaves_of(tangents), strict=True)):
        for what in ("shape", "dtype"):
            wanted, found = getattr(p, what, None), getattr(t, what, None)
            if wanted != found:
                raise RuntimeError(
                    f"tangent:{i} with {what} {found} in flattened pytree doesn't match the "
                    f"{what} {wanted} of the corresponding primal."
                )

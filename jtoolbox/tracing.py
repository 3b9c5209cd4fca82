"""JAX's transformations of functions of Tensors.

A function is transformed in one of two ways. Where no gradient is to come back through the result,
it is called with Tensors that hold JAX's tracers. Where one is (an argument requires grad, or a
Tensor that the function holds), it is recorded once as a program of its arguments and of what it
holds; the transformation of that program is one recorded call, with gradients by both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from jtoolbox.engine.closure import recorded
from jtoolbox.engine.graph import Call, Handle, intern_aval, leaf_node
from jtoolbox.engine.modes import enable_grad, mode
from jtoolbox.engine.record import (
    as_node,
    common_device,
    freeze,
    make_call,
    node_of,
    record,
    value_of,
    wrap,
)
from jtoolbox.engine.trace import HoldsGradients, TensorTrace

__all__ = [
    "is_handle",
    "leaves_of",
    "on_arrays",
    "to_arrays",
    "to_be_recorded",
    "to_tensors",
    "transformed",
    "watched",
    "widened",
]

NOT_RECORDED = (
    "the result of this transformation is to have gradients, by an argument that requires grad or "
    "a Tensor that the function holds, and for that the function must be recorded: {why}. Call it "
    "under no_grad(), or detach those Tensors, if no gradient is to flow back."
)
_calls: dict[tuple, Call] = {}


def is_handle(value: Any) -> bool:
    return isinstance(value, Handle)


def to_arrays(tree: Any) -> Any:
    """The same structure with each Tensor replaced by its array; NumPy arrays stay."""
    return jax.tree.map(
        lambda v: value_of(node_of(v)) if is_handle(v) else v, tree, is_leaf=is_handle
    )


def to_tensors(tree: Any) -> Any:
    """The same structure with each array (or tracer) replaced by a Tensor that holds it."""

    def convert(value: Any) -> Any:
        return wrap(leaf_node(value)) if isinstance(value, (jax.Array, np.ndarray)) else value

    return jax.tree.map(convert, tree, is_leaf=is_handle)


def on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Tensors (or arrays) as a function of arrays, for JAX to transform.

    `tensors` says whether the function is given Tensors: yes, unless the user called with arrays.
    """

    @functools.wraps(function)
    def pure(tensors: bool, *args: Any, **kwargs: Any) -> Any:
        with TensorTrace():
            if tensors:
                args, kwargs = to_tensors(args), to_tensors(kwargs)
            return to_arrays(function(*args, **kwargs))

    return pure


def leaves_of(*trees: Any) -> list[Any]:
    return jax.tree.leaves(trees, is_leaf=is_handle)


def transformed(
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    function: Callable[..., Any],
    kind: tuple[Any, ...],
) -> Callable[..., Any]:
    """`make(function)` as a function of Tensors or of arrays.

    `make` is one of JAX's transformations with settings that `kind` names. Gradients of the result
    reach the arguments, and the Tensors that the function holds.
    """
    pure = on_arrays(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = leaves_of(args, kwargs)
        if to_be_recorded(given):
            return _recorded(make, function, kind, args, kwargs)
        tensors = any(is_handle(v) for v in given)
        try:
            with watched(tensors):
                derived = make(functools.partial(pure, tensors))
                result = derived(*to_arrays(args), **to_arrays(kwargs))
        except HoldsGradients:
            if mode.functional is not None:
                raise
        else:
            return to_tensors(result) if tensors else result
        return _recorded(make, function, kind, args, kwargs)

    return call


def to_be_recorded(given: Sequence[Any]) -> bool:
    """Whether a gradient is to come back to one of these arguments, or a step is recorded."""
    if mode.functional is not None or not any(is_handle(v) for v in given):
        return False
    return mode.capture is not None or (
        mode.grad and any(is_handle(v) and v.requires_grad for v in given)
    )


@contextmanager
def widened(tensors: bool) -> Iterator[None]:
    """With 64-bit types, which Tensors have, unless the user's own JAX program surrounds this."""
    if tensors and mode.functional is None:
        with jax.enable_x64(True):
            yield
    else:
        yield


@contextmanager
def watched(tensors: bool) -> Iterator[None]:
    """The outermost transformation raises `HoldsGradients` where a gradient would be lost."""
    with widened(tensors):
        if mode.functional is None:
            with TensorTrace(watch=tensors and mode.grad):
                yield
        else:
            yield


class _Body:
    """The function's program, found when JAX first calls it, in the place of the function after."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self.device: Any = None
        self.program: Any = None
        self.held: list[Any] = []
        self.results: list[Any] = []
        self.tree: Any = None
        self.given: list[int] = []
        self.slots: list[int] = []

    def record(self, *args: Any, **kwargs: Any) -> Any:
        """Records the function for arguments of these types, and gives results of its types."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        places = array_leaves(leaves)

        def call(*tensors: Any) -> list[Any]:
            given = list(leaves)
            for i, tensor in zip(places, tensors, strict=True):
                given[i] = tensor
            arguments, keywords = jax.tree.unflatten(tree, given)
            result = self.function(*arguments, **keywords)
            self.results, self.tree = jax.tree.flatten(result, is_leaf=is_handle)
            return [r for r in self.results if is_handle(r)]

        avals = [intern_aval(leaves[i].shape, leaves[i].dtype, self.device) for i in places]
        before, mode.functional = mode.functional, None
        try:
            with enable_grad():
                self.program, self.held = recorded(call, avals)
        finally:
            mode.functional = before
        self.given = places
        self.results = [None if is_handle(r) else r for r in self.results]
        self.slots = [i for i, r in enumerate(self.results) if r is None]
        values = [_example(v) for v in self.held]
        return self._filled(self.program([leaves[i] for i in places], values))

    def replay(self, held: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        """The same program on other values."""
        leaves = jax.tree.leaves((args, kwargs))
        return self._filled(self.program([leaves[i] for i in self.given], held))

    def _filled(self, values: Sequence[Any]) -> Any:
        results = list(self.results)
        for i, value in zip(self.slots, values, strict=True):
            results[i] = value
        return jax.tree.unflatten(self.tree, results)


def _example(value: Any) -> Any:
    return np.zeros(value.shape, node_of(value).aval.dtype) if is_handle(value) else value


def array_leaves(leaves: Sequence[Any]) -> list[int]:
    """Where Tensors, arrays or tracers are among these values."""
    return [
        i for i, v in enumerate(leaves) if is_handle(v) or isinstance(v, (jax.Array, np.ndarray))
    ]


def _recorded(
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    function: Callable[..., Any],
    kind: tuple[Any, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """`make(function)(*args, **kwargs)` as one recorded call."""
    leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=is_handle)
    places = array_leaves(leaves)
    inputs = [as_node(leaves[i]) for i in places]
    body = _Body(function)
    body.device = common_device(kind[0], inputs)

    def run(called: Callable[..., Any], values: Sequence[Any]) -> Any:
        given = list(leaves)
        for i, value in zip(places, values, strict=True):
            given[i] = value
        arguments, keywords = jax.tree.unflatten(tree, given)
        return make(called)(*arguments, **keywords)

    try:
        with jax.enable_x64(True):
            shapes = jax.eval_shape(
                lambda *values: run(body.record, values), *[n.aval.struct for n in inputs]
            )
    except RuntimeError as error:
        if str(error).startswith("a function that is mapped"):
            raise RuntimeError(NOT_RECORDED.format(why=error)) from error
        raise
    count = len(inputs)
    nodes = (*inputs, *[as_node(v) for v in body.held])
    statics = freeze(tuple(None if i in set(places) else v for i, v in enumerate(leaves)))
    avals = tuple([n.aval if hasattr(n, "aval") else n.__class__ for n in nodes])
    key = (kind, body.program, tree, statics, avals, tuple(body.given), str(body.results))
    call = _calls.get(key)
    if call is None:

        def pure(*values: Any) -> tuple[Any, ...]:
            replay = functools.partial(body.replay, values[count:])
            return tuple(jax.tree.leaves(run(replay, values[:count])))

        call = _calls[key] = make_call(
            f"{kind[0].capitalize()}Backward", pure, avals, device=body.device
        )
    grad = mode.grad and any(getattr(n, "requires_grad", False) for n in nodes)
    results = record(call, nodes, grad)
    return jax.tree.unflatten(jax.tree.structure(shapes), [wrap(n) for n in results])

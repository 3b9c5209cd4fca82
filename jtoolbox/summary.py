"""`summary(model, input)`: a table of a model's layers, their output shapes and parameters."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jtoolbox import dtypes, random
from jtoolbox.engine import no_grad
from jtoolbox.func import functional_call
from jtoolbox.nn.module import Module
from jtoolbox.tensor import Tensor

__all__ = ["Layer", "Summary", "summary"]

_HEADINGS = ("Layer", "Output shape", "Parameters")
_BAD_INPUT = (
    "summary takes an example input or its shape: a Tensor, an array, a tuple of sizes such as "
    "(64, 1, 28, 28), a list of several of these, or a dict of keyword arguments; got {got}"
)


@dataclass
class Layer:
    """One module of the model: a line of the table.

    `output` is the shape of its last result (nested as the result is), None if it was not called.
    `parameters` and `trainable` count the module's own parameters, not those of modules below; one
    that several modules share is counted where it comes first.
    """

    name: str
    kind: str
    ancestors: tuple[bool, ...]
    parameters: int
    trainable: int
    output: Any = None
    calls: int = 0

    @property
    def depth(self) -> int:
        """How many modules are above it."""
        return len(self.ancestors)

    def cells(self) -> tuple[str, str, str]:
        """The texts of its line."""
        branch = "".join("   " if last else "│  " for last in self.ancestors[:-1])
        if self.ancestors:
            branch += "└─ " if self.ancestors[-1] else "├─ "
        label = f"{self.name}: {self.kind}" if self.name else self.kind
        times = f" ({self.calls} calls)" if self.calls > 1 else ""
        shape = "-" if self.output is None else _shape_text(self.output)
        return branch + label, shape + times, f"{self.parameters:,}" if self.parameters else "-"


@dataclass
class Summary:
    """What `summary` found. Prints as a table; `layers` has its lines in order."""

    layers: list[Layer] = field(default_factory=list)
    bytes: int = 0

    @property
    def total_parameters(self) -> int:
        """The number of elements in all parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable_parameters(self) -> int:
        """The number of elements in the parameters that require grad."""
        return sum(layer.trainable for layer in self.layers)

    def __str__(self) -> str:
        rows = [_HEADINGS, *(layer.cells() for layer in self.layers)]
        first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [f"{a:<{first}}  {b:<{second}}  {c:>{third}}" for a, b, c in rows]
        rule = "─" * (first + second + third + 4)
        total, trainable = self.total_parameters, self.trainable_parameters
        return "\n".join(
            [
                lines[0],
                rule,
                *lines[1:],
                rule,
                f"Parameters: {total:,} ({self.bytes / 2**20:,.2f} MiB)",
                f"Trainable: {trainable:,}, frozen: {total - trainable:,}",
            ]
        )

    __repr__ = __str__


def summary(model: Module, input: Any, *, dtype: Any = None) -> Summary:
    """A table of all layers: output shapes and numbers of parameters.

    `input` is an example of the model's input or its shape, batch included; a list stands for
    several positional arguments, a dict for keyword arguments. Inputs given as shapes have the type
    `dtype`, by default the default float type; give `torch.long` for a model that takes indices.

        print(torch.summary(model, (64, 1, 28, 28)))

    The model is traced in `eval()` mode and not run; its values, buffers, `training` flags and
    hooks, and the random generator, are as before. Only a `forward` that asks for values, by
    `item()` or `if`, is run, on zeros where shapes were given.
    """
    args, kwargs = _examples(input, dtype)
    with _untouched(model):
        model.eval()
        layers = _list_layers(model)
        for module, layer in layers.items():
            _watch(module, layer)
        try:
            _trace(model, args, kwargs)
        except jax.errors.JAXTypeError:
            _forget_calls(layers.values())
            _run(copy.deepcopy(model), args, kwargs)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    return Summary(list(layers.values()), size)


def _examples(given: Any, dtype: Any) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments; a shape becomes a `ShapeDtypeStruct`."""
    if isinstance(given, Mapping):
        return [], {name: _example(value, dtype) for name, value in given.items()}
    several = isinstance(given, Sequence) and not _is_shape(given)
    return [_example(value, dtype) for value in (given if several else [given])], {}


def _is_shape(given: Any) -> bool:
    return isinstance(given, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in given)


def _example(given: Any, dtype: Any) -> Any:
    if _is_shape(given):
        wanted = dtypes.default_float() if dtype is None else dtypes.as_numpy(dtype)
        return jax.ShapeDtypeStruct(tuple(given), wanted)
    if not isinstance(given, Tensor) and not hasattr(given, "dtype"):
        raise TypeError(_BAD_INPUT.format(got=f"{type(given).__name__}: {given!r}"))
    return given


def _list_layers(model: Module) -> dict[Module, Layer]:
    """Every module once, depth first, with its own parameters counted."""
    layers: dict[Module, Layer] = {}
    counted: set[int] = set()

    def visit(name: str, module: Module, ancestors: tuple[bool, ...]) -> None:
        own = {id(p): p for p in module.parameters(recurse=False) if id(p) not in counted}
        counted.update(own)
        sizes = [(p.numel(), p.requires_grad) for p in own.values()]
        layers[module] = Layer(
            name,
            module._get_name(),
            ancestors,
            parameters=sum(n for n, _ in sizes),
            trainable=sum(n for n, trains in sizes if trains),
        )
        children = [(n, c) for n, c in module.named_children() if c not in layers]
        for i, (child_name, child) in enumerate(children):
            visit(child_name, child, (*ancestors, i == len(children) - 1))

    visit("", model, ())
    return layers


def _watch(module: Module, layer: Layer) -> None:
    def note(_: Module, args: Any, output: Any) -> None:
        layer.calls += 1
        layer.output = _shapes(output)

    module.register_forward_hook(note)


def _forget_calls(layers: Any) -> None:
    for layer in layers:
        layer.output, layer.calls = None, 0


def _shapes(output: Any) -> Any:
    """The shapes in a result, in the same nesting of tuples, lists and dicts."""
    if hasattr(output, "shape"):
        return tuple(output.shape)
    if isinstance(output, Mapping):
        return {key: _shapes(value) for key, value in output.items()}
    if isinstance(output, (tuple, list)):
        return [_shapes(value) for value in output]
    return None


def _shape_text(shapes: Any) -> str:
    if isinstance(shapes, dict):
        inside = ", ".join(f"{key}: {_shape_text(value)}" for key, value in shapes.items())
        return "{" + inside + "}"
    if isinstance(shapes, list):
        return "[" + ", ".join(_shape_text(value) for value in shapes) + "]"
    return str(shapes)


def _struct(value: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(value.shape), dtypes.as_numpy(value.dtype))


def _trace(model: Module, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Calls the model on abstract values."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}

    def call(state: Any, args: Any, kwargs: Any) -> None:
        inputs = tuple(Tensor(a) for a in args)
        named = {name: Tensor(a) for name, a in kwargs.items()}
        functional_call(model, state, inputs, named)

    with jax.enable_x64(True):
        jax.eval_shape(call, *jax.tree.map(_struct, (state, args, kwargs), is_leaf=_is_value))


def _is_value(value: Any) -> bool:
    return hasattr(value, "dtype")


def _run(model: Module, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Calls the model for real, with zeros for inputs of which only the shape is known."""

    def concrete(value: Any) -> Any:
        if isinstance(value, jax.ShapeDtypeStruct):
            value = np.zeros(value.shape, value.dtype)
        return value if isinstance(value, Tensor) else Tensor(value)

    with no_grad():
        model(*map(concrete, args), **{name: concrete(value) for name, value in kwargs.items()})


@contextmanager
def _untouched(model: Module) -> Iterator[None]:
    """Puts back, at the end, every module's attributes and hooks, and the generator's state."""
    modules = list(model.modules())
    own = frozenset(Module().__dict__)
    attributes = [_shallow(module, own) for module in modules]
    generator = random.default_generator.get_state()
    try:
        yield
    finally:
        random.default_generator.set_state(generator)
        for module, saved in zip(modules, attributes, strict=True):
            _restore(module, saved)


def _shallow(module: Module, own: frozenset[str]) -> dict[str, Any]:
    """A module's attributes, each with a copy of its content if it is one of the module class."""
    return {
        name: (value, value.copy() if name in own and isinstance(value, (dict, set)) else None)
        for name, value in module.__dict__.items()
    }


def _restore(module: Module, saved: dict[str, Any]) -> None:
    for value, content in saved.values():
        if content is not None:
            value.clear()
            value.update(content)
    module.__dict__.clear()
    module.__dict__.update({name: value for name, (value, _) in saved.items()})

"""Small programs on a CPU as one kernel.

XLA's CPU backend runs a program as a series of kernels, and hands the larger of them to several
threads. For a program as small as a training step of one sample, starting kernels and waiting for
threads costs more than the arithmetic. XLA compiles a call that bears two attributes to one kernel,
which runs on one thread: the step of an MLP 784-300-100-10 at batch 1 under `jit` took 0.65 of
hand-written JAX's (`python -m benchmarks.step --workload mlp --batch 1`; for other widths
`python -m benchmarks.one_kernel`). It does so badly where a product of matrices or a reduction is
large, and compiles slowly where there are many operations, so `fits` is strict.

`JTOOLBOX_ONE_KERNEL=0` turns it off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Literal, Var

from jtoolbox.engine.jaxprs import ELEMENTWISE, everywhere, words

ATTRIBUTES = {"xla_cpu_small_call": "true", "inlineable": "false"}
# Bytes that a program may read; smaller ones were no faster as one kernel. What a sum may run over.
# Operations: compiling takes longer than their number grows.
LEAST_BYTES, MOST_BYTES = 2**16, 2**22
LONGEST_SUM = 4096
MOST_OPERATIONS = 300


MOVES = words("""
    broadcast_in_dim concatenate dynamic_slice dynamic_update_slice gather iota
    optimization_barrier pad reshape rev slice split squeeze stack transpose
""")
SUMS = words("argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_sum")
CALLS = words("closed_call custom_jvp_call custom_vjp_call jit remat2 scan")


def first_run(function: Any, donated: tuple[int, ...], *args: Any) -> tuple[Any, Any]:
    """Runs a jitted function for the first time: its form that is to be kept, and the result."""
    whole = one_kernel(function, donated, *args)
    if whole is not None:
        try:
            return whole, whole(*args)
        except jax.errors.JaxRuntimeError as error:
            if "UNIMPLEMENTED" not in str(error):  # of the compiler, before anything has run
                raise
    return function, function(*args)


def one_kernel(function: Any, donated: tuple[int, ...], *args: Any) -> Callable[..., Any] | None:
    """The jitted function as a program of one kernel; None if these arguments do not suit that."""
    if not _wanted(args):
        return None
    doubtful = _doubtful(function.trace(*args).jaxpr)
    overwritten = sum(len(jax.tree.leaves(args[k])) for k in donated)  # the first arguments
    leaves = jax.tree.leaves(args)
    if doubtful is None or any(k < overwritten and leaves[k].nbytes > LARGE for k in doubtful):
        return None
    # What is inside of another jitted function must not have compiler options of its own.
    jitted = jax.jit(_kernel(function.__wrapped__, doubtful), donate_argnums=donated)
    return lambda *args: jitted(*args)[0]


def _wanted(args: Any) -> bool:
    if jax.default_backend() != "cpu" or os.environ.get("JTOOLBOX_ONE_KERNEL", "1") == "0":
        return False
    leaves = jax.tree.leaves(args)
    size = sum(math.prod(np.shape(x)) * getattr(x, "itemsize", 8) for x in leaves)
    return LEAST_BYTES <= size <= MOST_BYTES and all(math.prod(np.shape(x)) for x in leaves)


def _doubtful(closed: Any) -> list[int] | None:
    """The inputs that may turn out not to be used; None where one kernel would not do well."""
    if closed.consts or not fits(closed.jaxpr):
        return None
    sure = _surely_used(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    return [k for k, known in enumerate(sure) if not known]


def _kernel(function: Callable[..., Any], doubtful: list[int]) -> Callable[..., Any]:
    """The function as a call that XLA makes one kernel of; a number comes with its result."""

    @jax.jit
    def kernel(*args: Any) -> tuple[Any, Array]:
        given = jax.tree.leaves(args)
        return function(*args), _touched([given[k] for k in doubtful])

    def tagged(*args: Any) -> tuple[Any, Any]:
        result, touched = kernel(*args)
        return result, set_xla_metadata(touched, **ATTRIBUTES)

    return tagged


# NOTE: unused arguments. XLA ends the process when it compiles such a call and an argument of it is
# not used, which its own simplifications may bring about. So the kernel reads every argument of
# which we cannot tell that it will be. (It does not read all: what is overwritten in place would be
# copied first.)
LARGE = 2**14
SIMPLIFIED = words("and clamp integer_pow max min not or pow rem select_n xor")
READ = (ELEMENTWISE - SIMPLIFIED) | words(
    "broadcast_in_dim concatenate dot_general reduce_sum reshape squeeze transpose"
)


def _surely_used(jaxpr: Any, live: list[bool]) -> list[bool]:
    """For each input, whether its values decide those of an output that is live, whatever they are.

    True only along operations on floating-point numbers that no compiler simplifies away.
    """
    used = {v for v, lives in zip(jaxpr.outvars, live, strict=True) if lives and _is_float(v)}
    for equation in reversed(jaxpr.eqns):
        outputs = [v in used for v in equation.outvars]
        if not any(outputs):
            continue
        name = equation.primitive.name
        if name in CALLS:
            flags = _surely_used_by_call(equation, outputs)
            used |= {v for v, f in zip(equation.invars, flags, strict=True) if f and _is_float(v)}
        elif name in READ:
            used |= {v for v in equation.invars if _is_float(v)}
    return [v in used for v in jaxpr.invars]


def _surely_used_by_call(equation: Any, live: list[bool]) -> list[bool]:
    """The same for the inputs of a call or loop."""
    inner = _inner(equation)
    if equation.primitive.name != "scan":
        return _surely_used(inner, live)
    first, count = equation.params["num_consts"], equation.params["num_carry"]
    while True:  # what a turn hands on is live if the next turn uses it
        flags = _surely_used(inner, live)
        carried = [a and b for a, b in zip(live[:count], flags[first:], strict=False)]
        if carried == live[:count]:
            return flags
        live = carried + live[count:]


def _is_float(v: Any) -> bool:
    aval: Any = v.aval
    return isinstance(v, Var) and jnp.issubdtype(aval.dtype, jnp.inexact) and aval.size > 0


def _touched(leaves: list[Any]) -> Array:
    """A number that depends on all of these arrays."""
    total = jnp.zeros((), jnp.float32)
    for x in map(jnp.asarray, leaves):
        first = jax.lax.slice(x, [0] * x.ndim, [1] * x.ndim).reshape(())
        total += jnp.real(first).astype(jnp.float32)
    return total


def fits(jaxpr: Any) -> bool:
    """Whether a jaxpr has a product with a vector, and all its operations do well in a kernel."""
    equations = [e for e in everywhere(jaxpr) if e.primitive.name not in CALLS]
    has_product = any(e.primitive.name == "dot_general" for e in equations)
    return has_product and len(equations) <= MOST_OPERATIONS and all(map(_suits, equations))


def _inner(equation: Any) -> Any:
    """The jaxpr that a call or loop runs."""
    params = equation.params
    inner = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
    return getattr(inner, "jaxpr", inner)


def _suits(equation: Any) -> bool:
    name = equation.primitive.name
    if any(isinstance(v, Literal) and np.ndim(v.val) for v in equation.invars):
        return False  # arrays among the constants become arguments of the program
    if name in ELEMENTWISE or name in MOVES:
        return all(
            math.prod(v.aval.shape) * v.aval.dtype.itemsize <= MOST_BYTES for v in equation.outvars
        )
    if name in SUMS:
        return math.prod(equation.invars[0].aval.shape) <= LONGEST_SUM
    return name == "dot_general" and _one_vector(equation)


def _one_vector(equation: Any) -> bool:
    """Whether a product is that of a matrix and one vector, or of two vectors."""
    (contracting, batch) = equation.params["dimension_numbers"]
    if batch[0]:
        return False
    free = []
    for operand, summed in zip(equation.invars, contracting, strict=True):
        shape = operand.aval.shape
        free.append(math.prod(n for i, n in enumerate(shape) if i not in summed))
    summed = math.prod(equation.invars[0].aval.shape[i] for i in contracting[0])
    return 1 in (*free, summed)

"""Small programs on a CPU as one kernel.

XLA's CPU backend runs a program as a series of kernels, and hands the larger of them to several
threads. For a program as small as a training step of one sample, starting kernels and waiting for
threads costs more than the arithmetic. XLA compiles a call that bears two attributes to one kernel,
which runs on one thread: the step of an MLP 784-300-100-10 at batch 1 took 0.6 to 0.65 of its time
(`python -m benchmarks.one_kernel`). It does so badly where a product of matrices or a reduction is
large, and compiles slowly where there are many operations, so `fits` is strict.

`JTOOLBOX_ONE_KERNEL=0` turns it off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Var

ATTRIBUTES = {"xla_cpu_small_call": "true", "inlineable": "false"}
# Bytes that a program may read; what a sum may run over; operations, as compiling takes longer
# than their number grows.
MOST_BYTES = 4 * 2**20
LONGEST_SUM = 4096
MOST_OPERATIONS = 300

ELEMENTWISE = frozenset(
    "abs add add_any and ceil clamp convert_element_type copy copy_p cos div eq erf erf_inv exp "
    "exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max min mul ne neg not "
    "or pow rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign "
    "sin sqrt square stop_gradient sub tan tanh xor".split()
)
MOVES = frozenset(
    "broadcast_in_dim concatenate dynamic_slice dynamic_update_slice expand_dims gather iota "
    "optimization_barrier pad reshape rev slice split squeeze transpose".split()
)
SUMS = frozenset("argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_sum".split())
CALLS = frozenset("closed_call custom_jvp_call custom_vjp_call jit pjit remat2 checkpoint".split())


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
    if jax.default_backend() != "cpu" or os.environ.get("JTOOLBOX_ONE_KERNEL", "1") == "0":
        return None
    if sum(_bytes(x) for x in jax.tree.leaves(args)) > MOST_BYTES:
        return None
    jaxpr = function.trace(*args).jaxpr.jaxpr
    given = {*jaxpr.invars, *jaxpr.constvars}
    made = [k for k, v in enumerate(jaxpr.outvars) if isinstance(v, Var) and v not in given]
    if not made or not fits(jaxpr):
        return None

    def whole(*args: Any) -> Any:
        leaves, treedef = jax.tree.flatten(function(*args))
        leaves[made[0]] = set_xla_metadata(leaves[made[0]], **ATTRIBUTES)
        return jax.tree.unflatten(treedef, leaves)

    return jax.jit(whole, donate_argnums=donated)


def _bytes(x: Any) -> int:
    return math.prod(x.shape) * x.dtype.itemsize if hasattr(x, "dtype") else 8


def fits(jaxpr: Any) -> bool:
    """Whether all operations of a jaxpr do well in one kernel."""
    count = _operations(jaxpr)
    return count is not None and count <= MOST_OPERATIONS


def _operations(jaxpr: Any) -> int | None:
    """How many operations a jaxpr has, None if one of them does badly in one kernel."""
    count = 0
    for equation in jaxpr.eqns:
        inner = _inner(equation)
        found = _operations(inner) if inner is not None else int(_suits(equation)) or None
        if found is None:
            return None
        count += found
    return count


def _inner(equation: Any) -> Any:
    """The jaxpr that a call or loop runs."""
    name = equation.primitive.name
    if name not in CALLS and name != "scan":
        return None
    closed = next((equation.params[k] for k in ("jaxpr", "call_jaxpr", "fun_jaxpr")
                   if k in equation.params), None)  # fmt: skip
    return getattr(closed, "jaxpr", closed)


def _suits(equation: Any) -> bool:
    name = equation.primitive.name
    if name in ELEMENTWISE or name in MOVES:
        return all(math.prod(v.aval.shape) * v.aval.dtype.itemsize <= MOST_BYTES
                   for v in equation.outvars)  # fmt: skip
    first = equation.invars[0].aval if equation.invars else None
    if name in SUMS:
        return math.prod(first.shape) <= LONGEST_SUM
    if name == "dot_general":
        return _one_vector(equation)
    return False


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

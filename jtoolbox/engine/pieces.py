"""Programs with much temporary memory get it in pieces, once they have run for a while.

NOTE: temporary memory on CPU. XLA asks for the temporary buffers of a program in one piece. glibc
takes a piece of 64 MiB or more, asked for by a thread other than the main one, from the kernel at
every run: 33,000 page faults a step of MobileNet, a third of its time. Smaller pieces come from
memory that is kept (`environment.reuse_memory`). But XLA cannot write a program with pieces to the
cache on disk. So a program is compiled without them, and found in the cache at the next start; one
that needs them is compiled again by a thread, while its steps go on, and then takes over. A program
with an array that is no smaller than a piece stays as it is: XLA would print warnings. So does
every program with `JTOOLBOX_PIECES=0` in the environment.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import jax

from jtoolbox.engine.jaxprs import everywhere
from jtoolbox.engine.settings import PIECES

# The largest piece that is kept, in bytes; after how many runs a program is worth a second form.
LARGEST = 60 * 2**20
RUNS = 32
THREAD = "jtoolbox-compile"

warnings.filterwarnings(
    "ignore", r"Error writing persistent compilation cache entry .* Multiple temp buffer"
)


def in_pieces(function: Any, options: dict[str, Any] | None, arguments: tuple[Any, ...]) -> Any:
    """The compiled function, or where its temporary memory is large, one that will be faster."""
    if jax.default_backend() != "cpu" or not sys.platform.startswith("linux"):
        return function
    if os.environ.get("JTOOLBOX_PIECES", "1") == "0":
        return function
    if not hasattr(function, "trace"):  # the one kernel of a small program
        return function
    traced = function.trace(*jax.tree.map(_abstract, arguments))
    lowered = traced.lower()
    compiled = lowered.compile()  # this far all is found as it is, in JAX's own caches
    if compiled.memory_analysis().temp_size_in_bytes <= LARGEST or _largest(traced) > LARGEST:
        return function
    return Improving(function, lowered, {**(options or {}), PIECES: LARGEST})


def _largest(traced: Any) -> int:
    """Bytes of the largest array between the operations of a program."""
    avals = [v.aval for equation in everywhere(traced.jaxpr.jaxpr) for v in equation.outvars]
    return max(math.prod(a.shape) * a.dtype.itemsize for a in avals)


def _abstract(leaf: Any) -> Any:
    """What stands for an argument; a number stays, as it may be of any type."""
    if isinstance(leaf, jax.Array):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=leaf.weak_type)
    return leaf


class Improving:
    """A compiled function whose other form is in the making; called as either."""

    def __init__(self, first: Callable[..., Any], lowered: Any, options: dict[str, Any]):
        self.first, self.second = first, None
        self.thread = threading.Thread(target=self._compile, args=(lowered, options), name=THREAD)
        self.thread.start()

    def _compile(self, lowered: Any, options: dict[str, Any]) -> None:
        self.second = lowered.compile(compiler_options=options)

    def __call__(self, *arguments: Any) -> Any:
        if self.second is not None:
            try:
                return self.second(*arguments)
            except TypeError:  # a number of another type than when it was compiled
                pass
        return self.first(*arguments)

"""What is set up when jtoolbox is imported: the compilation cache, and memory reuse on Linux.

NOTE: environment variables. `JTOOLBOX_CACHE=0` keeps programs out of the persistent cache, and
`JTOOLBOX_CACHE=/path` puts them there; JAX's own setting has precedence. `JTOOLBOX_MALLOC=0` leaves
the C library's allocator as it is.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import jax

# glibc's mallopt parameters, and the largest value that they take. A single arena (M_ARENA_MAX),
# which helps where convolutions run through XLA's slow path, costs small steps more than it gives.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
INT_MAX = 2**31 - 1


def enable_cache() -> None:
    """Keeps compiled programs in the user's cache folder: a second start need not compile."""
    setting = os.environ.get("JTOOLBOX_CACHE", "1")
    config: Any = jax.config
    if setting == "0" or config.jax_compilation_cache_dir is not None:
        return
    if setting == "1":
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(base) / "jtoolbox" / "programs"
    else:
        folder = Path(setting)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def reuse_memory() -> None:
    """Lets glibc keep freed memory for the next program instead of returning it to the kernel.

    XLA's CPU backend allocates its temporary buffers anew at every run, and fresh pages cost more
    than the arithmetic of many layers (`python -m benchmarks.remedies` measures what this gives).
    The price is a larger resident size.
    """
    if os.environ.get("JTOOLBOX_MALLOC", "1") == "0" or not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, which has no mallopt
        return
    mallopt(M_MMAP_THRESHOLD, 2**30)
    mallopt(M_TRIM_THRESHOLD, INT_MAX)
    mallopt(M_TOP_PAD, 64 * 2**20)

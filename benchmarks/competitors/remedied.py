"""JAX by hand with remedies for its CPU backend, each named in the variable REMEDIES.

- memory: `arena` keeps freed memory in one arena of glibc; `no_mmap` takes big blocks from the heap
  (`threshold` is a milder form); `trim` never gives the heap's end back; `pad` grows it in 64 MiB.
- compiler: `no_fusion` takes all of XLA's library fusions away, `dot_fusion` all but products,
  `sum_fusion` all but products and sums; `pieces` has temporaries in pieces of 60 MiB.
- the network, in its workload's `remedied.py`: `nhwc` has channels last inside, `reshape_pool`
  pools by reshape and `max`.
"""

import ctypes
import os

from benchmarks.competitors import jax as by_hand

CHOSEN = set(filter(None, os.environ.get("REMEDIES", "").split(",")))
MEMORY = {  # the numbers are glibc's, from malloc.h
    "threshold": (-3, 1 << 30),
    "no_mmap": (-4, 0),
    "trim": (-1, (1 << 31) - 1),
    "pad": (-2, 64 << 20),
    "arena": (-8, 1),
}
FUSION = "xla_cpu_experimental_ynn_fusion_type"
COMPILER = {
    "no_fusion": {FUSION: ""},
    "dot_fusion": {FUSION: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"},
    "sum_fusion": {FUSION: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"},
    "pieces": {"xla_multiheap_size_constraint_per_heap": 60 * 2**20},
}


def set_memory() -> None:
    """Before XLA's backend starts: threads it starts later would have arenas of their own."""
    libc = ctypes.CDLL(None)
    for name in CHOSEN & set(MEMORY):
        if libc.mallopt(*MEMORY[name]) != 1:
            raise OSError(f"mallopt{MEMORY[name]} was refused")


set_memory()


class Remedied(by_hand.ByHand):
    library = "remedied"
    compiler_options = {
        name: value for choice in CHOSEN & set(COMPILER) for name, value in COMPILER[choice].items()
    }

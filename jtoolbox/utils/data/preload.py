"""Imported once by the server from which worker processes are forked, and by nobody else.

NOTE: workers and JAX. A user's dataset nearly always imports jtoolbox, and that imports jax: about
half a second which every worker would spend. The server spends it once, before any backend exists
(importing jax starts no threads, so forking stays safe), and a forked worker is ready in
milliseconds. Backends made later, inside a worker, are on the CPU.
"""

from jtoolbox.utils.data import worker

worker.cpu_only()

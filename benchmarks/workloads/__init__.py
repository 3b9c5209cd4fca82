"""What is trained, or called. A folder holds one workload:

- `__init__.py`: its data, starting weights (in PyTorch's names and shapes) and optimizer, in NumPy;
- `torch.py`, `jax.py`, `nnx.py`, `equinox.py`: the network as that library's users write it.
  jtoolbox has no file of its own: it builds the one written for PyTorch.

Imports of libraries stay in the library files, so that a worker loads only the one it measures.
"""

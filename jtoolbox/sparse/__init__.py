"""Sparse matrices under PyTorch's `torch.sparse` names."""

from jtoolbox.sparse.functions import (
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    addmm,
    log_softmax,
    mm,
    softmax,
    sum,
)
from jtoolbox.sparse.layouts import check_sparse_tensor_invariants
from jtoolbox.sparse.tensor import SparseTensor

__all__ = [
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "SparseTensor",
    "addmm",
    "check_sparse_tensor_invariants",
    "log_softmax",
    "mm",
    "softmax",
    "sum",
]

"""Puts the parts together: settings of JAX, and the methods of Tensor. Imported first."""

from __future__ import annotations

from jtoolbox import environment, random
from jtoolbox.nn.functional import activation
from jtoolbox.ops import methods
from jtoolbox.sparse import layouts
from jtoolbox.sparse import tensor as sparse
from jtoolbox.tensor import Tensor, tensor

environment.reuse_memory()
environment.enable_cache()
methods.install(
    Tensor,
    hardshrink=activation.hardshrink,
    log_softmax=activation.log_softmax,
    prelu=activation.prelu,
    relu=activation.relu,
    softmax=activation.softmax,
    sparse_mask=sparse.sparse_mask,
    to_sparse=sparse.to_sparse,
    to_sparse_coo=sparse.to_sparse,
    to_sparse_bsc=layouts.to_sparse_bsc,
    to_sparse_bsr=layouts.to_sparse_bsr,
    to_sparse_csc=layouts.to_sparse_csc,
    to_sparse_csr=sparse.to_sparse_csr,
)
random.Hooks.tensor = tensor

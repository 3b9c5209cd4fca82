"""Names of sparse layouts that are not here: each says what to use instead."""

from __future__ import annotations

from typing import Any

from jtoolbox.layouts import sparse_coo, sparse_csr
from jtoolbox.sparse.tensor import SparseTensor, sparse_csr_tensor

__all__ = [
    *("check_sparse_tensor_invariants", "sparse_bsc_tensor", "sparse_bsr_tensor"),
    *("sparse_compressed_tensor", "sparse_csc_tensor", "to_sparse_bsc", "to_sparse_bsr"),
    "to_sparse_csc",
]

_ABSENT = (
    "{name}: the layouts CSC, BSR and BSC are not supported. Sparse matrices are COO or CSR here: "
    "use torch.sparse_coo_tensor or torch.sparse_csr_tensor, to_sparse() or to_sparse_csr()"
)


def _absent(name: str) -> Any:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(_ABSENT.format(name=name))

    function.__name__ = name
    function.__doc__ = "Not there: raises NotImplementedError, which says what to use instead."
    return function


sparse_csc_tensor = _absent("sparse_csc_tensor")
sparse_bsr_tensor = _absent("sparse_bsr_tensor")
sparse_bsc_tensor = _absent("sparse_bsc_tensor")
to_sparse_csc = _absent("to_sparse_csc")
to_sparse_bsr = _absent("to_sparse_bsr")
to_sparse_bsc = _absent("to_sparse_bsc")


def sparse_compressed_tensor(
    compressed_indices: Any,
    plain_indices: Any,
    values: Any,
    size: Any = None,
    *,
    layout: Any = None,
    **settings: Any,
) -> SparseTensor:
    """`sparse_csr_tensor` for that layout; NotImplementedError for the others."""
    if layout is None or layout == sparse_coo:
        raise RuntimeError(
            f"sparse_compressed_tensor expected sparse compressed tensor layout but got {layout}: "
            "pass layout=torch.sparse_csr"
        )
    if layout != sparse_csr:
        raise NotImplementedError(_ABSENT.format(name=f"sparse_compressed_tensor({layout})"))
    return sparse_csr_tensor(compressed_indices, plain_indices, values, size, **settings)


class check_sparse_tensor_invariants:
    """Remembers whether sparse tensors are to be checked; they always are here.

    As `torch.sparse.check_sparse_tensor_invariants`: `enable()`, `disable()`, a `with`.
    """

    _enabled = False

    def __init__(self, enable: bool = True):
        self.wanted = enable
        self.before: list[bool] = []

    @classmethod
    def is_enabled(cls) -> bool:
        """What was chosen last."""
        return check_sparse_tensor_invariants._enabled

    @classmethod
    def enable(cls) -> None:
        """Remembers the choice."""
        check_sparse_tensor_invariants._enabled = True

    @classmethod
    def disable(cls) -> None:
        """Remembers the choice."""
        check_sparse_tensor_invariants._enabled = False

    def __enter__(self) -> None:
        self.before.append(self.is_enabled())
        check_sparse_tensor_invariants._enabled = self.wanted

    def __exit__(self, *exception: Any) -> None:
        check_sparse_tensor_invariants._enabled = self.before.pop()

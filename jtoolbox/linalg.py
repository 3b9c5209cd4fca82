"""Linear algebra under PyTorch's `torch.linalg` names."""

from jtoolbox.ops.creation import vander
from jtoolbox.ops.linalg import (
    cholesky_ex,
    cond,
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    inv_ex,
    lstsq,
    lu,
    lu_factor,
    matrix_exp,
    matrix_power,
    matrix_rank,
    pinv,
    solve,
    solve_triangular,
    svdvals,
    vecdot,
)
from jtoolbox.ops.linalg import linalg_cholesky as cholesky
from jtoolbox.ops.linalg import linalg_qr as qr
from jtoolbox.ops.linalg import linalg_slogdet as slogdet
from jtoolbox.ops.linalg import linalg_svd as svd
from jtoolbox.ops.matrices import linalg_diagonal as diagonal
from jtoolbox.ops.norms import linalg_norm as norm
from jtoolbox.ops.norms import matrix_norm, vector_norm
from jtoolbox.ops.products import linalg_cross as cross
from jtoolbox.ops.products import matmul, multi_dot

__all__ = [
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vander",
    "vecdot",
    "vector_norm",
]

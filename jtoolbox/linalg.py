"""Linear algebra under PyTorch's `torch.linalg` names."""

from jtoolbox.ops.creation import linalg_vander as vander
from jtoolbox.ops.factorizations import (
    ldl_factor,
    ldl_factor_ex,
    ldl_solve,
    lu_factor,
    lu_factor_ex,
)
from jtoolbox.ops.factorizations import linalg_lu as lu
from jtoolbox.ops.factorizations import linalg_lu_solve as lu_solve
from jtoolbox.ops.failures import LinAlgError
from jtoolbox.ops.householder import householder_product
from jtoolbox.ops.householder import linalg_qr as qr
from jtoolbox.ops.linalg import (
    det,
    inv,
    inv_ex,
    matrix_exp,
    matrix_power,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
    vecdot,
)
from jtoolbox.ops.linalg import linalg_slogdet as slogdet
from jtoolbox.ops.matrices import linalg_diagonal as diagonal
from jtoolbox.ops.norms import linalg_norm as norm
from jtoolbox.ops.norms import matrix_norm, vector_norm
from jtoolbox.ops.positive_definite import cholesky_ex
from jtoolbox.ops.positive_definite import linalg_cholesky as cholesky
from jtoolbox.ops.products import linalg_cross as cross
from jtoolbox.ops.products import matmul, multi_dot
from jtoolbox.ops.spectral import (
    cond,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    lstsq,
    matrix_rank,
    pinv,
    svdvals,
)
from jtoolbox.ops.spectral import linalg_svd as svd

__all__ = [
    "LinAlgError",
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
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
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
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

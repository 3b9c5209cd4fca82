"""Factorizations of low rank by random projection, and the largest eigenvalues."""

from __future__ import annotations

from typing import Any

from jtoolbox.ops.householder import linalg_qr
from jtoolbox.ops.matrices import at_least_matrix
from jtoolbox.ops.products import matmul
from jtoolbox.ops.rearrange import flip
from jtoolbox.ops.reduction import mean
from jtoolbox.ops.sampling import randn
from jtoolbox.ops.shape import matrix_transpose
from jtoolbox.ops.spectral import eigh, linalg_svd

__all__ = ["lobpcg", "pca_lowrank", "svd_lowrank"]


def _range(A: Any, q: int, niter: int) -> Any:
    """Orthonormal columns that nearly span the q largest directions of A."""
    basis = linalg_qr(matmul(A, randn(A.shape[-1], q, dtype=A.dtype)))[0]
    for _ in range(niter):
        basis = linalg_qr(matmul(matrix_transpose(A), basis))[0]
        basis = linalg_qr(matmul(A, basis))[0]
    return basis


def svd_lowrank(
    A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None
) -> tuple[Any, Any, Any]:
    """(U, S, V) with U @ diag(S) @ V^T near A - M, of rank q: the largest singular values.

    A random projection with `niter` power steps, so that two calls differ a little. A is real,
    (..., m, n). Halko, Martinsson, Tropp, "Finding structure with randomness"
    (https://arxiv.org/abs/0909.4061).
    """
    at_least_matrix("svd_lowrank", A)
    A = A if M is None else A - M
    q = 6 if q is None else q
    if not 0 <= q <= min(A.shape[-2:]):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)="
            f"{min(A.shape[-2:])}"
        )
    tall = A.shape[-2] >= A.shape[-1]
    A = A if tall else matrix_transpose(A)
    basis = _range(A, q, 2 if niter is None else niter)
    u, s, vh = linalg_svd(matmul(matrix_transpose(basis), A), full_matrices=False)
    u, v = matmul(basis, u), matrix_transpose(vh)
    return (u, s, v) if tall else (v, s, u)


def pca_lowrank(
    A: Any, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Any, Any, Any]:
    """The q (6) principal components of rows (..., m, n): `svd_lowrank` of the centred matrix.

    The columns of V are the directions, S^2 / (m - 1) the variances along them.
    """
    at_least_matrix("pca_lowrank", A)
    q = min(6, *A.shape[-2:]) if q is None else q
    if not 0 <= q <= min(A.shape[-2:]):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)="
            f"{min(A.shape[-2:])}"
        )
    return svd_lowrank(A - mean(A, -2, keepdim=True) if center else A, q, niter)


def lobpcg(
    A: Any,
    k: int | None = None,
    B: Any = None,
    X: Any = None,
    n: int | None = None,
    iK: Any = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: Any = None,
    ortho_fparams: Any = None,
    ortho_bparams: Any = None,
) -> tuple[Any, Any]:
    """(eigenvalues, eigenvectors): the k largest (smallest if not `largest`) of a symmetric matrix.

    Computed from all eigenvalues, exactly, and not by iteration: `X`, `iK`, `niter`, `tol`,
    `method` and `ortho_*` are accepted and change nothing. RuntimeError for `B` or `tracker`.
    """
    if B is not None or tracker is not None:
        raise RuntimeError(
            "lobpcg: generalized problems (B) and trackers are not supported. Multiply by the "
            "inverse Cholesky factor of B on both sides first."
        )
    count = (1 if X is None else X.shape[-1]) if k is None else k
    values, vectors = eigh(A)
    if largest is None or largest:
        return flip(values, -1)[..., :count], flip(vectors, -1)[..., :count]
    return values[..., :count], vectors[..., :count]

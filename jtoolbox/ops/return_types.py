"""Named results of operations that return several tensors, printed as PyTorch prints them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any


def _repr(self: Any) -> str:
    fields = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
    return f"torch.return_types.{type(self).__name__}(\n{fields})"


def _result(name: str, *fields: str) -> Any:
    base = namedtuple(name, fields)
    return type(name, (base,), {"__slots__": (), "__repr__": _repr, "__module__": __name__})


max = _result("max", "values", "indices")
min = _result("min", "values", "indices")
median = _result("median", "values", "indices")
nanmedian = _result("nanmedian", "values", "indices")
mode = _result("mode", "values", "indices")
cummax = _result("cummax", "values", "indices")
cummin = _result("cummin", "values", "indices")
sort = _result("sort", "values", "indices")
topk = _result("topk", "values", "indices")
kthvalue = _result("kthvalue", "values", "indices")
aminmax = _result("aminmax", "min", "max")
frexp = _result("frexp", "mantissa", "exponent")
histogram = _result("histogram", "hist", "bin_edges")

qr = _result("qr", "Q", "R")
svd = _result("svd", "U", "S", "V")
slogdet = _result("slogdet", "sign", "logabsdet")
triangular_solve = _result("triangular_solve", "solution", "cloned_coefficient")
linalg_qr = _result("linalg_qr", "Q", "R")
linalg_svd = _result("linalg_svd", "U", "S", "Vh")
linalg_eig = _result("linalg_eig", "eigenvalues", "eigenvectors")
linalg_eigh = _result("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_slogdet = _result("linalg_slogdet", "sign", "logabsdet")
linalg_lstsq = _result("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
linalg_lu = _result("linalg_lu", "P", "L", "U")
linalg_lu_factor = _result("linalg_lu_factor", "LU", "pivots")
linalg_cholesky_ex = _result("linalg_cholesky_ex", "L", "info")
linalg_inv_ex = _result("linalg_inv_ex", "inverse", "info")
linalg_solve_ex = _result("linalg_solve_ex", "result", "info")
linalg_lu_factor_ex = _result("linalg_lu_factor_ex", "LU", "pivots", "info")
linalg_ldl_factor = _result("linalg_ldl_factor", "LD", "pivots")
linalg_ldl_factor_ex = _result("linalg_ldl_factor_ex", "LD", "pivots", "info")
lu_unpack = _result("lu_unpack", "P", "L", "U")
geqrf = _result("geqrf", "a", "tau")
histogramdd = _result("histogramdd", "hist", "bin_edges")

"""Order, against PyTorch."""

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import ops
from tests.ops.cases import BFLOAT16, SPECIAL, bools, floats, integers
from tests.reference import compare, same_error

X = floats(4, 6)
TIES = integers(4, 6, low=0, high=3)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    "x",
    [X, TIES, SPECIAL, bools(6), X.astype(BFLOAT16), np.array(2.0)],
    ids=["floats", "ties", "special", "bools", "bfloat16", "number"],
)
def test_sort_is_stable_and_puts_nan_last(x, descending):
    compare(lambda x: ops.sort(x, descending=descending, stable=True),
            lambda x: torch.sort(x, descending=descending, stable=True), x,
            grad=x is X)  # fmt: skip
    compare(lambda x: ops.argsort(x, 0, descending),
            lambda x: torch.argsort(x, dim=0, descending=descending, stable=True), x,
            grad=False)  # fmt: skip


def test_sort_names_its_results():
    result = ops.sort(jt.tensor(X), dim=0)
    assert result._fields == ("values", "indices")
    assert result.indices.dtype is jt.int64
    compare(ops.msort, torch.msort, X)


@pytest.mark.parametrize("largest", [True, False])
def test_topk_agrees_with_pytorch(largest):
    for dim in (-1, 0):
        compare(lambda x, d=dim: ops.topk(x, 3, d, largest),
                lambda x, d=dim: torch.topk(x, 3, d, largest), X)  # fmt: skip
    compare(lambda x: ops.topk(x, 4, largest=largest).values,
            lambda x: torch.topk(x, 4, largest=largest).values, TIES)  # fmt: skip
    special = np.array([1, np.nan, -np.inf, 3, np.inf], np.float32)
    compare(lambda x: ops.topk(x, 5, largest=largest), lambda x: torch.topk(x, 5, largest=largest),
            special, grad=False)  # fmt: skip
    compare(lambda x: ops.topk(x, 1, largest=largest), lambda x: torch.topk(x, 1, largest=largest),
            np.array(2.0))  # fmt: skip


def test_kthvalue_agrees_with_pytorch():
    compare(lambda x: ops.kthvalue(x, 2), lambda x: torch.kthvalue(x, 2), X)
    compare(lambda x: ops.kthvalue(x, 3, 0, True), lambda x: torch.kthvalue(x, 3, 0, True), X)


BOTH = {"return_inverse": True, "return_counts": True}
UNIQUE_CASES = [
    TIES, bools(5), np.array([1.0, np.nan, 1.0, np.nan]), np.zeros((0,), np.int64), np.array(3),
    np.array([[1, 1], [1, 1], [0, 1]]),
]  # fmt: skip


@pytest.mark.parametrize("x", UNIQUE_CASES, ids=["ties", "bools", "nan", "empty", "number", "rows"])
def test_unique_agrees_with_pytorch(x):
    for function in ("unique", "unique_consecutive"):
        ours, theirs = getattr(ops, function), getattr(torch, function)
        compare(ours, theirs, x, grad=False)
        compare(lambda x, f=ours: f(x, **BOTH), lambda x, f=theirs: f(x, **BOTH), x, grad=False)
        if x.ndim == 2:
            for dim in (0, 1):
                compare(lambda x, f=ours, d=dim: f(x, dim=d, **BOTH),
                        lambda x, f=theirs, d=dim: f(x, dim=d, **BOTH), x, grad=False)  # fmt: skip


def test_places_in_sorted_rows_agree_with_pytorch():
    row = np.array([1.0, 3.0, 3.0, 5.0])
    values = np.array([[0.0, 3.0, 9.0], [1.0, 4.0, 5.0]])
    for kwargs in ({}, {"right": True}, {"side": "right"}, {"out_int32": True}):
        compare(lambda r, v, k=kwargs: ops.searchsorted(r, v, **k),
                lambda r, v, k=kwargs: torch.searchsorted(r, v, **k), row, values,
                grad=False)  # fmt: skip
    compare(ops.searchsorted, torch.searchsorted, np.sort(X, 1), X[:, :2].copy(), grad=False)
    compare(
        lambda r: ops.searchsorted(r, 3.0), lambda r: torch.searchsorted(r, 3.0), row, grad=False
    )
    compare(ops.bucketize, torch.bucketize, values, row, grad=False)
    compare(lambda r, v, s: ops.searchsorted(r, v, sorter=s),
            lambda r, v, s: torch.searchsorted(r, v, sorter=s), row[::-1].copy(), values,
            np.array([3, 2, 1, 0]), grad=False)  # fmt: skip


def sort_names(name, *args, **kwargs):
    return (lambda *x: getattr(ops, name)(*x, *args, **kwargs),
            lambda *x: getattr(torch, name)(*x, *args, **kwargs))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "match"),
    [
        ("topk", (9,), {}, "selected index k out of range"),
        ("kthvalue", (0,), {}, "selected number k out of range for dimension"),
        ("sort", (2,), {}, "Dimension out of range"),
        ("searchsorted", (torch.tensor(3.0).item(),), {"side": "up"}, "side can only be 'left' or"),
        ("searchsorted", (3.0,), {"side": "left", "right": True}, "can't be set to opposites"),
    ],
)
def test_sorting_errors_are_pytorchs(name, args, kwargs, match):
    x = X[0] if name == "searchsorted" else X
    same_error(*sort_names(name, *args, **kwargs), x, match=match)


def test_places_among_no_elements():
    none = np.zeros((2, 0), np.float32)
    for rows, values in ((X[:2], none), (none, X[:2]), (none, none)):
        compare(ops.searchsorted, torch.searchsorted, rows, values, grad=False)

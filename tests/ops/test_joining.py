"""Tensors joined and fitted to each other, against PyTorch."""

import numpy as np
import pytest
import torch

from jtoolbox import ops
from tests.ops.cases import floats, integers
from tests.reference import compare, same_error

A, B, C = floats(2, 3), floats(2, 3, seed=1), floats(4, 3, seed=2)


@pytest.mark.parametrize("name", ["cat", "concat", "concatenate"])
def test_cat_joins_along_a_dimension(name):
    compare(lambda t: getattr(ops, name)(t), lambda t: getattr(torch, name)(t), [A, C])
    compare(lambda t: getattr(ops, name)(t, -1), lambda t: getattr(torch, name)(t, -1), [A, B])


def test_cat_promotes_its_operands():
    for other in (integers(2, 3), A.astype(np.float64), A.astype(np.float16)):
        compare(ops.cat, torch.cat, [A, other], grad=False)
    compare(ops.cat, torch.cat, [integers(2), integers(3).astype(np.int32)])


def test_cat_passes_over_empty_vectors():
    empty = np.zeros(0, np.float32)
    compare(ops.cat, torch.cat, [empty, A], grad=False)
    compare(lambda t: ops.cat(t, 1), lambda t: torch.cat(t, 1), [A, empty, B], grad=False)
    compare(ops.cat, torch.cat, [empty, empty], grad=False)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_stack_makes_a_new_dimension(dim):
    compare(lambda t: ops.stack(t, dim), lambda t: torch.stack(t, dim), [A, B])


@pytest.mark.parametrize("name", ["hstack", "vstack", "row_stack", "dstack", "column_stack"])
def test_the_stacks_agree_with_pytorch(name):
    for tensors in ([A, B], [floats(3), floats(3, seed=1)], [floats(2, 3, 4), floats(2, 3, 4)]):
        compare(getattr(ops, name), getattr(torch, name), tensors)


def test_tensors_are_broadcast_to_each_other():
    compare(ops.broadcast_tensors, torch.broadcast_tensors, floats(3, 1), floats(4))
    assert ops.broadcast_shapes((2, 1), (3,)) == (2, 3)


def test_products_and_combinations_agree_with_pytorch():
    x, y = floats(3), floats(2, seed=1)
    compare(ops.cartesian_prod, torch.cartesian_prod, x, y)
    compare(ops.combinations, torch.combinations, x)
    compare(lambda x: ops.combinations(x, 3, True), lambda x: torch.combinations(x, 3, True), y)
    compare(lambda x: ops.combinations(x, 3), lambda x: torch.combinations(x, 3), y)


@pytest.mark.parametrize(
    ("name", "tensors", "match"),
    [
        ("cat", [], "expected a non-empty list of Tensors"),
        ("cat", [A, A.T.copy()], "Sizes of tensors must match except in dimension 0"),
        ("cat", [A, A[0]], "Tensors must have same number of dimensions: got 2 and 1"),
        ("cat", [A, np.array(1, np.float32)], r"zero-dimensional tensor \(at position 1\)"),
        ("stack", [], "stack expects a non-empty TensorList"),
        ("stack", [A, C], r"equal size, but got \[2, 3\] at entry 0 and \[4, 3\] at entry 1"),
        ("hstack", [], "hstack expects a non-empty TensorList"),
    ],
)
def test_joining_errors_are_pytorchs(name, tensors, match):
    same_error(getattr(ops, name), getattr(torch, name), tensors, match=match)


def test_cat_of_a_single_tensor_is_a_mistake():
    same_error(ops.cat, torch.cat, A, match="must be tuple of Tensors")


def test_shapes_that_do_not_broadcast_raise():
    same_error(ops.broadcast_tensors, torch.broadcast_tensors, A, floats(4), match="must match")

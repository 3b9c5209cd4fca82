"""Sparse matrices agree with PyTorch, gradients too, and work in modules and frozen steps."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox import nn, optim
from tests.ops.cases import floats

PLACES = np.array([[0, 1, 1, 2, 0], [1, 0, 2, 2, 1]])
VALUES = np.array([1.0, 2, 3, 4, 5], np.float32)
DENSE = floats(3, 2)
GRID = np.arange(12.0, dtype=np.float32).reshape(4, 3)
SIZE = (4, 3)

# t is the library, a a sparse (4, 3) matrix with a repeated place, v its values, d a dense (3, 2).
CASES = {
    "mm": lambda t, a, v, d: t.mm(a, d),
    "matmul operator": lambda t, a, v, d: a @ d,
    "spmm": lambda t, a, v, d: t.spmm(a, d),
    "sparse.mm": lambda t, a, v, d: t.sparse.mm(a, d),
    "matmul with a vector": lambda t, a, v, d: t.matmul(a, d[:, 0]),
    "transposed": lambda t, a, v, d: a.t() @ t.ones(4, 2) + d,
    "dense times sparse": lambda t, a, v, d: t.ones(2, 4) @ a,
    "sparse times sparse": lambda t, a, v, d: t.sparse.mm(
        a, t.sparse_coo_tensor(t.tensor(PLACES[::-1].copy()), v, (3, 4))
    ).to_dense(),
    "addmm": lambda t, a, v, d: t.sparse.addmm(t.ones(4, 2), a, d, alpha=2, beta=3),
    "to_dense": lambda t, a, v, d: a.to_dense(),
    "coalesced values": lambda t, a, v, d: a.coalesce().values(),
    "sum": lambda t, a, v, d: t.sparse.sum(a),
    "sum of a dimension": lambda t, a, v, d: t.sparse.sum(a, 0).to_dense(),
    "softmax": lambda t, a, v, d: t.sparse.softmax(a, 1).to_dense(),
    "log_softmax": lambda t, a, v, d: t.sparse.log_softmax(a, 0).to_dense(),
    "times a number": lambda t, a, v, d: (2 * a).to_dense(),
    "divided": lambda t, a, v, d: (a / 2).to_dense(),
    "plus sparse": lambda t, a, v, d: (a + a.neg() * 3).to_dense(),
    "dense plus sparse": lambda t, a, v, d: t.ones(4, 3) + a,
    "times sparse": lambda t, a, v, d: t.mul(a, a).to_dense(),
    "times dense": lambda t, a, v, d: (a * t.tensor(GRID)).to_dense(),
}


def _run(t, case):
    values = t.tensor(VALUES).requires_grad_()
    dense = t.tensor(DENSE).requires_grad_()
    out = case(t, t.sparse_coo_tensor(t.tensor(PLACES), values, SIZE), values, dense)
    (out * t.tensor(floats(*out.shape, seed=3))).sum().backward()
    grads = [np.zeros(1) if x.grad is None else x.grad.numpy() for x in (values, dense)]
    return [out.detach().numpy(), *grads]


@pytest.mark.parametrize("name", list(CASES))
def test_values_and_gradients(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = _run(torch, CASES[name])
    for ours, theirs in zip(_run(jtoolbox, CASES[name]), expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_from_dense_and_back():
    for x in (GRID, np.eye(3, dtype=np.float32), floats(2, 3, 4)):
        ours, theirs = jtoolbox.tensor(x).to_sparse(), torch.from_numpy(x).to_sparse()
        np.testing.assert_array_equal(ours.indices().numpy(), theirs.indices().numpy())
        np.testing.assert_array_equal(ours.values().numpy(), theirs.values().numpy())
        np.testing.assert_array_equal(ours.to_dense().numpy(), x)


def test_rows_in_the_csr_layout():
    x = jtoolbox.sparse_csr_tensor([0, 1, 3, 3], [1, 0, 2], [1.0, 2.0, 3.0], (3, 3))
    expected = np.array([[0, 1, 0], [2, 0, 3], [0, 0, 0]], np.float32)
    np.testing.assert_array_equal(x.to_dense().numpy(), expected)
    assert x.crow_indices().tolist() == [0, 1, 3, 3]
    assert x.col_indices().tolist() == [1, 0, 2]
    assert x.layout is jtoolbox.sparse_csr
    np.testing.assert_allclose((x @ jtoolbox.tensor(DENSE)).numpy(), expected @ DENSE, rtol=1e-6)


def test_what_it_tells_about_itself():
    x = jtoolbox.sparse.FloatTensor(jtoolbox.tensor(PLACES), jtoolbox.tensor(VALUES))
    assert x.shape == (3, 3)
    assert (x.is_sparse, x.layout, x.dtype) == (True, jtoolbox.sparse_coo, jtoolbox.float32)
    assert (x.size(0), x.dim(), x.sparse_dim(), x.dense_dim(), x._nnz()) == (3, 2, 2, 0, 5)
    assert not x.is_coalesced()
    assert x.coalesce().is_coalesced()
    assert x.coalesce()._nnz() == 4
    assert "nnz=5, layout=torch.sparse_coo" in repr(x)
    assert jtoolbox.sparse_coo_tensor((2, 3)).to_dense().tolist() == [[0.0] * 3] * 2


class Convolution(nn.Module):
    """One layer of a graph network."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(jtoolbox.ones(2, 2))

    def forward(self, x, adjacency):
        return jtoolbox.spmm(adjacency, jtoolbox.mm(x, self.weight))


def test_in_a_module_in_a_frozen_step_and_without_gradients():
    adjacency = jtoolbox.sparse_coo_tensor(PLACES, VALUES, SIZE)
    x = jtoolbox.tensor(DENSE)

    def losses(freeze):
        model = Convolution()
        optimizer = optim.SGD(model.parameters(), lr=0.01)

        def step(x, adjacency):
            optimizer.zero_grad()
            loss = model(x, adjacency).pow(2).mean()
            loss.backward()
            optimizer.step()
            return loss

        step = jtoolbox.jit(step) if freeze else step
        found = [float(step(x, adjacency)) for _ in range(3)]
        with jtoolbox.no_grad():
            assert model(x, adjacency).shape == (4, 2)
        return found

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-6)
    assert losses(True)[2] < losses(True)[0]


def test_arrays_of_jax_under_its_own_transformations():
    def loss(values, dense):
        x = jtoolbox.sparse_coo_tensor(jnp.asarray(PLACES), values, SIZE)
        return (x @ dense).sum()

    values, dense = jnp.asarray(VALUES), jnp.asarray(DENSE)
    grad = jax.jit(jax.grad(loss))(values, dense)
    np.testing.assert_allclose(grad, DENSE.sum(1)[PLACES[1]], rtol=1e-5)


def test_a_leaf_gets_a_sparse_gradient():
    x = jtoolbox.sparse_coo_tensor(PLACES, VALUES, SIZE, requires_grad=True)
    (x @ jtoolbox.tensor(DENSE)).sum().backward()
    assert x.grad.is_sparse
    np.testing.assert_allclose(x.grad._values().numpy(), DENSE.sum(1)[PLACES[1]], rtol=1e-5)


ERRORS = [
    (
        lambda t: t.sparse_coo_tensor(PLACES, VALUES, (2, 3)),
        "size is 2 but found index 2",
    ),
    (lambda t: t.sparse_coo_tensor(PLACES - 1, VALUES, SIZE), "found negative index -1"),
    (lambda t: t.sparse_coo_tensor(PLACES, VALUES, (4, 3, 2)), "number of dimensions must be"),
    (lambda t: t.sparse_coo_tensor(PLACES, VALUES[:2], SIZE), "must have same nnz"),
    (lambda t: t.sparse_coo_tensor(PLACES, VALUES, SIZE).values(), "on an uncoalesced tensor"),
    (
        lambda t: t.sparse_coo_tensor(PLACES, VALUES, SIZE) @ t.ones(4, 2),
        "cannot be multi",
    ),
    (lambda t: t.ones(2).indices(), "expected sparse coordinate tensor layout"),
    (lambda t: t.ones(2).values(), "expected sparse tensor layout"),
]


@pytest.mark.parametrize(("case", "message"), ERRORS)
def test_errors(case, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError), torch.sparse.check_sparse_tensor_invariants(enable=True):
            case(torch)
    with pytest.raises(RuntimeError, match=message):
        case(jtoolbox)


def test_operations_for_dense_tensors_say_that_they_are():
    x = jtoolbox.sparse_coo_tensor(PLACES, VALUES, SIZE)
    with pytest.raises(TypeError, match="got SparseTensor"):
        jtoolbox.relu(x)
    with pytest.raises(AttributeError, match="to_dense"):
        x.cumsum(0)

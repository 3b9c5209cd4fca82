"""Packed and padded sequences against PyTorch's."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import jax
import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.both import both
from tests.reference import assert_same, compare

X = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
SEQUENCES = [np.arange(n, dtype=np.float32) for n in (3, 1, 2)]


def same(action: Any) -> None:
    """The same tensors, the same lists."""
    found, expected = action(jt), action(torch)
    assert type(found).__name__ == type(expected).__name__
    assert_same(found, expected)


def rnn(lib: Any) -> Any:
    return lib.nn.utils.rnn


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[4, 2, 1], [3, 3, 3], [1, 1, 1]])
def test_packing_and_padding_are_pytorchs(lengths, batch_first) -> None:
    def packed(lib: Any) -> Any:
        x = lib.tensor(X.swapaxes(0, 1) if batch_first else X)
        return rnn(lib).pack_padded_sequence(x, lengths, batch_first)

    same(packed)
    same(lambda lib: rnn(lib).pad_packed_sequence(packed(lib), batch_first, -1.0))


@pytest.mark.parametrize("batch_first", [False, True])
def test_sequences_in_any_order_come_back_in_it(batch_first) -> None:
    def packed(lib: Any) -> Any:
        lengths = lib.tensor([2, 4, 2])
        x = lib.tensor(X.swapaxes(0, 1) if batch_first else X)
        return rnn(lib).pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)

    same(packed)
    same(lambda lib: rnn(lib).pad_packed_sequence(packed(lib), batch_first, total_length=6))


def test_gradients_flow_through_packing_and_padding() -> None:
    def there_and_back(lib: Any, x: Any) -> Any:
        packed = rnn(lib).pack_padded_sequence(x, [2, 4, 1], enforce_sorted=False)
        return rnn(lib).pad_packed_sequence(packed, padding_value=7.0)[0]

    compare(lambda x: there_and_back(jt, x), lambda x: there_and_back(torch, x), X)


def test_integers_are_packed_and_padded_as_in_pytorch() -> None:
    labels = X[..., 0].astype(np.int64)

    def padded(lib: Any) -> Any:
        packed = rnn(lib).pack_padded_sequence(lib.tensor(labels), [4, 2, 1])
        return packed.data, rnn(lib).pad_packed_sequence(packed, padding_value=1.5)

    same(padded)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_pad_sequence_is_pytorchs(batch_first, side) -> None:
    same(
        lambda lib: rnn(lib).pad_sequence(
            map(lib.tensor, SEQUENCES), batch_first, -1.0, padding_side=side
        )
    )
    compare(
        lambda s: rnn(jt).pad_sequence(s, batch_first, 2.0, side),
        lambda s: rnn(torch).pad_sequence(s, batch_first, 2.0, side),
        SEQUENCES,
    )


def test_pad_sequence_takes_the_type_of_the_first_and_one_tensor_for_all() -> None:
    first, second = np.ones(2, np.int64), np.full(3, 1.5, np.float32)
    same(lambda lib: rnn(lib).pad_sequence([lib.tensor(first), lib.tensor(second)]))
    same(lambda lib: rnn(lib).pad_sequence([lib.tensor(second), lib.tensor(first)], True))
    same(lambda lib: rnn(lib).pad_sequence(lib.tensor(X)))


def test_lists_of_sequences_are_packed_and_come_back() -> None:
    def packed(lib: Any) -> Any:
        return rnn(lib).pack_sequence([lib.tensor(s) for s in SEQUENCES], enforce_sorted=False)

    same(packed)
    same(lambda lib: rnn(lib).unpack_sequence(packed(lib)))
    for batch_first in (False, True):
        same(
            lambda lib, b=batch_first: rnn(lib).unpad_sequence(
                rnn(lib).pad_sequence([lib.tensor(s) for s in SEQUENCES], b),
                lib.tensor([3, 1, 2]),
                b,
            )
        )


def test_what_is_unpadded_is_a_copy() -> None:
    padded = rnn(jt).pad_sequence([jt.tensor(s) for s in SEQUENCES])
    rnn(jt).unpad_sequence(padded, jt.tensor([3, 1, 2]))[0].zero_()
    assert padded[:, 0].tolist() == [0, 1, 2]


def test_a_permutation_is_inverted() -> None:
    same(lambda lib: rnn(lib).invert_permutation(lib.tensor([2, 0, 1])))
    assert rnn(jt).invert_permutation(None) is None
    assert np.asarray(jax.jit(rnn(jt).invert_permutation)(np.array([2, 0, 1]))).tolist() == [
        1,
        2,
        0,
    ]
    with pytest.raises(RuntimeError, match="expected a permutation of 3 numbers"):
        rnn(jt).invert_permutation(jt.tensor([2, 0, 5]))


# --- PackedSequence ------------------------------------------------------------------------------


def packed(lib: Any) -> Any:
    return rnn(lib).pack_padded_sequence(lib.tensor(X), [2, 4, 1], enforce_sorted=False)


def test_a_packed_sequence_is_a_named_tuple_as_in_pytorch() -> None:
    assert repr(packed(jt)) == repr(packed(torch))
    assert packed(jt)._fields == packed(torch)._fields
    data, *rest = packed(jt)
    assert rnn(jt).PackedSequence(data, *rest).data is data


@both
def test_a_packed_sequence_is_made_of_its_parts(lib) -> None:
    made = rnn(lib).PackedSequence(
        (lib.ones(4), lib.tensor([2, 2])), sorted_indices=lib.tensor([1, 0])
    )
    assert made.batch_sizes.tolist() == [2, 2]
    assert made.unsorted_indices.tolist() == [1, 0]
    with pytest.raises(AssertionError, match="Expected data to be a list or tuple of length 2"):
        rnn(lib).PackedSequence(lib.ones(4))


@both
def test_a_packed_sequence_is_converted(lib) -> None:
    p = packed(lib)
    assert p.to(lib.float32) is p.cpu() is p.float() is p
    kinds = ("double", "half", "long", "int", "short", "char", "byte")
    found = [getattr(p, k)().data.dtype for k in kinds]
    names = ("float64", "float16", "int64", "int32", "int16", "int8", "uint8")
    assert found == [getattr(lib, n) for n in names]
    assert p.long().sorted_indices.tolist() == [1, 0, 2]
    assert (p.is_cuda, p.is_pinned()) == (False, False)


def test_a_packed_sequence_is_copied_and_pickled() -> None:
    for twin in (copy.deepcopy(packed(jt)), pickle.loads(pickle.dumps(packed(jt)))):
        assert_same(twin, packed(torch))


def test_to_jax_it_is_a_pytree_with_static_sizes() -> None:
    leaves, structure = jax.tree.flatten(packed(jt), is_leaf=lambda v: isinstance(v, jt.Tensor))
    assert [tuple(v.shape) for v in leaves] == [(7, 2), (3,), (3,)]
    assert_same(jax.tree.unflatten(structure, leaves), packed(torch))
    data = jax.jit(lambda p: rnn(jt).pad_packed_sequence(p)[0])(
        rnn(jt).pack_padded_sequence(X, [2, 4, 1], enforce_sorted=False)
    )
    assert_same(data, rnn(torch).pad_packed_sequence(packed(torch))[0])


def test_data_on_the_host_is_packed_without_a_program() -> None:
    compiled: list[str] = []

    def listen(name: str, seconds: float, **_: Any) -> None:
        compiled.append(name)

    tensors = [jt.tensor(np.ones((n, 5), np.float32)) for n in (6, 2, 9)]
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        rnn(jt).pad_packed_sequence(rnn(jt).pack_sequence(tensors, enforce_sorted=False))
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not [name for name in compiled if "compile" in name]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (lambda r, x: r.pack_padded_sequence(x, [1, 4, 2]), "must be sorted in decreasing order"),
        (lambda r, x: r.pack_padded_sequence(x, [4, 2, 0]), "has to be greater than 0"),
        (lambda r, x: r.pack_padded_sequence(x, [4, 2]), r"got 2 \(batch_size=3\)"),
        (lambda r, x: r.pack_padded_sequence(x[0, 0], [1, 1]), "Dimension|takes \\(T, N"),
        (lambda r, x: r.pack_padded_sequence(x[:, :0], []), "Cannot pack empty tensors"),
        (lambda r, x: r.pack_padded_sequence(x, x[0].long()), "should be a 1D CPU int64 tensor"),
        (lambda r, x: r.pack_sequence([x[:1], x]), "must be sorted in decreasing order"),
        (lambda r, x: r.pad_sequence([]), "empty list of sequences"),
        (lambda r, x: r.pad_sequence(3), "Expected iterable for input sequences"),
        (lambda r, x: r.pad_sequence([1]), "expected Tensor as element 0 in argument 0"),
        (lambda r, x: r.pad_sequence([x], padding_side="up"), "one of left or right, but got up"),
        (lambda r, x: r.pad_sequence([x, x[:, 0]]), "size of tensor|all dimensions but the first"),
        (lambda r, x: r.unpad_sequence(x, x[0, :2, 0].long()), "shorter than|expected 3 lengths"),
        (
            lambda r, x: r.pad_packed_sequence(r.pack_padded_sequence(x, [4, 2, 1]), True, 0.0, 3),
            "total_length=3 and max sequence length being 4",
        ),
    ],
)
def test_errors_are_pytorchs(action, match) -> None:
    with pytest.raises(Exception, match=match) as expected:
        action(rnn(torch), torch.tensor(X))
    with pytest.raises(expected.type, match=match):
        action(rnn(jt), jt.tensor(X))


def test_lengths_beyond_the_padded_steps_raise() -> None:
    with pytest.raises(RuntimeError, match="longest of the lengths is 5, but the input of shape"):
        rnn(jt).pack_padded_sequence(jt.tensor(X), [5, 2, 1])

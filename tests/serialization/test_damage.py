"""Files with changed bytes and files that end early: the documented errors, bounded memory."""

from __future__ import annotations

import io
import pickle
import random
import resource
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from jtoolbox.serialization import load, save
from jtoolbox.tensor import from_host

DOCUMENTED = (RuntimeError, pickle.UnpicklingError)


def by_torch(zipped: bool, checksums: bool = True) -> bytes:
    state = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).state_dict()
    obj = {"model": state, "epoch": 3, "loss": 0.5, "set": {1, 2}, "tied": [state["0.weight"]] * 2}
    out = io.BytesIO()
    torch.serialization.set_crc32_options(checksums)
    try:
        torch.save(obj, out, _use_new_zipfile_serialization=zipped)
    finally:
        torch.serialization.set_crc32_options(True)
    return out.getvalue()


def by_us(kind: str) -> bytes:
    w = from_host(np.arange(12, dtype=np.float32).reshape(3, 4))
    obj = OrderedDict(w=w, b=from_host(np.ones(3, np.int64)))
    out = io.BytesIO()
    save(obj, out, format=kind)
    return out.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "torch's zip": lambda: by_torch(True),
    "torch's zip without checksums": lambda: by_torch(True, checksums=False),
    "torch's legacy": lambda: by_torch(False),
    "our zip": lambda: by_us("pt"),
    "our safetensors": lambda: by_us("safetensors"),
}
kinds = pytest.mark.parametrize("kind", FILES)


@kinds
def test_a_file_that_ends_early_is_an_error_at_every_cut(kind: str) -> None:
    data = FILES[kind]()
    cuts = sorted({*range(0, len(data), max(len(data) // 60, 1)), 1, 2, 8, 14, len(data) - 1})
    assert len(cuts) >= 50
    for cut in cuts:
        with pytest.raises(DOCUMENTED):
            load(io.BytesIO(data[:cut]))


def changed(data: bytes, chance: random.Random) -> bytes:
    """The data with a few bytes changed, put in, taken out or repeated."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(out))
        what = chance.randrange(5)
        if what <= 1:
            out[at] = chance.randrange(256)
        elif what == 2:
            out[at] ^= 1 << chance.randrange(8)
        elif what == 3:
            del out[at : at + chance.randrange(1, 9)]
        else:
            out[at:at] = out[at : at + chance.randrange(1, 40)]
    return bytes(out)


@kinds
def test_a_changed_file_loads_or_raises_a_documented_error(kind: str) -> None:
    data, chance = FILES[kind](), random.Random(kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for _ in range(300):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                load(io.BytesIO(changed(data, chance)))
        except DOCUMENTED:
            refused += 1
    assert refused > 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@kinds
def test_a_changed_pickle_loads_or_raises_a_documented_error(kind: str) -> None:
    """Changes where they reach the opcode machine: checksums would hide them."""
    if "checksums" not in kind and "legacy" not in kind:
        return
    data, chance = FILES[kind](), random.Random(kind)
    start = data.index(b"}q\x00")
    for _ in range(600):
        out = bytearray(data)
        for _ in range(chance.choice((1, 2, 4))):
            out[start + chance.randrange(900)] = chance.choice(
                (chance.randrange(256), *b"RbQcqhse(tu.\x85\x86\x87]})NKXG")
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                load(io.BytesIO(out))
        except DOCUMENTED:
            pass


@kinds
def test_the_unchanged_file_loads(kind: str) -> None:
    result: Any = load(io.BytesIO(FILES[kind]()))
    assert isinstance(result, dict)

"""Futures give what PyTorch's give, and fail as they do."""

from __future__ import annotations

import pytest
import torch

from jtoolbox import futures

LIBRARIES = pytest.mark.parametrize("library", [futures, torch.futures], ids=["jtoolbox", "torch"])


@LIBRARIES
def test_a_result_is_set_once_and_passed_on(library):
    first, second, seen = library.Future(), library.Future(), []
    following = first.then(lambda f: f.value() + 1)
    first.add_done_callback(lambda f: seen.append(f.value()))
    both = library.collect_all([first, second])
    assert not following.done()
    first.set_result(1)
    second.set_result(5)
    assert (following.wait(), seen, second.done()) == (2, [1], True)
    assert [f.value() for f in both.wait()] == library.wait_all([first, second]) == [1, 5]
    with pytest.raises(RuntimeError, match="completed Future as complete again"):
        first.set_result(2)


@LIBRARIES
def test_an_error_is_raised_by_who_waits(library):
    good, bad = library.Future(), library.Future()
    with pytest.raises(RuntimeError):
        good.value()
    with pytest.raises(AssertionError, match="not an Exception"):
        bad.set_exception(3)
    following = bad.then(lambda f: f.value())
    good.set_result(1)
    bad.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        bad.wait()
    with pytest.raises((ValueError, RuntimeError), match="no"):
        following.wait()
    with pytest.raises(ValueError, match="no"):
        library.wait_all([good, bad])

"""Choices of attention kernels: accepted, checked, without effect."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch.nn import attention as theirs

import jtoolbox as jt
from jtoolbox.nn import attention as ours
from jtoolbox.nn.attention import SDPBackend, sdpa_kernel


def test_backends_have_pytorchs_names_and_numbers():
    members = theirs.SDPBackend.__members__
    assert {k: int(v) for k, v in SDPBackend.__members__.items()} == {
        k: int(v) for k, v in members.items()
    }
    assert repr(SDPBackend.MATH) == repr(theirs.SDPBackend.MATH)
    assert str(SDPBackend.MATH) == str(theirs.SDPBackend.MATH)


def test_the_module_has_pytorchs_names():
    assert set(theirs.__all__) == set(ours.__all__)


@pytest.mark.parametrize(
    "backends", [SDPBackend.MATH, [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION]]
)
def test_a_choice_changes_nothing(backends):
    q = jt.ones(2, 3, 4)
    expected = jt.nn.functional.scaled_dot_product_attention(q, q, q)
    with sdpa_kernel(backends, set_priority=True):
        found = jt.nn.functional.scaled_dot_product_attention(q, q, q)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_it_is_a_decorator_too():
    @sdpa_kernel(SDPBackend.MATH)
    def f(x):
        return x + 1

    assert f(1) == 2


@pytest.mark.parametrize("wrong", [3, "MATH", (SDPBackend.MATH,)])
def test_what_is_no_backend_is_refused(wrong):
    for lib in (ours, theirs):
        given = (lib.SDPBackend.MATH,) if isinstance(wrong, tuple) else wrong
        with (
            pytest.raises(AssertionError, match="instance of SDPBackend or a list of SDPBackend"),
            lib.sdpa_kernel(given),
        ):
            pass


def test_lists_are_checked():
    with pytest.raises(AssertionError, match="got a list with str"), sdpa_kernel(["math"]):
        pass
    with pytest.raises(RuntimeError, match="No available kernel"), sdpa_kernel([]):
        pass
    q = torch.ones(2, 3, 4)
    with pytest.raises(RuntimeError), theirs.sdpa_kernel([]):
        torch.nn.functional.scaled_dot_product_attention(q, q, q)


def test_kernels_cannot_be_plugged_in():
    assert ours.list_flash_attention_impls() == []
    assert ours.current_flash_attention_impl() is None
    ours.restore_flash_attention_impl()
    with pytest.raises(ValueError, match="Unknown flash attention impl 'FA3'"):
        ours.activate_flash_attention_impl("FA3")
    with pytest.raises(NotImplementedError, match="impl 'mine' is not registered"):
        ours.register_flash_attention_impl("mine", register_fn=lambda: None)


def test_the_old_choice_of_kernels_lasts_for_its_context_and_warns():
    for t in (jt, torch):
        kernels = t.backends.cuda
        with ExitStack() as stack:
            with pytest.warns(FutureWarning, match="deprecated"):
                stack.enter_context(kernels.sdp_kernel(enable_math=False))
            assert (kernels.math_sdp_enabled(), kernels.flash_sdp_enabled()) == (False, True)
        assert kernels.math_sdp_enabled()

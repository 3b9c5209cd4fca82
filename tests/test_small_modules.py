"""Small modules under PyTorch's names: types, dlpack, sizes, layouts, switches of backends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.utils.dlpack

import jtoolbox as jt
from tests.nn.both import both, same


@both
def test_names_for_annotations(lib):
    types = lib.types
    assert isinstance(3, types.Number)
    assert isinstance(2.5, types.Number)
    assert not isinstance("a", types.Number)
    assert lib.device in types.Device.__args__
    assert types._dtype is lib.dtype


@both
def test_dlpack_goes_out_and_in(lib):
    dlpack = lib.utils.dlpack
    assert dlpack.from_dlpack(np.arange(3.0)).tolist() == [0, 1, 2]
    assert dlpack.DLDeviceType.kDLCPU == lib.ones(1).__dlpack_device__()[0]
    assert np.from_dlpack(lib.ones(2)).tolist() == [1, 1]


def test_arithmetic_on_sizes():
    names = ("sym_max", "sym_min")
    same(lambda lib: [getattr(lib, name)(1, 2.0) for name in names])
    same(lambda lib: (lib.sym_int(-2.7), lib.sym_float(2), lib.sym_not(True), lib.sym_sqrt(4)))
    same(lambda lib: (lib.sym_ite(True, 1, 2), lib.sym_sum([1, 2])))


@pytest.mark.parametrize("name", ["csc", "bsr", "bsc"])
def test_absent_sparse_layouts_name_the_ones_that_are_here(name):
    with pytest.raises(NotImplementedError, match=f"sparse_{name}_tensor.*COO or CSR"):
        getattr(jt, f"sparse_{name}_tensor")([0, 1], [0], [1.0])
    with pytest.raises(NotImplementedError, match=r"to_sparse\(\) or to_sparse_csr\(\)"):
        getattr(jt.ones(2, 2), f"to_sparse_{name}")()


def test_compressed_tensors_of_rows():
    parts = ([0, 1, 2], [1, 0], [3.0, 4.0], (2, 2))
    x = jt.sparse_compressed_tensor(*parts, layout=jt.sparse_csr)
    expected = torch.sparse_compressed_tensor(*parts, layout=torch.sparse_csr)
    assert x.to_dense().tolist() == expected.to_dense().tolist()
    with pytest.raises(NotImplementedError, match="COO or CSR"):
        jt.sparse_compressed_tensor(*parts, layout=jt.sparse_csc)
    with pytest.raises(RuntimeError, match=r"layout=torch\.sparse_csr"):
        jt.sparse_compressed_tensor(*parts)


@both
def test_switches_are_remembered(lib):
    check = lib.sparse.check_sparse_tensor_invariants
    with check():
        assert check.is_enabled()
    assert not check.is_enabled()
    cuda = lib.backends.cuda
    cuda.allow_fp16_bf16_reduction_math_sdp(True)
    assert cuda.fp16_bf16_reduction_math_sdp_allowed()
    cuda.allow_fp16_bf16_reduction_math_sdp(False)
    with pytest.warns(FutureWarning, match="sdpa_kernel"), cuda.sdp_kernel(enable_math=False):
        assert not cuda.math_sdp_enabled()
    assert cuda.math_sdp_enabled()
    with pytest.raises(RuntimeError, match=r"[Cc]hoose from"):
        cuda.preferred_linalg_library("foo")


def test_modules_and_activities_of_devices():
    assert jt.get_device_module("cpu") is jt.cpu
    assert jt.get_device_module("cuda") is jt.cuda
    with pytest.raises(RuntimeError, match="Invalid device type 'meta'"):
        jt.get_device_module("meta")
    assert jt.profiler.ProfilerActivity.CPU in jt.profiler.supported_activities()
    assert not jt.profiler.kineto_available()
    assert jt.backends.cuda.preferred_blas_library("cublas") == "cublas"
    assert jt.backends.cuda.preferred_blas_library("default") == "default"


@both
def test_helpers_of_checkpoint(lib):
    helpers = lib.utils.checkpoint
    x = lib.ones(2, requires_grad=True)
    (y, three) = helpers.detach_variable((x * 2, 3))
    assert y.is_leaf
    assert y.requires_grad
    assert three == 3
    with pytest.raises(RuntimeError, match="Only tuple of tensors"):
        helpers.detach_variable([x])
    with helpers.set_checkpoint_early_stop(False), helpers.set_checkpoint_debug_enabled(False):
        out = helpers.checkpoint(
            lambda v: v * v, x, use_reentrant=False, context_fn=helpers.noop_context_fn
        )
    out.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_selective_checkpoints_are_refused():
    with pytest.raises(NotImplementedError, match="XLA's choice"):
        jt.utils.checkpoint.create_selective_checkpoint_contexts([])
    assert jt.utils.checkpoint.CheckpointPolicy.MUST_SAVE.value == 0
    assert issubclass(jt.utils.checkpoint.CheckpointError, RuntimeError)

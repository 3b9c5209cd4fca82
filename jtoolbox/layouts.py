"""Names of memory formats and layouts, as PyTorch's programs pass them around."""

from __future__ import annotations

from typing import Any


class memory_format(str):
    """A name of a memory layout. Layouts are XLA's business: the names are accepted everywhere."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.{str.__str__(self)}"

    __str__ = __repr__


class layout(str):
    """How elements are kept: `strided` (dense), `sparse_coo` or `sparse_csr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.{str.__str__(self)}"

    __str__ = __repr__


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
strided = layout("strided")
jagged = layout("jagged")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
sparse_csc = layout("sparse_csc")
sparse_bsr = layout("sparse_bsr")
sparse_bsc = layout("sparse_bsc")


def check_layout(layout: Any) -> None:
    """RuntimeError for the sparse layouts: new tensors are dense."""
    if layout is not None and str(layout) != "torch.strided":
        raise RuntimeError(
            f"layout={layout} is not supported by functions that make dense tensors: make a dense "
            "one and call to_sparse() or to_sparse_csr(), or use torch.sparse_coo_tensor"
        )


def check_format(input: Any, memory_format: Any) -> None:
    """The channels-last formats mean nothing here, but fit only tensors of 4 or 5 dimensions."""
    rank = {"torch.channels_last": 4, "torch.channels_last_3d": 5}.get(str(memory_format))
    if rank is not None and input.ndim != rank:
        raise RuntimeError(
            f"required rank {rank} tensor to use {str(memory_format).removeprefix('torch.')} "
            f"format, got shape {list(input.shape)}"
        )

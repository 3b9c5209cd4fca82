"""`torch.types`: names for annotations."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import IO, Any, TypeAlias, Union

from jtoolbox import devices, dtypes, layouts
from jtoolbox.ops.storage import TypedStorage, UntypedStorage
from jtoolbox.tensor import Size, Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number: TypeAlias = Union[int, float, bool]  # noqa: UP007  # isinstance takes it, as in PyTorch
Device: TypeAlias = Union[devices.device, str, int, None]  # noqa: UP007
FileLike: TypeAlias = Union[str, os.PathLike[str], IO[bytes]]  # noqa: UP007
Storage: TypeAlias = Union[UntypedStorage, TypedStorage]  # noqa: UP007

_int, _float, _bool = builtins.int, builtins.float, builtins.bool
_complex, _str, _bytes = builtins.complex, builtins.str, builtins.bytes
_dtype, _device, _layout = dtypes.dtype, devices.device, layouts.layout
_size: TypeAlias = Union[Size, list[int], tuple[int, ...]]  # noqa: UP007
_TensorOrTensors: TypeAlias = Union[Tensor, Sequence[Tensor]]  # noqa: UP007
_TensorOrOptionalTensors: TypeAlias = Union[Tensor, Sequence[Any]]  # noqa: UP007

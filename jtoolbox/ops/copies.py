"""The copying forms of views: `view_copy` is `view` as a tensor of its own, and so on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jtoolbox.engine import numpy_names
from jtoolbox.ops import reinterpret, shape, splitting
from jtoolbox.ops.conversion import clone

__all__ = [
    *("alias_copy", "detach", "detach_copy", "diagonal_copy", "expand_copy", "permute_copy"),
    *("select_copy", "slice_copy", "split_copy", "split_with_sizes_copy", "squeeze_copy"),
    *("t_copy", "transpose_copy", "unbind_copy", "unfold_copy", "unsqueeze_copy"),
    *("view_as_complex_copy", "view_as_real_copy", "view_copy"),
]


def _copying(view: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`view` with each of its results copied."""

    def copied(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        return tuple(clone(r) for r in result) if isinstance(result, tuple) else clone(result)

    functools.update_wrapper(copied, view)
    copied.__name__ = copied.__qualname__ = f"{name}_copy"
    copied.__doc__ = f"`{name}` as a tensor of its own, which does not follow its source."
    return numpy_names(copied)


def detach(input: Any) -> Any:
    """The same values without their history. A view: writing it writes `input`."""
    return input.detach()


def _alias(input: Any) -> Any:
    return input


def _slice(input: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    dims = dim % max(input.ndim, 1)
    return input[(slice(None),) * dims + (slice(start, end, step),)]


alias_copy = _copying(_alias, "alias")
detach_copy = _copying(detach, "detach")
diagonal_copy = _copying(shape.diagonal, "diagonal")
expand_copy = _copying(shape.expand, "expand")
permute_copy = _copying(shape.permute, "permute")
select_copy = _copying(splitting.select, "select")
slice_copy = _copying(_slice, "slice")
split_copy = _copying(splitting.split, "split")
split_with_sizes_copy = _copying(splitting.split_with_sizes, "split_with_sizes")
squeeze_copy = _copying(shape.squeeze, "squeeze")
t_copy = _copying(shape.t, "t")
transpose_copy = _copying(shape.transpose, "transpose")
unbind_copy = _copying(splitting.unbind, "unbind")
unfold_copy = _copying(shape.unfold, "unfold")
unsqueeze_copy = _copying(shape.unsqueeze, "unsqueeze")
view_as_complex_copy = _copying(reinterpret.view_as_complex, "view_as_complex")
view_as_real_copy = _copying(reinterpret.view_as_real, "view_as_real")
view_copy = _copying(shape.view, "view")

"""Loads a network's file twice: as it is, and with `torch` giving jtoolbox."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from jtoolbox import programs


def _torch_modules() -> list[str]:
    return [name for name in sys.modules if name == "torch" or name.startswith("torch.")]


@contextmanager
def torch_is_jtoolbox() -> Iterator[None]:
    """`import torch` as under `python -m jtoolbox run`; PyTorch has its name back afterwards."""
    theirs = {name: sys.modules.pop(name) for name in _torch_modules()}
    finders = list(sys.meta_path)
    try:
        programs.install()
        yield
    finally:
        for name in _torch_modules():
            del sys.modules[name]
        sys.meta_path[:] = finders
        sys.modules.update(theirs)


def load(name: str, library: str) -> ModuleType:
    """The module of the file `name`, whose `torch` is that of `library`."""
    spec = importlib.util.spec_from_file_location(
        f"tests.networks.{library}_{name}", Path(__file__).parent / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Data classes and pickles look their module up by name.
    sys.modules[spec.name] = module
    if library == "torch":
        spec.loader.exec_module(module)
        return module
    with torch_is_jtoolbox():
        spec.loader.exec_module(module)
    return module

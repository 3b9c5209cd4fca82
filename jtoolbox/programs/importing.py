"""`import torch` and everything under it give jtoolbox, in this process."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import jtoolbox
from jtoolbox import version
from jtoolbox.programs import left_out
from jtoolbox.programs.names import FACADES, Missing, find, sentence

__all__ = ["install"]

PREFIX = "torch."


class Facade(ModuleType):
    """A module of PyTorch's name whose attributes are those of something here."""

    def __init__(self, name: str, target: str):
        super().__init__(name)
        self.__dict__["_target"] = target
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        return getattr(find(self.__dict__["_target"]), name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *dir(find(self.__dict__["_target"]))]


class Finder:
    """Finds `torch.x.y`: the module jtoolbox.x.y. ModuleNotFoundError says what is missing."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The module's spec; None for names that are not under `torch`."""
        return ModuleSpec(name, Loader) if name.startswith(PREFIX) else None  # type: ignore[arg-type]


class Loader:
    """Hands on the module that is there already, under its second name."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """The module that stands for it."""
        path = spec.name.removeprefix(PREFIX)
        folder, _, last = path.rpartition(".")
        if left_out.reason(path):
            return left_out.StandIn(path)
        try:
            module = importlib.import_module(f"jtoolbox.{path}")
        except ModuleNotFoundError as error:
            if not f"jtoolbox.{path}".startswith(str(error.name)):
                raise
            raise ModuleNotFoundError(sentence(folder, last), name=spec.name) from None
        spec.loader_state = module.__spec__
        return module

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Nothing but to give the module its own spec back: it has run under its own name."""
        spec = module.__spec__
        if spec is not None and spec.loader_state is not None:
            module.__spec__ = spec.loader_state


def install() -> None:
    """Makes `import torch` give jtoolbox in this process, its submodules included.

    RuntimeError when PyTorch itself was imported before.
    """
    known = sys.modules.get("torch")
    if isinstance(known, Facade):
        return
    if known is not None and hasattr(known, "_C"):
        raise RuntimeError("PyTorch was imported before: jtoolbox cannot take its name any more")
    torch = Facade("torch", "")
    torch.__dict__.update(
        {k: v for k, v in vars(jtoolbox).items() if not k.startswith("__") or k == "__file__"}
    )
    torch.__dict__["__version__"] = version.__version__
    torch.__spec__ = ModuleSpec("torch", None, origin=jtoolbox.__file__)
    torch.__dict__["torch"] = torch
    sys.modules["torch"] = torch
    for name in FACADES:
        try:
            find(FACADES[name])
        except Missing:
            continue
        if not _is_module(name):
            facade = sys.modules[PREFIX + name] = Facade(PREFIX + name, FACADES[name])
            folder, _, last = name.rpartition(".")
            parent = find(folder) if folder else torch
            if not hasattr(parent, last):
                setattr(parent, last, facade)
    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
    _leave_out(torch)


def _leave_out(torch: Facade) -> None:
    """Hangs stand-ins for left-out modules under what is there."""
    for path in left_out.MODULES:
        folder, _, last = path.rpartition(".")
        parent = find(folder) if folder else torch
        if not hasattr(parent, last):
            sys.modules[PREFIX + path] = left_out.StandIn(path)
            setattr(parent, last, sys.modules[PREFIX + path])
    for path in left_out.NAMES:
        folder, _, last = path.rpartition(".")
        setattr(find(folder), last, left_out.name(path))
    ops = find("ops")
    ops.load_library = left_out.load_library
    ops.__getattr__ = lambda name: _namespace(ops, name)


def _namespace(ops: Any, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"torch.ops has no {name!r}")
    ops.__dict__[name] = left_out.Namespace(f"torch.ops.{name}")
    return ops.__dict__[name]


def _is_module(path: str) -> bool:
    try:
        importlib.import_module(f"jtoolbox.{path}")
    except ModuleNotFoundError:
        return False
    return True

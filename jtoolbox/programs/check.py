"""`python -m jtoolbox check script.py`: every name of torch that a script uses. Nothing is run.

Imports and their aliases are followed, as are names assigned from others (`F = nn.functional`) and
`getattr` with a constant. A method call on something unknown is taken for a Tensor's when PyTorch's
Tensor has a method of that name and Python's usual types have not.
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jtoolbox.ops.torch_names import TENSOR_NAMES
from jtoolbox.programs.names import Missing, find, nearest
from jtoolbox.tensor import Tensor

__all__ = ["Use", "check", "uses"]

# Methods that other objects have as well say nothing.
_COMMON = {n for kind in (str, bytes, list, dict, set, np.ndarray, re.Pattern) for n in dir(kind)}
_TENSOR_ONLY = {n for n in TENSOR_NAMES.split() if n not in _COMMON}


class Use(NamedTuple):
    """A name, the lines that use it, whether it is here, and the nearest name if not."""

    name: str
    lines: list[int]
    supported: bool
    nearest: str | None


class _Names(ast.NodeVisitor):
    """Collects dotted names under torch, with the lines they stand on."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.found: dict[str, list[int]] = {}
        self.methods: dict[str, list[int]] = {}
        self.defined: set[str] = set()

    def _add(self, path: str, line: int) -> None:
        lines = self.found.setdefault(path, [])
        if line not in lines:
            lines.append(line)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == "torch":
                self._add(alias.name, node.lineno)
                self.known[alias.asname or "torch"] = alias.name if alias.asname else "torch"

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or (node.module or "").split(".")[0] != "torch":
            return
        for alias in node.names:
            if alias.name == "*":
                self._add(str(node.module), node.lineno)
                continue
            path = f"{node.module}.{alias.name}"
            self._add(path, node.lineno)
            self.known[alias.asname or alias.name] = path

    def path(self, node: ast.AST) -> str | None:
        """The dotted name of an expression; None for what is not a name under torch."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.path(node.value)
            return None if base is None else f"{base}.{node.attr}"
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.path(node)
        if path is not None:
            self._add(path, node.lineno)
        else:
            if node.attr in _TENSOR_ONLY:
                self.methods.setdefault(node.attr, []).append(node.lineno)
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        path = self.known.get(node.id)
        if path is not None and path != "torch" and isinstance(node.ctx, ast.Load):
            self._add(path, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1:
            base, name = self.path(node.args[0]), node.args[1]
            if base and isinstance(name, ast.Constant) and isinstance(name.value, str):
                self._add(f"{base}.{name.value}", node.lineno)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        path = self.path(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                if path is not None:
                    self.known[target.id] = path
                else:
                    self.known.pop(target.id, None)
            else:
                self.visit(target)
                if isinstance(target, ast.Attribute):
                    self.defined.add(target.attr)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.defined.add(node.name)
        self.generic_visit(node)


def uses(source: str, filename: str = "<script>") -> list[Use]:
    """The names of torch that a source uses, by their first line. SyntaxError as Python's."""
    names = _Names()
    names.visit(ast.parse(source, filename))
    found = [_use(path, lines) for path, lines in names.found.items()]
    for method, lines in names.methods.items():
        if method not in names.defined:
            found.append(_method(method, lines))
    return sorted(found, key=lambda use: (use.lines[0], use.name))


def _use(path: str, lines: list[int]) -> Use:
    try:
        find(path.removeprefix("torch").removeprefix("."))
    except Missing as missing:
        near = nearest(missing.path, missing.name)
        name = ".".join(part for part in ("torch", missing.path, missing.name) if part)
        return Use(name, lines, False, near)
    return Use(path, lines, True, None)


def _method(name: str, lines: list[int]) -> Use:
    supported = hasattr(Tensor, name)
    here = [n for n in dir(Tensor) if not n.startswith("_")]
    close = [] if supported else difflib.get_close_matches(name, here, n=1, cutoff=0.6)
    near = f"Tensor.{close[0]}" if close else None
    return Use(f"Tensor.{name}", sorted(set(lines)), supported, near)


def check(script: str) -> int:
    """Prints what a script uses of torch: 0 when all is here, 1 when not, 2 when unreadable."""
    try:
        found = uses(Path(script).read_text(encoding="utf-8"), script)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        print(f"cannot read {script!r}: {error}", file=sys.stderr)
        return 2
    width = max([len(use.name) for use in found], default=0)
    for use in found:
        lines = ", ".join(map(str, use.lines[:6])) + (", ..." if len(use.lines) > 6 else "")
        near = f"  nearest: {use.nearest}" if use.nearest else ""
        word = "supported" if use.supported else "absent   "
        print(f"{word}  {use.name:<{width}}  line {lines}{near}")
    absent = len({use.name for use in found if not use.supported})
    print(f"{len(found)} names, {absent} absent")
    return 1 if absent else 0

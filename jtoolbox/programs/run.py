"""`python -m jtoolbox run script.py`: a PyTorch script, unmodified, as plain Python runs it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from jtoolbox.distributed.process_group import connect_by_environment
from jtoolbox.programs.importing import install
from jtoolbox.programs.names import Missing, find, sentence

__all__ = ["run"]

SHIM = Path(__file__).parent / "shim"
CHECK = "`python -m jtoolbox check {script}` lists all names that the script uses."


def run(script: str, arguments: Sequence[str] = ()) -> int:
    """Runs a script as `__main__` with `torch` resolving to jtoolbox; its exit code.

    `sys.argv`, `sys.path`, `__file__` and tracebacks are as with plain Python; SystemExit goes
    through. An error of a name that is missing here says what is nearest. Processes that the script
    starts find jtoolbox as well. With torchrun's environment variables for several processes, they
    are connected first.
    """
    try:
        source = Path(script).read_bytes()
    except OSError as error:
        print(f"can't open file {script!r}: {error.strerror}", file=sys.stderr)
        return 2
    _prepare(script, arguments)
    main = ModuleType("__main__")
    main.__dict__.update(__file__=script, __builtins__=__builtins__, __cached__=None)
    sys.modules["__main__"] = main
    try:
        exec(compile(source, script, "exec"), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _explain(error, script)
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        error.__traceback__ = trace
        sys.excepthook(type(error), error, trace)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _prepare(script: str, arguments: Sequence[str]) -> None:
    """Arguments, import path and the name `torch`, here and in processes started from here."""
    sys.argv[:] = [script, *arguments]
    package = str(Path(__file__).parents[2])
    sys.path[0] = str(Path(script).resolve().parent)
    sys.path.insert(1, str(SHIM))
    if package not in sys.path:
        sys.path.append(package)
    folders = [str(SHIM), package, *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    connect_by_environment()
    install()


def _explain(error: BaseException, script: str) -> None:
    """Adds to an error of a name that is missing here what is nearest to it."""
    missing = _missing(error)
    if missing is not None:
        error.add_note(sentence(*missing))
        error.add_note(CHECK.format(script=script))


def _missing(error: BaseException) -> tuple[str, str] | None:
    """(namespace, name) when an import or attribute error is about a name of torch's."""
    name: Any = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and str(name).startswith("torch."):
        folder, _, last = str(name).removeprefix("torch.").rpartition(".")
        return folder, last
    if isinstance(error, ImportError) and name is not None:
        found = re.search(r"cannot import name '(\w+)'", str(error))
        module = re.sub(r"^(torch|jtoolbox)\.?", "", name)
        return (module, found[1]) if found and module != name else None
    if isinstance(error, AttributeError) and isinstance(error.obj, (ModuleType, type)):
        path = str(getattr(error.obj, "__name__", ""))
        module = re.sub(r"^(torch|jtoolbox)\.?", "", path)
        if module != path and not _there(module, str(name)):
            return module, str(name)
    return None


def _there(module: str, name: str) -> bool:
    try:
        find(f"{module}.{name}" if module else name)
    except Missing:
        return False
    return True

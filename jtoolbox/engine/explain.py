"""Why a program was compiled, in the user's terms: which line, and what differs from before."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from jtoolbox.engine.graph import Aval, Node
from jtoolbox.engine.plan import Gathered

PACKAGE = str(Path(__file__).resolve().parents[1])
LOG = logging.getLogger("jtoolbox")
# So many programs for one line of code are no longer an accident of the first steps.
MANY = 8


class RecompileWarning(UserWarning):
    """One line of the program keeps compiling new programs."""


class Record(NamedTuple):
    """What of a program is compared: its operations, its inputs, and which results are held."""

    operations: tuple[tuple[str, tuple], ...]
    inputs: tuple[Any, ...]
    outputs: int
    key: tuple

    @property
    def names(self) -> list[str]:
        """The names of the operations, in order."""
        return [name for name, _ in self.operations]


class Settings:
    """What `set_logs` switches: whether every compilation is reported."""

    recompiles = False


_history: dict[tuple[str, int], list[Record]] = {}


def set_logs(*, recompiles: bool = False) -> None:
    """With `recompiles=True`, reports every new program on stderr: the line, and what changed."""
    Settings.recompiles = recompiles
    LOG.setLevel(logging.INFO if recompiles else logging.NOTSET)
    if recompiles and not LOG.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        LOG.addHandler(handler)


def user_line() -> tuple[str, int]:
    """File and line of the innermost caller outside of the package."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            return file, frame.f_lineno
        frame = frame.f_back
    return "<unknown>", 0


def compiled(gathered: Gathered) -> None:
    """Called for each new program: remembers it, reports it, and warns when a line has many.

    Only programs of the same operations count together: a line that many callers reach, such as a
    training loop in a library, compiles for each of them.
    """
    file, line = user_line()
    operations = tuple([(n.call.name, n.call.statics) for n in gathered.steps])
    inputs = tuple([i.aval if i.__class__ is Node else type(i).__name__ for i in gathered.leaves])
    record = Record(operations, inputs, len(gathered.outputs), gathered.key)
    known = _history.setdefault((file, line), [])
    same = [r for r in known if r.names == record.names]
    count = len(same) + 1
    if Settings.recompiles or count == MANY:
        old = same or known
        reason = difference(old[-1], record) if old else "the first program of this line"
        size = f"{len(operations)} operations"
        if Settings.recompiles:
            LOG.info(
                "%s:%d: program %d of this line (%s): %s", file, line, len(known) + 1, size, reason
            )
        if count == MANY:
            warnings.warn_explicit(
                f"program {count} of this line ({size}): {reason}. Each new program costs a "
                "compilation; jtoolbox.logging.set_logs(recompiles=True) reports them all.",
                RecompileWarning,
                file,
                line,
            )
    known.append(record)
    del known[: -MANY * 4]


def difference(old: Record, new: Record) -> str:
    """What distinguishes two programs."""
    if old.names != new.names:
        return _other_operations(old, new)
    for k, (before, now) in enumerate(zip(old.operations, new.operations, strict=True)):
        if before[1] != now[1]:
            return f"the settings of operation {k}, {now[0]}, were {before[1]}, now {now[1]}"
    if len(old.inputs) == len(new.inputs) and old.inputs != new.inputs:
        return "; ".join(_changed_inputs(old, new))
    if old.outputs != new.outputs:
        return (
            f"{old.outputs} results were held, now {new.outputs}: another variable keeps a tensor"
        )
    return "the same operations are connected, or kept for gradients, in another way"


def _other_operations(old: Record, new: Record) -> str:
    for k, (before, now) in enumerate(zip(old.operations, new.operations, strict=False)):
        if before[0] != now[0]:
            return f"operation {k} was {before[0]}, now {now[0]}: the code took another way"
    return f"{len(old.operations)} operations were recorded, now {len(new.operations)}"


def _changed_inputs(old: Record, new: Record) -> list[str]:
    found = []
    for k, (before, now) in enumerate(zip(old.inputs, new.inputs, strict=True)):
        if before == now:
            continue
        text = f"input {k} was {before}, now {now}"
        if isinstance(before, Aval) and isinstance(now, Aval) and _smaller_batch(before, now):
            text += ": the last batch; use drop_last=True"
        found.append(text)
    return found


def _smaller_batch(before: Aval, now: Aval) -> bool:
    if not before.shape or len(before.shape) != len(now.shape) or before.dtype != now.dtype:
        return False
    return now.shape[0] < before.shape[0] and before.shape[1:] == now.shape[1:]


def forget() -> None:
    """Forgets which programs each line has compiled."""
    _history.clear()

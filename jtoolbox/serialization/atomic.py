"""Writing a file so that its path holds either the old contents or the new, never a part.

The new contents go to a temporary file in the same folder, are flushed to the disk, and take the
path's place in one step. A crash, a full disk or an exception in between leaves the old file.

NOTE [Left-over temporaries]
A killed process cannot remove its temporary file. Its name says who wrote it (host and process),
and the next save to the same folder removes those whose process has ended, and, since process
numbers repeat across containers, those that nobody has written to for a day.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Iterator
from typing import IO

__all__ = ["open_atomic"]

_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node())[:32] or "host"
_TEMPORARY = re.compile(r"\.jtoolbox-(?P<host>[A-Za-z0-9]+)-(?P<process>\d+)-[0-9a-f]{16}\.tmp")
_DAY = 24 * 60 * 60.0
_NO_FOLDER = "Parent directory {folder} does not exist. Make it first: os.makedirs({folder!r})"

_in_use: set[str] = set()


@contextlib.contextmanager
def open_atomic(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Opens `path` for binary writing; the contents appear there when the block ends well.

    A symbolic link stays a link and what it points to is replaced. A path that is no regular file
    (a pipe, /dev/null) is written directly. Raises RuntimeError when the folder does not exist.
    """
    target = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise RuntimeError(_NO_FOLDER.format(folder=folder))
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            yield file
        return
    _remove_left_overs(folder)
    temporary = os.path.join(folder, f".jtoolbox-{_HOST}-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    _in_use.add(temporary)
    try:
        with _create(temporary, target) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _in_use.discard(temporary)
    _sync_folder(folder)


def _create(temporary: str, target: str) -> IO[bytes]:
    """A new file with the mode of the one it will replace, or what the umask allows."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(temporary, flags, 0o666), "w+b")
    with contextlib.suppress(OSError):
        os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
    return file


def _sync_folder(folder: str) -> None:
    """Makes the new directory entry durable, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_left_overs(folder: str) -> None:
    """Removes what a killed save left. See NOTE [Left-over temporaries]."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = _TEMPORARY.fullmatch(entry.name)
            if name and entry.path not in _in_use and _is_left_over(entry, name):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def _is_left_over(entry: os.DirEntry[str], name: re.Match[str]) -> bool:
    if time.time() - entry.stat(follow_symlinks=False).st_mtime > _DAY:
        return True
    process = int(name["process"])
    return name["host"] == _HOST and (process == os.getpid() or not _is_alive(process))


def _is_alive(process: int) -> bool:
    """Whether a process of this number runs; where that cannot be asked, it is taken to."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True

"""Files that are written whole or not at all, and advisory locks, which die with their process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import sys
import time
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from schemas.common.errors import UsageError

_TRIES, _PAUSE = 10, 0.1  # s; for a lock
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL, errno.EACCES}

_begun: set[str] = set()  # attempts of this process that have no end yet


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Write a file of this machine so that it is there whole or not at all.

    Yields a binary stream to a temporary name of this attempt, beside `path`. When the block
    ends the bytes go to the disk, then the file takes its name, then the folder goes to the
    disk: what stands under its final name outlives a power cut. A file that stands there is
    replaced; one that failed leaves nothing.

    Parameters
    ----------
    path : str
        In a folder that exists.

    Raises
    ------
    OSError
        As the file system says.
    """
    attempt = f"{path}.{uuid.uuid4().hex}.tmp"
    _begun.add(attempt)
    try:
        with open(attempt, "wb") as stream:
            with contextlib.suppress(OSError):  # see delete_attempts
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(attempt, path)
        sync_folder(os.path.dirname(path) or ".")
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(attempt)
        raise
    finally:
        _begun.discard(attempt)


def delete_attempts(path: str) -> None:
    """Delete what killed processes have left of a file under temporary names.

    The attempt of a process that lives is locked.
    """
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):
        for each in os.listdir(folder or "."):
            if re.fullmatch(re.escape(name) + r"\.[0-9a-f]{32}\.tmp", each):
                _delete_if_dead(os.path.join(folder, each))


def _delete_if_dead(attempt: str) -> None:
    with contextlib.suppress(OSError, BusyError):
        handle = hold(attempt)
        if handle is not None:
            os.remove(attempt)
            os.close(handle)


def drop_attempts() -> None:
    """Delete what this process has begun to write: called where it ends in the middle."""
    for attempt in list(_begun):
        with contextlib.suppress(OSError):
            os.remove(attempt)


def sync_folder(folder: str) -> None:
    """Put a folder's names on the disk, where the system lets one."""
    with contextlib.suppress(OSError):  # some network disks have no such thing
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_tree(folder: str) -> None:
    """Put all that lies in a folder on the disk, so that it can take its final name."""
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as stream:
                os.fsync(stream.fileno())
        sync_folder(place)


def make_folder(path: str) -> None:
    """Make a folder and those above it, so that their names outlive a power cut."""
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        os.makedirs(folder, exist_ok=True)  # another process may have made it
        sync_folder(os.path.dirname(folder) or ".")


def write_text(path: str, text: str) -> None:
    """Write a text as UTF-8, see :func:`replacing`."""
    with replacing(path) as stream:
        stream.write(text.encode())


class BusyError(Exception):
    """Another process has the lock."""


def hold(path: str, shared: bool = False) -> int | None:
    """Lock a file or folder of this machine until its handle is closed, or the process ends.

    Parameters
    ----------
    path : str
        It must be there.
    shared : bool
        Whether others may have it shared at the same time.

    Returns
    -------
    int or None
        A handle for ``os.close``; None where the file system has no locks.

    Raises
    ------
    BusyError
        If another process has it.
    OSError
        If it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise BusyError(path) from error
    except OSError as error:
        os.close(handle)
        if error.errno in _NO_LOCKS:
            return None
        raise
    return handle


def _hold_soon(folder: str, shared: bool) -> int | None:
    """As :func:`hold`; a process that was just killed may take a moment to go."""
    for _ in range(_TRIES):
        with contextlib.suppress(BusyError):
            return hold(folder, shared)
        time.sleep(_PAUSE)
    return hold(folder, shared)


@contextlib.contextmanager
def locked(folder: str, busy: str, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a folder while the block lasts, see :func:`hold`.

    Where the file system has no locks that is said, and the block runs without.

    Parameters
    ----------
    folder : str
        It must be there.
    busy : str
        What the error says if another process has it.
    shared : bool
        As for :func:`hold`.

    Raises
    ------
    UsageError
        If another process has it.
    """
    try:
        handle = _hold_soon(folder, shared)
    except BusyError as error:
        raise UsageError(busy) from error
    if handle is None:
        what = "writes to it" if shared else "uses it"
        print(f"note: {folder} cannot be locked here: see that nobody else {what}", file=sys.stderr)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)

"""A lock on a folder that dies with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from beam_pipelines.runtime import storage
from schemas.common.errors import UsageError


@contextlib.contextmanager
def lock(folder: str) -> Iterator[None]:
    """An advisory lock that dies with its process; on this machine's file system only.

    Raises
    ------
    UsageError
        If another run holds it.
    """
    if not storage.is_local(folder):
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UsageError(f"--output: another run is writing {folder}") from error
    try:
        yield
    finally:
        os.close(handle)

"""A lock on a folder that dies with its process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from beam_pipelines.runtime import storage
from schemas.common.errors import UsageError
from schemas.common.files import BusyError, hold


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
    try:
        handle = hold(folder)
    except BusyError as error:
        raise UsageError(f"--output: another run is writing {folder}") from error
    if handle is None:
        print(
            f"note: {folder} lies where files cannot be locked: see that no second run writes "
            "to it",
            file=sys.stderr,
        )
        yield
        return
    try:
        yield
    finally:
        os.close(handle)

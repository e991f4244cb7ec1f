"""A lock on a folder that dies with its process."""

from __future__ import annotations

import contextlib

from beam_pipelines.runtime import storage
from schemas.common.files import locked


def lock(folder: str, shared: bool = False) -> contextlib.AbstractContextManager[None]:
    """An advisory lock that dies with its process; on this machine's file system only.

    Parameters
    ----------
    folder : str
        What is locked.
    shared : bool
        Whether it is only to be seen that nobody writes.

    Raises
    ------
    UsageError
        If another run holds it.
    """
    if not storage.is_local(folder):
        return contextlib.nullcontext()
    return locked(folder, f"--output: another run is writing {folder}", shared)

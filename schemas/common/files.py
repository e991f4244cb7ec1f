"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import BinaryIO


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
    try:
        with open(attempt, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(attempt, path)
        sync_folder(os.path.dirname(path) or ".")
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(attempt)
        raise


def sync_folder(folder: str) -> None:
    """Put a folder's names on the disk, where the system lets one."""
    with contextlib.suppress(OSError):  # some network disks have no such thing
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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

"""Folders for temporary files that go with their process, or with the next one like it."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

from schemas.common import files

_own: list[contextlib.ExitStack] = []  # so that a fork which forgets atexit does not close it


@contextlib.contextmanager
def locked_folder(parent: str, prefix: str) -> Iterator[str]:
    """A new folder that is removed when the block ends.

    Those with the same prefix whose processes were killed are removed first: nobody holds
    their locks.

    Parameters
    ----------
    parent : str
        Where it is made.
    prefix : str
        How its name begins.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    for name in os.listdir(parent):
        if name.startswith(prefix):
            _remove_if_dead(os.path.join(parent, name))
    folder, handle = _make_locked(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def take_own_folder() -> None:
    """Let all temporary files of this process, and of its children, lie in a folder of its own.

    Where no folder can be written nothing changes.
    """
    stack = contextlib.ExitStack()
    _own.append(stack)
    try:
        folder = stack.enter_context(locked_folder(tempfile.gettempdir(), "orpheus-run-"))
    except OSError:
        return
    kept = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = folder

    def give_back() -> None:
        stack.close()
        tempfile.tempdir = kept[0]
        os.environ.pop("TMPDIR", None)
        if kept[1] is not None:
            os.environ["TMPDIR"] = kept[1]

    atexit.register(give_back)


def _make_locked(parent: str, prefix: str) -> tuple[str, int | None]:
    while True:
        folder = tempfile.mkdtemp(prefix=prefix, dir=parent)
        with contextlib.suppress(files.BusyError, FileNotFoundError):
            handle = files.hold(folder)
            if os.path.isdir(folder):  # no other process has taken it for a dead one meanwhile
                return folder, handle


def _remove_if_dead(folder: str) -> None:
    with contextlib.suppress(files.BusyError, OSError):
        if os.path.islink(folder) or os.stat(folder).st_uid != os.getuid():
            return
        handle = files.hold(folder)
        if handle is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)

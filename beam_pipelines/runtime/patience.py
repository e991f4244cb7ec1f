"""Reading again what failed for a reason that passes: a busy network disk, too few descriptors."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

# The names of errors that may be over in a moment; the same on every system.
PASSING = ("EAGAIN", "EIO", "EMFILE", "ENFILE", "ESTALE", "ETIMEDOUT")
PAUSES = (0.1, 0.4, 1.6)  # s before the second, third and last try

Read = TypeVar("Read")


def patiently(read: Callable[[], Read]) -> Read:
    """Call a function that reads; again, after pauses, where it fails for what may pass.

    Raises
    ------
    OSError
        What else it raises, or its last error.
    """
    for pause in PAUSES:
        try:
            return read()
        except OSError as error:
            if error_name(error) not in PASSING:
                raise
        time.sleep(pause)
    return read()


def error_name(error: Exception) -> str:
    """The name of an error's number (``EIO``), or of its class where it has none."""
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number or 0, type(error).__name__)

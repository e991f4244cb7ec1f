"""What a worker must see before it begins: files that the submitting process saw.

A cluster's worker that has no such disk would otherwise reject every clip as unreadable,
or write its shard where nobody looks for it.
"""

from __future__ import annotations

import contextlib
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.runtime import storage
from beam_pipelines.runtime.patience import patiently
from schemas.common.errors import UsageError

_TRIES = 100
# A traceback names the class by its module, wherever that lies.
_NAME = re.escape(f"{UsageError.__module__}.{UsageError.__qualname__}")
_REFUSAL = re.compile(rf"{_NAME}: (.*?)(?: \[while running .*)?$", re.MULTILINE)


def _once(read: Callable[[], bytes]) -> bytes:
    return read()


def first_seen(paths: Iterable[str]) -> tuple[str, ...]:
    """The first file that this process can read, to be looked for by the workers.

    Parameters
    ----------
    paths : iterable of str
        The first hundred are tried.

    Returns
    -------
    tuple of str
        One path; none where there is no such file.
    """
    return tuple(islice(filter(_can_read, islice(paths, _TRIES)), 1))


def check_sight(paths: Sequence[str]) -> None:
    """Called in a worker with each element, and not in its setup.

    There Flink would see no error: it waits three minutes for the worker to ask for data, and
    then starts another.

    Raises
    ------
    UsageError
        At the first file that cannot be read here.
    """
    for path in paths:
        if not _can_read(path, patiently):
            raise UsageError(
                f"a worker on {platform.node()} cannot read {path}: inputs and output must lie "
                "where every worker finds them under the same path (a shared or an object file "
                "system)"
            )


def find_refusal(text: str) -> str | None:
    """What a worker has refused, from the text in which a runner hands it on; None if nothing."""
    found = _REFUSAL.search(text)
    return found[1] if found else None


def _can_read(path: str, call: Callable[[Callable[[], bytes]], bytes] = _once) -> bool:
    def read() -> bytes:
        with open(path, "rb") if storage.is_local(path) else storage.open_read(path) as stream:
            return stream.read(1)

    with contextlib.suppress(OSError, BeamIOError):
        call(read)
        return True
    return False

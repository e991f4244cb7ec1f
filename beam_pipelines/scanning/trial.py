"""Decoding in a process of its own, to see whether it outlives that."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from beam_pipelines.audio.decode import load_clip
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.supervisor import ALL_SUSPECT
from schemas.audio_spec import AudioSpec
from schemas.rejects import Reason

SECONDS = 600
_MEMORY = max(4 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)  # bytes
_LENGTH = 8  # bytes of the number before a clip
_WELL, _TOO_LARGE = b".", b"m"
_threads = threading.local()


@contextlib.contextmanager
def in_hand(marker: str, deaths: int) -> Iterator[bool]:
    """Note on this machine's disk what is in hand while the block lasts.

    Yields whether its clips are to be tried: it was in hand when the work's process died, or
    that has died too often to leave anything to chance.

    Parameters
    ----------
    marker : str
        A file of the work folder.
    deaths : int
        Of the work's process so far.
    """
    is_local = storage.is_local(marker)
    was_in_hand = not is_local or os.path.exists(marker)
    if is_local:
        with open(marker, "wb"):
            pass
    yield deaths >= ALL_SUSPECT or (deaths > 0 and was_in_hand)
    if is_local:
        os.remove(marker)


def refuse_crashing(data: bytes) -> None:
    """Try the decoding of a file's bytes.

    Raises
    ------
    AudioError
        CRASHED_DECODER, if it takes its process down.
    """
    cause = crash_of(data)
    if cause is not None:
        raise AudioError(Reason.CRASHED_DECODER, cause)


def crash_of(data: bytes) -> str | None:
    """What the decoding of a file's bytes dies of in a child of this thread; None if it lives.

    The child has limits of time and memory and is kept for the next file while it lives.

    Returns
    -------
    str or None
        The name of a signal, or the limit.
    """
    child: subprocess.Popen[bytes] | None = getattr(_threads, "child", None)
    if child is None or child.poll() is not None:
        child = _threads.child = _start()
    assert child.stdin is not None and child.stdout is not None
    answer: bytes | None
    try:
        child.stdin.write(len(data).to_bytes(_LENGTH) + data)
        child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], SECONDS)
        answer = child.stdout.read(1) if ready else None
    except BrokenPipeError:
        answer = b""
    if answer == _WELL:
        return None
    if answer is None:
        child.kill()
    child.stdin.close()
    child.stdout.close()
    code = child.wait()
    _threads.child = None
    if answer is None:
        return f"more than {SECONDS} s"
    return signal.Signals(-code).name if code < 0 else f"more than {_MEMORY >> 30} GiB"


def serve() -> None:
    """Decode what comes, and answer with a byte for each that did no harm."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while head := sys.stdin.buffer.read(_LENGTH):
        data = sys.stdin.buffer.read(int.from_bytes(head))
        try:
            load_clip(data, AudioSpec())
        except AudioError:
            pass  # the worker finds it, too
        except MemoryError:
            os.write(1, _TOO_LARGE)
            return
        os.write(1, _WELL)


def _start() -> subprocess.Popen[bytes]:
    code = "from beam_pipelines.scanning.trial import serve; serve()"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )

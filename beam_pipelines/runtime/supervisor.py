"""A parent that starts the work again after its process died of a signal.

A broken file can take a decoder down, and the process with it. The parent holds nothing but
the imported modules; the work is done in a fork of it, and after a death in a fresh one, which
is told so: it looks at the clips that were in hand in yet another process before it decodes
them (:mod:`beam_pipelines.scanning.trial`).
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from schemas.common.command import end_with
from schemas.common.errors import RunError

MOST_DEATHS = 5
ALL_SUSPECT = 3  # deaths after which every clip is tried first, not those alone that were in hand
_RESTARTED = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT,
              signal.SIGKILL)  # fmt: skip
_PR_SET_PDEATHSIG = 1

_deaths = 0


def deaths() -> int:
    """How often the process of this command's work has died before."""
    return _deaths


def supervised(main: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """A command's `main` that does its work in a child, and again where that dies of a signal.

    Only on Linux, where a child can be told to die with its parent.
    """

    def watch(argv: Sequence[str]) -> int:
        global _deaths
        while True:
            code = _work(main, argv)
            if -code not in _RESTARTED:
                return code if code >= 0 else 128 - code
            _deaths += 1
            name = signal.Signals(-code).name
            if _deaths == MOST_DEATHS:
                raise RunError(f"the working process died {MOST_DEATHS} times, of {name} at last")
            print(
                f"the working process died of {name}: it is started again, and clips that were "
                "in hand are tried in a process of their own",
                file=sys.stderr,
            )

    return watch if sys.platform == "linux" else main


def _work(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run `main` in a fork; gives its exit code, or less than 0 for the signal it died of."""
    parent = os.getpid()
    child = os.fork()
    if not child:
        _run_child(main, argv, parent)
    kept = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if handler is not signal.SIG_IGN:
            kept[number] = handler
            signal.signal(number, lambda number, _: _hand_on(child, number))
    try:
        _, status = os.waitpid(child, 0)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return os.waitstatus_to_exitcode(status)


def _hand_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _run_child(main: Callable[[Sequence[str]], int], argv: Sequence[str], parent: int) -> NoReturn:
    os.setpgid(0, 0)  # Ctrl-C on a terminal comes from the parent alone
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    atexit._clear()  # what is registered so far is the parent's to do
    end_with(main, argv)

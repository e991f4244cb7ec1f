"""Ctrl-C and SIGTERM, from the first line of our code on.

Only the standard library's quickest modules are imported here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any, NoReturn

_SECONDS_TO_TIDY = 10
NO_TEMPORARY = "No usable temporary directory"  # as Python says it
TEMPORARY = "no folder for temporary files can be written to: let TMPDIR name one"
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, with an exit code of its own."""


def stop_quietly() -> None:
    """Until a command runs, Ctrl-C and SIGTERM end the process with one word, at once.

    The libraries take seconds to import, and there is nothing to be cleaned up.
    """

    def end(number: int, frame: Any) -> NoReturn:
        os.write(2, b"stopped\n")
        os._exit(_CODES[signal.Signals(number)])

    def explain(kind: type[BaseException], error: BaseException, where: Any) -> None:
        if NO_TEMPORARY in str(error):  # a library asks for one as it is imported
            os.write(2, f"error: {TEMPORARY}\n".encode())
            os._exit(2)
        sys.__excepthook__(kind, error, where)

    for number in _CODES:
        _set(number, end)
    sys.excepthook = explain


def stop_by_exception() -> None:
    """From now on both are exceptions in the main thread: KeyboardInterrupt and Terminated."""

    def terminate(number: int, frame: Any) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)  # the second ends it
        end_within(_SECONDS_TO_TIDY)
        raise Terminated

    _set(signal.SIGINT, signal.default_int_handler)
    _set(signal.SIGTERM, terminate)


def end_within(seconds: int) -> None:
    """Let the system kill this process if it is still there then, whatever it waits for."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)


def exit_code(stop: KeyboardInterrupt) -> int:
    """Exit code of a command that was stopped so."""
    return _CODES[signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT]


def is_command() -> bool:
    """Whether ``python -m`` is importing a package for one of its commands."""
    return sys.argv[:1] == ["-m"]


def _set(number: signal.Signals, handler: Any) -> None:
    if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's background job
        signal.signal(number, handler)

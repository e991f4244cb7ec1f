"""What every command of the project shares: exit codes, errors of one line, quiet logs."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib.util
import io
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from schemas.common import files, stopping, temporary
from schemas.common.errors import RunError, UsageError
from schemas.common.imports import hidden
from schemas.common.text import one_line

NO_THREAD = "can't start new thread"  # as Python says it
THREADS = "no more threads can be started: raise the limit (ulimit -u, pids of a container)"
_LONGEST_LINE = 300  # characters of an error
_ending = threading.Lock()  # of the thread that ends the process
_LAST_SECONDS = 60  # for what is registered for the end of a process


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_one = action.default is not None and not action.required
        return super()._get_help_string(action) if has_one else action.help


class ArgumentParser(argparse.ArgumentParser):
    """An argparse parser with ``-v`` whose errors are one line and exit code 2.

    Defaults are shown in the help of every option; abbreviations are off, so that
    an option of Beam is never taken for one of ours.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _HelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)
        self.add_argument(
            "-v", "--verbose", action="store_true", help="show the libraries' logs and tracebacks"
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see --help)")


def quiet(verbose: bool = False) -> None:
    """Keep the log noise of TensorFlow and Beam from the terminal.

    Must run before TensorFlow is imported; child processes inherit it.

    Parameters
    ----------
    verbose : bool
        True leaves every library as talkative as it is.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "0"  # importing tensorflow_transform would set it to 1
    if verbose:
        logging.basicConfig(level=logging.INFO)
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore")
    logging.basicConfig(level=logging.ERROR)
    for name in ("tensorflow", "absl", "root"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Beam logs a worker's traceback several times before the error itself arrives here.
    for name in ("apache_beam", "grpc"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def import_tensorflow(without: Sequence[str] = ()) -> Any:
    """Import TensorFlow without what it says before its own logging has started.

    Those lines come from C++ and heed no log level, so the error stream is turned
    away while the import lasts; after :func:`quiet` with verbose they are shown.

    Parameters
    ----------
    without : sequence of str
        Libraries that TensorFlow and Keras import where they find them, and that this process
        has no use for: scikit-learn and JAX take a second of three.

    Returns
    -------
    module
        ``tensorflow``.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    if sys.modules.get("tensorflow") is not None:
        return sys.modules["tensorflow"]
    if importlib.util.find_spec("tensorflow") is None:
        raise UsageError(
            "this needs tensorflow, which the extras data, serve and train bring: "
            "pip install 'orpheus-tagging[serve]'"
        )
    with hidden(without):
        return _import_quietly()


def _import_quietly() -> Any:
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        import tensorflow

        return tensorflow
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
    try:
        import tensorflow
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    return tensorflow


def run_command(
    main: Callable[[Sequence[str]], int], argv: Sequence[str] | None = None
) -> NoReturn:
    """Run a command's `main` and leave the process with its exit code.

    Parameters
    ----------
    main : callable
        Takes the arguments, returns the exit code.
    argv : sequence of str, optional
        The arguments; those of the process by default.
    """
    stopping.stop_by_exception()
    argv = list(sys.argv[1:] if argv is None else argv)
    verbose = "-v" in argv or "--verbose" in argv
    if not verbose:
        _mute_native_code()
    quiet(verbose)

    def main_in_own_folder(argv: Sequence[str]) -> int:
        temporary.take_own_folder()
        return main(argv)

    end_with(main_in_own_folder, argv)


def end_with(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> NoReturn:
    """Run the `main` of a command and end this process, or fork of one, with its exit code."""
    kept: BaseException | None = None  # with its frames a server of gRPC would go, and wait
    try:
        code = main(argv)
        sys.stdout.flush()
    except SystemExit as leaving:  # --help, and a training that SIGTERM has stopped
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except (Exception, KeyboardInterrupt) as error:
        kept = error
        _ending.acquire()
        code = _answer(kept, "-v" in argv or "--verbose" in argv)
    _leave(code)


def _answer(error: BaseException, verbose: bool) -> int:
    """Say what has ended a command; gives its exit code."""
    if isinstance(error, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        return stopping.exit_code(error)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if stopping.NO_TEMPORARY in str(error):
        return _say(stopping.TEMPORARY, verbose, 2)
    if NO_THREAD in str(error):
        return _say(THREADS, verbose, 1)
    if isinstance(error, UsageError):
        return _say(str(error), verbose, 2)
    if isinstance(error, RunError):
        return _say(str(error), verbose, 1)
    if isinstance(error, MemoryError):
        return _say("there is not enough memory", verbose, 1)
    return _say(f"{type(error).__name__}: {error} (-v shows where)", verbose, 1)


def end_with_error(text: str, code: int) -> NoReturn:
    """End the process from any of its threads, with one line; the first one has the word."""
    _ending.acquire()
    print(one_line(f"error: {text}", _LONGEST_LINE), file=sys.stderr)
    _leave(code)


def print_any_name() -> None:
    """Let the standard output take names of files that are no text."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _leave(code: int) -> NoReturn:
    """End the process now, with what is registered for its end, but without its threads.

    A failed pipeline leaves threads of Beam and gRPC behind; the interpreter would unwind
    them inside C++, which aborts the process (SIGABRT instead of the exit code).
    """
    stopping.end_within(_LAST_SECONDS)
    files.drop_attempts()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit(code)


def _mute_native_code() -> None:
    """Keep the error stream for Python: C libraries write to descriptor 2 unasked.

    libmpg123 does so for every damaged file and cannot be told not to.
    """
    if sys.stderr is None:
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def _say(text: str, verbose: bool, code: int) -> int:
    if verbose:
        traceback.print_exc()
    print(one_line(f"error: {text}", _LONGEST_LINE), file=sys.stderr)
    return code

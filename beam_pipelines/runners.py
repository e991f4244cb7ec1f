"""Which runner a pipeline gets, and Beam's options on our command lines."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import sdk_worker

from schemas.command import ArgumentParser
from schemas.errors import RunError, UsageError

_LOCAL = {"directrunner", "fnapirunner"}


def parse_options(argv: Sequence[str]) -> PipelineOptions:
    """Beam's own options, with the local runner on all cores by default.

    Parameters
    ----------
    argv : sequence of str
        What a command's own parser left over.

    Returns
    -------
    PipelineOptions

    Raises
    ------
    UsageError
        If Beam does not know an option either, its value is wrong, or there is no such
        runner.
    """
    parser = ArgumentParser(add_help=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(argv)
    if unknown:
        raise UsageError(f"unknown option {unknown[0]} (see --help)")
    defaults = ["--direct_running_mode=multi_threading", f"--direct_num_workers={n_cores()}"]
    parsed = PipelineOptions([*defaults, *argv])
    _new_pipeline(parsed)  # a runner that cannot be had is said before any work
    return parsed


def row_options(argv: Sequence[str]) -> PipelineOptions:
    """As :func:`parse_options`, for a job that handles rows only.

    The local runner then keeps to one thread: Python's rows hold the interpreter's lock, so
    that two threads take as long and half as much memory again.
    """
    return parse_options([*argv, "--direct_running_mode=in_memory", "--direct_num_workers=1"])


@contextlib.contextmanager
def make_pipeline(options: PipelineOptions) -> Iterator[beam.Pipeline]:
    """A pipeline on the runner that the options name; it runs when the context ends.

    Beam's DirectRunner is a switch that tries to download another runner (Prism) first,
    and then ignores the number of workers. Here it always is the FnApiRunner.

    Parameters
    ----------
    options : PipelineOptions
        From :func:`parse_options`.

    Yields
    ------
    beam.Pipeline

    Raises
    ------
    RunError
        If the pipeline fails, with the cause and the step in one line.
    """
    pipeline = _new_pipeline(options)
    _hush_workers()
    try:
        with pipeline:
            yield pipeline
    except (UsageError, RunError):
        raise
    except Exception as error:
        raise RunError(f"the pipeline stopped: {_cause(error)}") from error


def _new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    name = options.view_as(StandardOptions).runner or "DirectRunner"
    runner = FnApiRunner() if name.lower() in _LOCAL else name
    try:
        return beam.Pipeline(runner=runner, options=options)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner={name}: {error}") from error


def _hush_workers() -> None:
    """Beam prints a worker's traceback past all logging; the error itself is raised here too."""
    if not logging.getLogger("apache_beam").isEnabledFor(logging.ERROR):
        sdk_worker.print = lambda *_, **__: None


def _cause(error: Exception) -> str:
    """The last line of what Beam says: the worker's own error and the step it was in."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("RuntimeError: ") if lines else type(error).__name__


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

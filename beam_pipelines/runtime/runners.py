"""Which runner a pipeline gets, and Beam's options on our command lines."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import sdk_worker

from beam_pipelines.runtime import flink_job_server, flink_options, flink_rest
from beam_pipelines.runtime.preflight import find_refusal
from schemas.common.command import NO_THREAD, THREADS, ArgumentParser, end_with_error
from schemas.common.cores import n_cores
from schemas.common.errors import RunError, UsageError

_LOCAL = {"directrunner", "fnapirunner"}
_FLINK = "flinkrunner"


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
    defaults = ["--direct_running_mode=multi_threading", f"--direct_num_workers={n_cores()}"]
    if _runner_name(PipelineOptions(argv)).lower() == _FLINK:
        argv = flink_job_server.add_job_server(flink_options.add_defaults(argv, n_cores()), unknown)
    elif unknown:
        raise UsageError(f"unknown option {unknown[0]} (see --help)")
    parsed = PipelineOptions([*defaults, *argv])
    with _new_pipeline(parsed):  # a runner that cannot be had is said before any work
        return parsed


def row_options(argv: Sequence[str]) -> PipelineOptions:
    """As :func:`parse_options`, for a job that handles rows only.

    The local runner then keeps to one thread: Python's rows hold the interpreter's lock, so
    that two threads take as long and half as much memory again.
    """
    return parse_options([*argv, "--direct_running_mode=in_memory", "--direct_num_workers=1"])


@contextlib.contextmanager
def make_pipeline(
    options: PipelineOptions, step: str = "", output: str = ""
) -> Iterator[beam.Pipeline]:
    """A pipeline on the runner that the options name; it runs when the context ends.

    Beam's DirectRunner is a switch that tries to download another runner (Prism) first,
    and then ignores the number of workers. Here it always is the FnApiRunner.

    Parameters
    ----------
    options : PipelineOptions
        From :func:`parse_options`.
    step, output : str
        What the pipeline does and where it writes: the job's name on a cluster. A job
        there that an earlier, killed command for the same output left running is
        cancelled first.

    Yields
    ------
    beam.Pipeline

    Raises
    ------
    RunError
        If the pipeline fails, with the cause and the step in one line.
    UsageError
        If a worker cannot see what it needs.
    """
    _hush_workers()
    try:
        with contextlib.ExitStack() as stack:
            if step:
                key = hashlib.md5(output.encode()).hexdigest()[:8]
                options.view_as(GoogleCloudOptions).job_name = f"orpheus-{step}-{key}"
                if _runner_name(options).lower() == _FLINK:
                    stack.enter_context(_on_flink(options, key))
            with _new_pipeline(options) as pipeline, pipeline:
                yield pipeline
    except (UsageError, RunError):
        raise
    except Exception as error:
        refusal = find_refusal(str(error))
        if refusal:
            raise UsageError(refusal) from error
        if re.search(r"^(\w+\.)*_?(\w*)MemoryError\b", str(error), re.MULTILINE):
            raise RunError(
                "there is not enough memory: fewer --direct_num_workers need less "
                f"({_cause(error)})"
            ) from error
        if NO_THREAD in str(error):
            raise RunError(THREADS) from error
        raise RunError(f"the pipeline stopped: {_cause(error)}") from error


@contextlib.contextmanager
def _on_flink(options: PipelineOptions, key: str) -> Iterator[None]:
    """Look after a job on Flink, and remove what Beam forgets of it."""
    master = options.view_as(FlinkRunnerOptions).flink_master
    watch: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if flink_rest.is_cluster(master):
        if flink_rest.cancel_jobs(master, key):
            print("an earlier job of the same output was cancelled; this goes on", file=sys.stderr)
        watch = flink_rest.heed_refusals(master, options.view_as(GoogleCloudOptions).job_name)
    before = tempfile.tempdir
    with watch, tempfile.TemporaryDirectory(prefix="orpheus-job-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _runner_name(options: PipelineOptions) -> str:
    return options.view_as(StandardOptions).runner or "DirectRunner"


@contextlib.contextmanager
def _new_pipeline(options: PipelineOptions) -> Iterator[beam.Pipeline]:
    name = _runner_name(options)
    runner = FnApiRunner() if name.lower() in _LOCAL else name
    try:
        pipeline = beam.Pipeline(runner=runner, options=options)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner={name}: {error}") from error
    try:
        yield pipeline
    finally:  # Beam removes it after a run only
        shutil.rmtree(pipeline.local_tempdir, ignore_errors=True)


def _hush_workers() -> None:
    """Beam shows a worker's traceback past its own logging; the error is raised here too."""
    if not logging.getLogger("apache_beam").isEnabledFor(logging.ERROR):
        sdk_worker.print = lambda *_, **__: None
        logging.getLogger().addFilter(_not_of_a_job)
        threading.excepthook = _tell_unless_hung_up


def _tell_unless_hung_up(trouble: threading.ExceptHookArgs) -> None:
    """Flink hangs up on the readers of its workers' data; where that matters a job says so.

    Where a thread of Beam finds that it can start no other one, the job would wait for ever.
    """
    if NO_THREAD in str(trouble.exc_value):
        end_with_error(THREADS, 1)
    if not issubclass(trouble.exc_type, grpc.RpcError):
        threading.__excepthook__(trouble)


def _not_of_a_job(record: logging.LogRecord) -> bool:
    return record.module != "portable_runner"


def _cause(error: Exception) -> str:
    """The last line of what Beam says: the worker's own error and the step it was in."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("RuntimeError: ") if lines else type(error).__name__

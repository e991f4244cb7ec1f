"""Flink: what it wants beside Beam's options, and one clear line where something is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
)

from beam_pipelines.runtime.flink_rest import ask, is_cluster
from schemas.common.errors import UsageError

POOL = "localhost:50000"
RETRIES = 6


def add_defaults(argv: Sequence[str], n_cores: int) -> list[str]:
    """A command line for Flink with what was not said: parallelism, workers, retries.

    Parameters
    ----------
    argv : sequence of str
        Beam's options, with ``--runner=FlinkRunner``.
    n_cores : int
        Parallelism of a Flink inside this process.

    Returns
    -------
    list of str

    Raises
    ------
    UsageError
        If the cluster does not answer or has no slot.
    """
    given = PipelineOptions(argv)
    flink, portable = given.view_as(FlinkRunnerOptions), given.view_as(PortableOptions)
    more = []
    if not is_cluster(flink.flink_master):
        if flink.parallelism < 1:
            more.append(f"--parallelism={n_cores}")
        return [*argv, *more]
    slots = ask(flink.flink_master, "/overview")["slots-total"]
    if not slots:
        raise UsageError(f"--flink_master: {flink.flink_master} has no task manager: start one")
    if flink.parallelism < 1:
        more.append(f"--parallelism={slots}")
    if not portable.environment_type:
        more.append("--environment_type=EXTERNAL")
        if not portable.environment_config:
            more.append(f"--environment_config={POOL}")
    if not names_option(argv, "--execution_mode_for_batch"):
        # Stage after stage: what slots a lost task manager leaves are enough to go on.
        more.append("--execution_mode_for_batch=BATCH_FORCED")
    if not names_option(argv, "--number_of_execution_retries"):
        more.append(f"--number_of_execution_retries={RETRIES}")
    settings = {entry["key"] for entry in ask(flink.flink_master, "/jobmanager/config")}
    if not any(key.startswith("restart-strategy") for key in settings):
        print(
            "warning: the cluster has no restart-strategy: Flink may end the job with the first "
            "worker that it loses; the same command goes on (docs/cluster.md)",
            file=sys.stderr,
        )
    if not names_option(argv, "--flink_version"):
        version = ask(flink.flink_master, "/config")["flink-version"]
        more.append("--flink_version=" + ".".join(version.split(".")[:2]))
    return [*argv, *more]


def names_option(argv: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(option + "=") for word in argv)

"""The project's commands, as benchmarks run them."""

from __future__ import annotations

import os
import pathlib
import sys

from tests.helpers.corpora import CORPUS_TAGS, msd_options


def run(module: str, *arguments) -> float:
    """Run a command of the project; gives its CPU time in s, or ends with its exit code."""
    argv = [sys.executable, "-m", module, *map(str, arguments)]
    print("$", " ".join(["python", *argv[1:]]), flush=True)
    _, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, argv), 0)
    if status:
        raise SystemExit(os.waitstatus_to_exitcode(status))
    return usage.ru_utime + usage.ru_stime


def build_corpus(output: pathlib.Path, *options) -> None:
    """The reference corpus (ORPHEUS_FIXTURES) with its own split, unless it is there."""
    if not (output / "dataset.json").exists():
        corpus = pathlib.Path(os.environ["ORPHEUS_FIXTURES"], "corpus")
        split = ["--split", corpus / "labels.csv", "--num_shards", 12]
        run("beam_pipelines.build", *msd_options(corpus, output), *CORPUS_TAGS, *options, *split)

"""Other tags for a data set, without decoding: what its records hold is copied.

The plan is made anew from the same inputs with other tag options, as a build makes it; where
that would decode a file, the record of the data set is taken.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import time
from collections.abc import Sequence

from beam_pipelines.dataset import claim, layout, options
from beam_pipelines.dataset.finish import finish
from beam_pipelines.dataset.inputs import Inputs, look
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.resumable import fingerprint
from beam_pipelines.runtime.runners import parse_options
from beam_pipelines.steps.plan import make_plan
from beam_pipelines.steps.retag import CopyShard, index_records
from beam_pipelines.steps.tables import write_csv_tables
from beam_pipelines.steps.tell import describe_run, format_end
from beam_pipelines.steps.write import write_missing
from schemas.common.command import run_command
from schemas.common.errors import UsageError
from schemas.manifest import Dataset, read_dataset


def main(argv: Sequence[str]) -> int:
    """Run a retagging; returns the exit code."""
    given, rest = options.retag_parser().parse_known_args(argv)
    beam_options = parse_options(rest)
    started = time.time()
    dataset = read_dataset(os.path.abspath(given.dataset))
    if os.path.realpath(given.output) == os.path.realpath(dataset.path):
        raise UsageError(f"--output: {given.output} is the data set itself: name another directory")
    args = options.as_built(given, dataset.data["options"])
    options.check_together(args)
    inputs = _same_audio(look(args), dataset, args)
    more = {"retagged_from": dataset.data["plan_id"]}
    with claim.claim(args.output, inputs.plan_id, args.overwrite) as state:
        if isinstance(state, Dataset):
            if args.table_format == "csv":
                write_csv_tables(args.output)
            print(f"{args.output} is finished already, from the same inputs and options")
            print(format_end(args.output, state.data))
            return 0
        planned = state.plan or make_plan(args, inputs, state.work, rest, more)
        records = storage.join(state.work, "records.parquet")
        storage.write_table(records, index_records(dataset))
        tracks = storage.join(dataset.path, "tracks.parquet")
        must_see = (storage.join(state.work, layout.PLAN), records, tracks)
        copier = functools.partial(CopyShard, dataset=dataset.path, records=records)
        write_missing(args, planned, state.work, must_see, beam_options, copier)
        run = describe_run(beam_options, started)
        spec = options.audio_spec(args)
        about = (planned, args.audio_format, spec, run, args.max_unreadable)
        manifest = finish(args.output, state.work, *about)
        if args.table_format == "csv":
            write_csv_tables(args.output)
    print(format_end(args.output, manifest["data"]))
    return 0


def _same_audio(inputs: Inputs, dataset: Dataset, args: argparse.Namespace) -> Inputs:
    """The inputs, with a plan of their own; they must be those that the data set was built from."""
    if inputs.fingerprints["audio"] != dataset.data["fingerprints"]["audio"]:
        raise UsageError(
            f"the audio files are not those that {dataset.path} was built from: "
            "--audio_dir (or the annotation) names others"
        )
    before, now = dataset.data["options"]["split"], inputs.options["split"]
    if before != now:
        raise UsageError(
            f"{dataset.path} was split by {before}, and this is by {now}: give the same --split"
        )
    plan_id = fingerprint([inputs.plan_id, dataset.data["plan_id"]])
    return dataclasses.replace(inputs, plan_id=plan_id)


if __name__ == "__main__":
    run_command(main)

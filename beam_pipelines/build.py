"""From an audio tree, the summary and the tags to a data set: plan, write, finish.

This page is the pipeline's table of contents:

- **look** (`dataset/inputs.py`): check the inputs, list the audio, clean the tag table, fingerprint
  all;
- **plan** (`steps/plan.py`; `dataset/join.py`, `vocabulary.py`, `sharding.py`): join rows, number
  the tags, deal to shards;
- **write** (`steps/write.py`; `dataset/write.py`): one element a shard: decode once, filter, store,
  commit;
- **finish** (`dataset/finish.py`, `report/page.py`): tables, accounts, manifest, report.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence

from beam_pipelines.dataset import claim, layout, options
from beam_pipelines.dataset.finish import finish
from beam_pipelines.dataset.inputs import look
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.preflight import first_seen
from beam_pipelines.runtime.runners import parse_options
from beam_pipelines.runtime.supervisor import supervised
from beam_pipelines.steps.plan import make_plan
from beam_pipelines.steps.tables import write_csv_tables, write_plan_tables
from beam_pipelines.steps.tell import describe_run, format_accounts, format_end, print_plan
from beam_pipelines.steps.write import write_missing
from schemas.common.command import run_command
from schemas.manifest import Dataset


def main(argv: Sequence[str]) -> int:
    """Run a build; returns the exit code."""
    args, rest = options.build_parser().parse_known_args(argv)
    beam_options = parse_options(rest)
    options.check_together(args)
    started = time.time()
    inputs = look(args)
    if args.dry_run:
        with tempfile.TemporaryDirectory(prefix="orpheus-plan-") as folder:
            planned = make_plan(args, inputs, folder, rest)
            print_plan(planned, folder)
            if args.tables:
                write_plan_tables(args.tables, folder, planned, inputs.source.scan)
        return 0
    with claim.claim(args.output, inputs.plan_id, args.overwrite) as state:
        if isinstance(state, Dataset):
            print(f"{args.output} is finished already, from the same inputs and options")
            if args.table_format == "csv":
                write_csv_tables(args.output)
            print(format_accounts(state.data))
            return 0
        planned = state.plan or make_plan(args, inputs, state.work, rest)
        in_order = (storage.join(args.audio_dir, file.path) for file in inputs.source.listing.files)
        must_see = (storage.join(state.work, layout.PLAN), *first_seen(in_order))
        write_missing(args, planned, state.work, must_see, beam_options)
        manifest = finish(
            args.output,
            state.work,
            planned,
            args.audio_format,
            options.audio_spec(args),
            describe_run(beam_options, started),
            args.max_unreadable,
        )
        if args.table_format == "csv":
            write_csv_tables(args.output)
    print(format_end(args.output, manifest["data"]))
    return 0


if __name__ == "__main__":
    run_command(supervised(main))

"""From an audio tree, the summary and the tags to a data set: plan, write, finish.

This page is the pipeline's table of contents:

- **look** (`dataset/inputs.py`): check the inputs, list the audio, clean the tag table, fingerprint
  all;
- **plan** (`dataset/join.py`, `vocabulary.py`, `sharding.py`): join rows, number the tags, deal to
  shards;
- **write** (`dataset/write.py`): one element a shard: decode once, filter, store, commit;
- **finish** (`dataset/finish.py`, `report/page.py`): tables, accounts, manifest, report.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_pipelines.dataset import claim, join, layout, options, sharding, song_pieces, write
from beam_pipelines.dataset.finish import finish, plan_rejects
from beam_pipelines.dataset.inputs import Inputs, look
from beam_pipelines.report.accounts import count_stages, format_counts, why_none
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.preflight import first_seen
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.runtime.runners import make_pipeline, parse_options, row_options
from beam_pipelines.scanning import filters
from beam_pipelines.scanning.hearings import format_hearings
from schemas.audio_files import ignored_line
from schemas.common.command import run_command
from schemas.common.cores import n_cores
from schemas.common.errors import UsageError
from schemas.manifest import PARTS, Dataset
from schemas.rejects import Stage


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
        return 0
    with claim.claim(args.output, inputs.plan_id, args.overwrite) as state:
        if isinstance(state, Dataset):
            print(f"{args.output} is finished already, from the same inputs and options")
            print(_accounts(state.data))
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
    print(_accounts(manifest["data"]))
    print(format_hearings(manifest["data"]["hearings"]))
    records = {part: manifest["data"]["parts"][part]["records"] for part in PARTS}
    tracks = ", ".join(f"{n} {part}" for part, n in records.items())
    print(f"{args.output}: {tracks} tracks; look at {storage.join(args.output, 'report.html')}")
    return 0


def make_plan(
    args: argparse.Namespace, inputs: Inputs, work: str, beam_argv: Sequence[str]
) -> dict[str, Any]:
    """Join the rows, find the vocabulary and deal the songs to the shards.

    Parameters
    ----------
    args : argparse.Namespace
        The build's options.
    inputs : Inputs
        What was found.
    work : str
        Folder that gets the pieces, each shard's rows and, last, the plan.
    beam_argv : sequence of str
        Beam's options.

    Returns
    -------
    dict
        The plan.

    Raises
    ------
    UsageError
        If no song is left, or there are too many tags.
    """
    from beam_pipelines.dataset import vocabulary  # TensorFlow: 10 s that a second run need not pay

    beam_options = row_options(beam_argv)
    with (
        Progress("plan: join files, songs and tags"),
        make_pipeline(beam_options, "join", args.output) as pipeline,
    ):
        join.join_songs(pipeline, inputs.to_join(args, work), work)
    pieces = [
        storage.join(work, name) for name in storage.list_names(work) if name.startswith("songs-")
    ]
    if not any(True for path in pieces for _ in song_pieces.read_songs(path)):
        raise UsageError(f"no track is left to write: {why_none(plan_rejects(work))}")
    with Progress("plan: analyse the tags"), tempfile.TemporaryDirectory() as folder:
        tags = vocabulary.analyse(pieces, folder, args.top_tags)
        transform = claim.keep_folder(folder, storage.join(work, "transform"))
    if not tags:
        raise UsageError("no tag is left: not one track has a tag")
    if len(tags) > vocabulary.MAX_TAGS:
        raise UsageError(
            f"{len(tags)} tags are more than {vocabulary.MAX_TAGS}: choose with --top_tags"
        )
    numbers = {tag: number for number, (tag, _) in enumerate(tags)}
    shards, counts = _deal(args, pieces, numbers, work, beam_options)
    for warning in sharding.class_advice(counts, list(numbers)):
        print(f"warning: {warning}", file=sys.stderr)
    planned = {part: counts[part] for part in PARTS}
    found = inputs.describe() | {
        "untagged": sum(counts[part, None] for part in PARTS),
        "shards": sharding.describe(shards),
        "vocabulary": tags,
        "transform": transform,
        "planned": planned,
    }
    claim.keep_plan(work, found)
    return found


def _deal(
    args: argparse.Namespace,
    pieces: Sequence[str],
    numbers: Mapping[str, int],
    work: str,
    beam_options: PipelineOptions,
) -> tuple[list[layout.Shard], collections.Counter]:
    """Write the rows of each shard; gives the shards and the sum of the songs' counts."""
    keep = args.untagged == "keep"
    counts = sharding.count_parts(pieces, numbers, keep)
    total = sum(counts, collections.Counter())
    planned = {part: total[part] for part in PARTS}
    shards = sharding.shard_names(args.audio_format, planned, args.num_shards)
    for warning in sharding.shard_advice(planned, args.num_shards, n_cores()):
        print(f"warning: {warning}", file=sys.stderr)
    with (
        Progress("plan: deal to shards"),
        make_pipeline(beam_options, "deal", args.output) as pipeline,
    ):
        sharding.deal_songs(pipeline, pieces, counts, shards, numbers, keep, work)
    return shards, total


def _accounts(data: Mapping[str, Any]) -> str:
    counts = format_counts(data["stages"], data["listed"])
    lines = [counts, ignored_line(data["ignored"])]
    if data["untagged"]:
        lines.append(
            f"planned without a tag: {data['untagged']:,} tracks, negatives of every tag "
            "(--untagged drop leaves them out)"
        )
    return "\n".join(filter(None, lines))


def print_plan(planned: dict[str, Any], work: str) -> None:
    """Print what a plan would write."""
    rejects = plan_rejects(work)
    stages = count_stages(rejects, planned["n_files"], planned["n_songs"], upto=Stage.SPLIT)
    listed = {"files": planned["n_files"], "songs": planned["n_songs"]}
    print(_accounts(planned | {"stages": stages, "listed": listed}))
    songs = ", ".join(f"{n} {part}" for part, n in planned["planned"].items())
    n_shards, n_tags = len(planned["shards"]), len(planned["vocabulary"])
    print(f"planned: {songs} songs in {n_shards} shards, {n_tags} tags; nothing was written")


def write_missing(
    args: argparse.Namespace,
    planned: dict[str, Any],
    work: str,
    must_see: Sequence[str],
    beam_options: PipelineOptions,
) -> None:
    """Write the shards that are not finished yet."""
    settings = write.WriteSettings(
        audio_dir=args.audio_dir,
        output=args.output,
        work=work,
        audio_format=args.audio_format,
        spec=options.audio_spec(args),
        limits=filters.read_limits(args),
        vocabulary=tuple(tag for tag, _ in planned["vocabulary"]),
        must_see=tuple(must_see),
        stop_at_change=args.changed == "stop",
    )
    shards = [layout.Shard(**shard) for shard in planned["shards"]]
    damaged = layout.delete_damaged(args.output, work, shards)
    if damaged:
        more = f" and {len(damaged) - 1} other shards" if len(damaged) > 1 else ""
        print(f"{damaged[0].name}{more}: damaged, written again", file=sys.stderr)
    missing = [shard for shard in shards if layout.read_side(args.output, work, shard) is None]
    if len(missing) < len(shards):
        done = len(shards) - len(missing)
        print(f"{done} of {len(shards)} shards are finished already", file=sys.stderr)
    if missing:
        with (
            _watch(missing, args.output, work),
            make_pipeline(beam_options, "write", args.output) as pipeline,
        ):
            write.write_shards(pipeline, missing, settings)


@contextlib.contextmanager
def _watch(missing: Sequence[layout.Shard], output: str, work: str) -> Iterator[None]:
    """Show progress from outside the runner: it tells nothing while it works."""
    keys = {f"side-{shard.key}.json": shard.planned for shard in missing}

    def look_now() -> int:
        return sum(keys.get(name, 0) for name in storage.list_names(work))

    with Progress("write: clips", sum(keys.values()), look_now):
        yield


def describe_run(beam_options: PipelineOptions, started: float) -> dict[str, Any]:
    """Who built the data set, when, with what: the half of the manifest that may differ."""
    return {
        "runner": beam_options.view_as(StandardOptions).runner or "DirectRunner",
        "host": platform.node(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    run_command(main)

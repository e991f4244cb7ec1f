"""Plan: rows are joined, tags numbered, songs dealt to shards."""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.dataset import claim, join, layout, sharding, song_pieces
from beam_pipelines.dataset.finish import plan_rejects
from beam_pipelines.dataset.inputs import Inputs
from beam_pipelines.report.accounts import why_none
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.runtime.runners import make_pipeline, row_options
from schemas.common.cores import n_cores
from schemas.common.errors import UsageError
from schemas.manifest import PARTS


def make_plan(
    args: argparse.Namespace,
    inputs: Inputs,
    work: str,
    beam_argv: Sequence[str],
    more: Mapping[str, Any] | None = None,
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
    more : mapping, optional
        What else is to stand in the plan.

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
    found = (
        inputs.describe()
        | dict(more or {})
        | {
            "untagged": sum(counts[part, None] for part in PARTS),
            "shards": sharding.describe(shards),
            "vocabulary": tags,
            "transform": transform,
            "planned": planned,
        }
    )
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

"""Write: the shards that are not finished yet, seen from outside the runner."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.dataset import layout, options
from beam_pipelines.dataset.write import WriteSettings, WriteShard, write_shards
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.runtime.runners import make_pipeline
from beam_pipelines.runtime.supervisor import deaths
from beam_pipelines.scanning import filters


def write_missing(
    args: argparse.Namespace,
    planned: dict[str, Any],
    work: str,
    must_see: Sequence[str],
    beam_options: PipelineOptions,
    make_writer: Callable[[WriteSettings], WriteShard] = WriteShard,
) -> None:
    """Write the shards that are not finished yet.

    Parameters
    ----------
    args : argparse.Namespace
        The build's options.
    planned : dict
        The plan.
    work : str
        The work folder.
    must_see : sequence of str
        Files that a worker must be able to read before it begins.
    beam_options : PipelineOptions
    make_writer : callable
        What writes a shard.
    """
    settings = WriteSettings(
        audio_dir=args.audio_dir,
        output=args.output,
        work=work,
        audio_format=args.audio_format,
        spec=options.audio_spec(args),
        limits=filters.read_limits(args),
        vocabulary=tuple(tag for tag, _ in planned["vocabulary"]),
        must_see=tuple(must_see),
        stop_at_change=args.changed == "stop",
        deaths=deaths(),
        excerpt=options.excerpt(args),
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
            write_shards(pipeline, missing, make_writer(settings))


@contextlib.contextmanager
def _watch(missing: Sequence[layout.Shard], output: str, work: str) -> Iterator[None]:
    """Show progress from outside the runner: it tells nothing while it works."""
    keys = {f"side-{shard.key}.json": shard.planned for shard in missing}

    def look_now() -> int:
        return sum(keys.get(name, 0) for name in storage.list_names(work))

    with Progress("write: clips", sum(keys.values()), look_now):
        yield

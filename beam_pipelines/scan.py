"""The audio table alone: measure every file under a root once, for any number of builds.

The listing is cut into chunks; a worker measures a chunk's files and commits one table
with their rows and rejects. The two tables are put together from the chunks, in the
listing's order. A killed scan goes on with the chunks that are not there yet.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import sys
from collections.abc import Sequence

import apache_beam as beam
import pyarrow as pa
import soundfile
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.runtime import storage
from beam_pipelines.runtime.preflight import first_seen
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.runtime.resumable import (
    Chunk,
    count_done,
    cut,
    fingerprint,
    missing_chunks,
    n_files,
    work_folder,
)
from beam_pipelines.runtime.runners import make_pipeline, parse_options
from beam_pipelines.runtime.supervisor import deaths, supervised
from beam_pipelines.scanning import filters
from beam_pipelines.scanning.hearings import count_hearings, format_hearings
from beam_pipelines.scanning.listing import AudioFile, Listing, list_audio, parse_7digitalid
from beam_pipelines.scanning.losses import add_input_options
from beam_pipelines.scanning.measure import MeasureChunk, check_unread, gather
from beam_pipelines.scanning.scan_table import check_suffix, rejects_path, write_scan
from schemas import tables
from schemas.audio_files import ignored_line
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import UsageError
from schemas.common.files import delete_attempts

_OURS = ("chunk-", "listing-", "begun-")
_LISTED = pa.schema([tables.SCAN.field(name) for name in AudioFile._fields])


def main(argv: Sequence[str]) -> int:
    """Run a scan; returns the exit code."""
    args, rest = _build_parser().parse_known_args(argv)
    beam_options = parse_options(rest)
    check_suffix(args.output, "--output")
    if storage.is_local(args.output) and os.path.isdir(args.output):
        raise UsageError(f"--output: {args.output} is a directory, not a file")
    listing = _list_files(args)
    with work_folder(args.output) as work:
        if storage.is_local(args.output):
            delete_attempts(rejects_path(args.output))
        chunks = _measure(args, listing, work, beam_options)
        kept, rejects = gather(chunks, len(listing.files))
        check_unread(chunks, rejects, len(listing.files), args.max_unreadable)
        write_scan(rejects_path(args.output), rejects)
        write_scan(args.output, kept)
        for name in storage.list_names(work):
            if name.startswith(_OURS):
                storage.delete(storage.join(work, name))
    print(_summary(args, listing, kept, rejects))
    return 0


def _build_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m beam_pipelines.scan",
        description="Measure every audio file of a 7digital tree, a folder or a CSV file: size, "
        "headers, what decodes, silence. One row a kept file; the others, with their reasons, in "
        "a table beside it.",
        epilog="All of Beam's options are taken too: --runner (DirectRunner by default, on every "
        "core), --direct_num_workers, those of your runner. A killed scan is started again with "
        "the same command. Exit codes: 0 done, 1 failed, 2 wrong arguments or input.",
    )
    parser.add_argument(
        "--audio_dir", help="root of the audio; with --manifest by default the folder of the CSV"
    )
    parser.add_argument(
        "--names",
        choices=("7digital", "any"),
        help="7digital rejects what is not named <7digital id>.clip.mp3; any with --manifest, "
        "7digital without it",
    )
    parser.add_argument(
        "--manifest",
        metavar="FILE",
        help="a CSV file of your own, as beam_pipelines.build takes it: its files alone",
    )
    parser.add_argument(
        "--output",
        required=True,
        help="the table, FILE.parquet or FILE.csv; the rejects go to FILE.rejects.parquet or "
        ".csv. Tables that are there are replaced",
    )
    add_input_options(parser)
    filters.add_filters(parser.add_argument_group("audio filters (each off at 0)"))
    return parser


def _list_files(args: argparse.Namespace) -> Listing:
    """The files to measure; settles the options that depend on each other."""
    if args.manifest:
        # h5py and the like, which only a build and a table of one's own need
        from beam_pipelines.sources.finding import find_each, under
        from beam_pipelines.sources.labels import read_labels

        args.names = args.names or "any"
        args.audio_dir = args.audio_dir or os.path.dirname(args.manifest) or "."
        paths = [row.path for row in read_labels(args.manifest)]
        with Progress("look for the audio files"):
            files = find_each(paths, under(args.audio_dir), f"under --audio_dir {args.audio_dir}")
        return Listing(sorted(files.values()), ignored={})
    if not args.audio_dir:
        raise UsageError("--audio_dir is missing (or --manifest, for the files of a CSV)")
    args.names = args.names or "7digital"
    with Progress("list the audio files"):
        listing = list_audio(args.audio_dir)
    of_7digital = any(parse_7digitalid(file.path) is not None for file in listing.files)
    if args.names == "7digital" and not of_7digital:
        raise UsageError(
            f"none of the {len(listing.files):,} audio files under {args.audio_dir} is named "
            "<7digital id>.clip.mp3: --names any takes files of any name"
        )
    return listing


def _measure(
    args: argparse.Namespace, listing: Listing, work: str, beam_options: PipelineOptions
) -> list[Chunk]:
    """Measure the chunks that are not there yet; returns all."""
    audio_dir, limits = args.audio_dir, filters.read_limits(args)
    any_name, stop = args.names == "any", args.changed == "stop"
    listed = pa.table(list(zip(*listing.files, strict=True)), schema=_LISTED)
    settings = [audio_dir, dataclasses.astuple(limits), soundfile.__libsndfile_version__, any_name]
    plan_id = fingerprint(settings, *(column.to_pylist() for column in listed.columns))
    chunks = cut(len(listing.files), work, plan_id, most=100, least=64)
    missing = missing_chunks(chunks, work)
    if len(missing) < len(chunks):
        done = len(listing.files) - n_files(missing)
        print(f"{done:,} files are measured already", file=sys.stderr)
    if not missing:
        return chunks
    listing_path = storage.join(work, f"listing-{plan_id[:12]}.parquet")
    storage.write_table(listing_path, listed)
    in_order = (storage.join(audio_dir, file.path) for file in listing.files)
    must_see = (listing_path, *first_seen(in_order))
    measuring = MeasureChunk(audio_dir, listing_path, limits, must_see, any_name, stop, deaths())
    with (
        Progress("measure: files", n_files(missing), count_done(missing, work)),
        make_pipeline(beam_options, "scan", work) as job,
    ):
        _ = (
            job
            | "Chunks of the listing" >> beam.Create([dataclasses.astuple(x) for x in missing])
            | "Spread the chunks" >> beam.Reshuffle()
            | "Decode and measure" >> beam.ParDo(measuring)
        )
    return chunks


def _summary(args: argparse.Namespace, listing: Listing, kept: pa.Table, rejects: pa.Table) -> str:
    reasons = collections.Counter[str](rejects["reason"].to_pylist())
    why = ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items()))
    lines = [
        f"listed   {len(listing.files):>9,}  audio files",
        f"kept     {len(kept):>9,}  {args.output}",
        f"rejected {len(rejects):>9,}  {rejects_path(args.output)}" + (f": {why}" if why else ""),
    ]
    lines.append(format_hearings(count_hearings(kept)))
    return "\n".join([*lines, *filter(None, [ignored_line(listing.ignored)])])


if __name__ == "__main__":
    run_command(supervised(main))

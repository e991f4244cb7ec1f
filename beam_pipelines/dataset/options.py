"""The command line of ``beam_pipelines.build``: options, defaults, what does not fit together."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from beam_pipelines.scanning.excerpt import PLACES, Excerpt
from beam_pipelines.scanning.filters import add_filters
from beam_pipelines.scanning.losses import add_input_options
from beam_pipelines.sources import kinds
from schemas.audio_spec import AUDIO_FORMATS, COMPRESSIONS, WAVEFORM, AudioSpec
from schemas.common.arguments import percent, positive, positive_int
from schemas.common.command import ArgumentParser
from schemas.common.errors import UsageError


def build_parser() -> ArgumentParser:
    """The parser of the build's own options; Beam's are parsed after it."""
    parser = ArgumentParser(
        prog="python -m beam_pipelines.build",
        description="Clean and join the Million Song Dataset, or take another data set or music of "
        "your own (--source), and write a sharded data set.",
        epilog="All of Beam's options are taken too: --runner (DirectRunner by default, on every "
        "core), --direct_num_workers, those of your runner. Exit codes: 0 done (rejects are no "
        "failure), 1 failed, 2 wrong arguments or input.",
    )
    _add_inputs(parser.add_argument_group("inputs and output"))
    _add_format(parser.add_argument_group("what is stored"))
    _add_split(parser.add_argument_group("shards and split"))
    _add_tags(parser.add_argument_group("tags"))
    add_filters(parser.add_argument_group("audio filters (each off at 0)"))
    return parser


def retag_parser() -> ArgumentParser:
    """The parser of ``beam_pipelines.retag``: inputs and tags; the rest stays as it was built."""
    parser = ArgumentParser(
        prog="python -m beam_pipelines.retag",
        description="Write a data set with the same audio and other tags, without decoding. The "
        "inputs are named as for beam_pipelines.build; a tag option that is not given stays as it "
        "was (but for --tag_lists). What the first build did not write cannot come back: a track "
        "that had no tag then is a reject, not_in_dataset.",
        epilog="All of Beam's options are taken too. Exit codes: 0 done, 1 failed, 2 wrong "
        "arguments or input.",
    )
    parser.add_argument("dataset", help="directory of a finished data set, on this machine")
    _add_inputs(parser.add_argument_group("inputs and output"), retag=True)
    _add_split(parser.add_argument_group("split"), retag=True)
    _add_tags(parser.add_argument_group("tags"))
    return parser


def as_built(given: argparse.Namespace, built: Mapping[str, Any]) -> argparse.Namespace:
    """The options of a retagging: as given, else as the data set was built with.

    Parameters
    ----------
    given : argparse.Namespace
        From :func:`retag_parser`.
    built : mapping
        The options of the data set's manifest.
    """
    args = vars(build_parser().parse_args(["--output", given.output]))
    known = {name: value for name, value in built.items() if name in args}
    args.update(known, split=None if built["split"] == "file" else built["split"])
    args.update({name: value for name, value in vars(given).items() if value is not None})
    del args["dataset"]
    args["split_percent"] = tuple(args["split_percent"])
    return argparse.Namespace(**args)


def _add_inputs(group: argparse._ArgumentGroup, retag: bool = False) -> None:
    group.add_argument(
        "--audio_dir",
        help="root of the audio; with --manifest what its paths are relative to, by default its "
        "own folder",
    )
    group.add_argument(
        "--scan",
        help="table of beam_pipelines.scan: files whose size and time of change it still has are "
        "judged by it and not decoded in vain; with --dry_run it stands in for --audio_dir too",
    )
    kinds.add_options(group)
    group.add_argument("--output", required=True, help="directory of the data set")
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace another data set in --output (deletes only the files that a build writes)",
    )
    add_input_options(group)
    if not retag:
        group.add_argument(
            "--dry_run", action="store_true", help="plan, print the counts and write nothing"
        )
        group.add_argument(
            "--tables",
            metavar="DIR",
            help="with --dry_run: write what would be tried, with all joined columns (and those of "
            "--scan), and what is ruled out: tracks and rejects, as .parquet and .csv",
        )
    group.add_argument(
        "--table_format",
        choices=("parquet", "csv"),
        default="parquet",
        help="csv writes tracks.csv and rejects.csv too, also beside a finished data set",
    )


def _add_format(group: argparse._ArgumentGroup) -> None:
    spec = AudioSpec()
    group.add_argument(
        "--audio_format",
        choices=AUDIO_FORMATS,
        default=WAVEFORM,
        help="16-bit samples, or float32 frames; a waveform data set trains either front end",
    )
    group.add_argument("--sample_rate", type=int, default=spec.sample_rate, help="Hz")
    group.add_argument("--n_mels", type=int, default=spec.n_mels, help="mel bands")
    group.add_argument("--n_fft", type=int, default=spec.n_fft, help="samples in an FFT window")
    group.add_argument(
        "--hop_length", type=int, default=spec.hop_length, help="samples between frames"
    )
    group.add_argument(
        "--compression",
        choices=COMPRESSIONS,
        default=spec.compression,
        help="power in dB with a floor 80 dB under the clip's maximum, or log10(10000 S + 1)",
    )

    group.add_argument(
        "--excerpt_seconds",
        type=positive,
        metavar="N",
        help="store N s of a longer recording; silence is measured, and filtered, in the whole",
    )
    group.add_argument(
        "--excerpt", choices=PLACES, help="from where: centre, if not said otherwise"
    )


def _add_split(group: argparse._ArgumentGroup, retag: bool = False) -> None:
    group.add_argument(
        "--split",
        help="official (the published one, the default where there is one), artist (no artist in "
        "two parts, the default elsewhere), track, or a CSV file with the columns track_id and "
        "split (train, validation, test); a split in --manifest wins",
    )
    if retag:
        return
    group.add_argument(
        "--num_shards", type=positive_int, default=100, help="shards of all three parts together"
    )
    group.add_argument(
        "--split_percent",
        type=percent,
        default="80,10,10",
        help="shares of train, validation and test, of artists or of tracks",
    )


def _add_tags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--tag_cleaning",
        choices=("lists", "merge", "none"),
        help="lists merges spellings into the tags of curated lists, merge into any frequent tag, "
        "none takes the tags as they are; lists for msd, merge for file-tags, else none",
    )
    group.add_argument("--tag_lists", help="directory of tag lists (default: the project's own)")
    group.add_argument(
        "--tag_threshold",
        type=positive_int,
        help="tracks that a genre must have: 2000, with --tag_cleaning merge 10",
    )
    group.add_argument(
        "--tag_pool_threshold",
        type=positive_int,
        help="tracks that a spelling must have to be merged into a tag: 10, with --tag_cleaning "
        "merge 1",
    )
    group.add_argument(
        "--spellings",
        choices=("merge", "keep"),
        help="merge makes one tag of those that differ in case, spaces or Unicode's two forms "
        "alone, under the most frequent spelling; merge, but for msd",
    )
    group.add_argument(
        "--val_above",
        type=float,
        help="count only (track, tag) pairs whose val is greater than this; every pair by default",
    )
    group.add_argument(
        "--top_tags", type=positive_int, help="keep the most frequent tags only; all by default"
    )
    group.add_argument(
        "--untagged",
        choices=("keep", "drop"),
        help="what a track without a tag is: keep writes it, a negative of every tag, drop rejects "
        "it as unknown; drop for msd, fma, folders and file-tags, else keep",
    )
    group.add_argument(
        "--keep_untagged",
        action="store_const",
        const="keep",
        dest="untagged",
        help="--untagged keep",
    )


def audio_spec(args: argparse.Namespace) -> AudioSpec:
    """The signal front end that the options describe.

    Raises
    ------
    UsageError
        If the values make no front end.
    """
    return AudioSpec(args.sample_rate, args.n_mels, args.n_fft, args.hop_length, args.compression)


def excerpt(args: argparse.Namespace) -> Excerpt | None:
    """The part of a recording that the options ask for; None for the whole."""
    return Excerpt(args.excerpt_seconds, args.excerpt) if args.excerpt_seconds else None


def check_together(args: argparse.Namespace) -> None:
    """Look for options that contradict each other; settle those that depend on others.

    Raises
    ------
    UsageError
        Naming them.
    """
    kinds.settle(args)
    few = args.tag_cleaning == "merge"
    args.tag_threshold = args.tag_threshold or (10 if few else 2000)
    args.tag_pool_threshold = args.tag_pool_threshold or (1 if few else 10)
    if args.tag_pool_threshold > args.tag_threshold:
        raise UsageError(
            f"--tag_pool_threshold {args.tag_pool_threshold} is over --tag_threshold "
            f"{args.tag_threshold}: a tag would not be in its own pool"
        )
    if args.tag_cleaning != "lists" and args.tag_lists:
        raise UsageError(f"--tag_lists has no meaning with --tag_cleaning {args.tag_cleaning}")
    if args.tables and not args.dry_run:
        raise UsageError("--tables has no meaning without --dry_run")
    if args.excerpt and not args.excerpt_seconds:
        raise UsageError("--excerpt has no meaning without --excerpt_seconds")
    args.excerpt = args.excerpt or ("centre" if args.excerpt_seconds else None)
    audio_spec(args)

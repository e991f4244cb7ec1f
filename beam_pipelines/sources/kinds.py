"""The kinds of sources that a build knows, and the options that each takes."""

from __future__ import annotations

import argparse

from beam_pipelines.sources import (
    file_tags,
    fma,
    folders,
    labels,
    magnatagatune,
    million_song,
    mtg_jamendo,
)
from beam_pipelines.sources.source import Kind
from schemas.common.errors import UsageError

KINDS: tuple[Kind, ...] = (
    million_song.KIND,
    labels.KIND,
    magnatagatune.KIND,
    mtg_jamendo.KIND,
    fma.KIND,
    folders.KIND,
    file_tags.KIND,
)
_OF_SINGLE_SOURCES = sorted({option for kind in KINDS for option in kind.options})


def add_options(group: argparse._ArgumentGroup) -> None:
    """Add ``--source`` and the options of single sources to a group of a parser."""
    group.add_argument(
        "--source",
        choices=[kind.name for kind in KINDS],
        help="where songs, files and tags come from (docs/datasets.md); labels if --manifest is "
        "given, else msd, the Million Song Dataset",
    )
    for kind in KINDS:
        kind.add_options(group)


def chosen_kind(args: argparse.Namespace) -> Kind:
    """The kind that ``--source`` names, or that is meant where it names none."""
    name = args.source or ("labels" if args.manifest else "msd")
    return next(kind for kind in KINDS if kind.name == name)


def settle(args: argparse.Namespace) -> None:
    """Check the options of the chosen source and fill in its defaults.

    Raises
    ------
    UsageError
        Naming an option that is missing, or has no meaning with the source.
    """
    kind = chosen_kind(args)
    said = f"--source {args.source}" if args.source else "--manifest" if args.manifest else ""
    for name in _OF_SINGLE_SOURCES:
        if name not in kind.options and getattr(args, name) is not None:
            with_what = f"with {said}" if said else "without --source"
            raise UsageError(f"--{name} has no meaning {with_what}")
    if args.split == "official" and not kind.official:
        raise UsageError(f"--split official: {said or 'the dataset'} has no published split")
    args.split = args.split or ("official" if kind.official else "artist")
    args.untagged = args.untagged or kind.untagged
    args.tag_cleaning = args.tag_cleaning or kind.tag_cleaning
    if "spellings" in kind.options:
        args.spellings = args.spellings or "merge"
    kind.settle(args)

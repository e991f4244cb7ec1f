"""MTG-Jamendo: whole tracks under Creative Commons licences, with the tags of their musicians.

References
----------
D. Bogdanov et al.: The MTG-Jamendo dataset for automatic music tagging. ICML 2019 workshop.
https://github.com/MTG/mtg-jamendo-dataset
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from beam_pipelines.runtime import storage
from beam_pipelines.sources.annotations import find_table, read_table, settle_annotations
from beam_pipelines.sources.labelled import Labelled, LabelledFiles, label_files
from beam_pipelines.sources.source import Kind
from schemas.common.errors import UsageError
from schemas.manifest import PARTS

GROUPS = {
    "top50": "autotagging_top50tags",
    "genre": "autotagging_genre",
    "instrument": "autotagging_instrument",
    "moodtheme": "autotagging_moodtheme",
    "all": "autotagging",
}
HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
_SPLITS = range(5)


def parse_tracks(rows: Iterable[Sequence[str]], name: str, part: str = "") -> list[Labelled]:
    """The tracks of a list.

    Parameters
    ----------
    rows : iterable of sequence of str
        The header first. A track's tags stand in the sixth column and all after it, which
        have no names of their own.
    name : str
        What errors call it.
    part : str
        train, validation or test; empty if the list is of no part.

    Raises
    ------
    UsageError
        If it is no such list, or a row has no path.
    """
    lines = iter(rows)
    if list(next(lines, [])) != HEADER:
        raise UsageError(f"{name}: the first line must be {' '.join(HEADER)}, between tabs")
    found = []
    for fields in lines:
        if len(fields) < len(HEADER):
            raise UsageError(f"{name}: {fields[0]} has {len(fields)} fields, not 6 or more")
        track, artist, album, path, _, *tags = fields
        named = tuple(dict.fromkeys(filter(None, tags)))
        found.append(Labelled(path, named, artist, part, track, release=album))
    return found


def low_bitrate(path: str) -> str:
    """The name of the copy with a low bit rate: ``15/215.mp3`` is ``15/215.low.mp3``."""
    return path.removesuffix(".mp3") + ".low.mp3"


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--tag_group", choices=sorted(GROUPS), help="mtg-jamendo: which of its tags; top50"
    )
    group.add_argument(
        "--split_number",
        type=int,
        choices=_SPLITS,
        help="mtg-jamendo: which of its five splits; 0, which papers use",
    )


def _settle(args: argparse.Namespace) -> None:
    if args.split != "official" and args.split_number is not None:
        raise UsageError(f"--split_number has no meaning with --split {args.split}")
    args.tag_group = args.tag_group or "top50"
    if args.split == "official":
        args.split_number = args.split_number or 0
    settle_annotations(args)


def _look(args: argparse.Namespace) -> LabelledFiles:
    stem = GROUPS[args.tag_group]
    lists = {f"{stem}.tsv": ""}
    if args.split == "official":
        lists = {f"splits/split-{args.split_number}/{stem}-{part}.tsv": part for part in PARTS}
    rows, inputs = list[Labelled](), dict[str, str]()
    for name, part in lists.items():
        path = find_table(args.annotations, name, ("data",))
        rows += parse_tracks(read_table(path, "\t", quoted=False), path, part)
        inputs[name] = storage.sha256(path)
    if not rows:
        raise UsageError(f"--annotations: the lists of {stem} in {args.annotations} are empty")
    return label_files(args, rows, inputs, other_name=low_bitrate)


KIND = Kind(
    "mtg-jamendo",
    ("annotations", "tag_group", "split_number", "spellings"),
    _add_options,
    _settle,
    _look,
    places=("annotations",),
    official=True,
)

"""One folder a tag: GTZAN, and whatever lies in folders by its kind."""

from __future__ import annotations

import argparse
import posixpath
import sys
from collections.abc import Iterable, Mapping, Sequence

from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.scanning.judge import list_scan
from beam_pipelines.scanning.listing import Listing, list_audio
from beam_pipelines.scanning.scan_table import read_scan
from beam_pipelines.sources.labelled import Labelled, LabelledFiles, label_files, settle_place
from beam_pipelines.sources.source import Kind
from schemas.common.errors import UsageError
from schemas.manifest import PARTS
from schemas.rejects import Reason

_GTZAN_BROKEN = "jazz/jazz.00054"  # of 1,000 clips the one that no decoder reads


def parse_lists(texts: Mapping[str, str]) -> dict[str, str]:
    """The part of each path that three lists name.

    Parameters
    ----------
    texts : mapping
        Text by the name that errors call it, for train, validation and test in turn; a
        relative path a line.

    Returns
    -------
    dict
        Path without suffix to part: a list of ``.wav`` holds for a copy in ``.au``.

    Raises
    ------
    UsageError
        If a list is empty or a path is in two.
    """
    parts: dict[str, str] = {}
    for part, (name, text) in zip(PARTS, texts.items(), strict=True):
        paths = [line.strip() for line in text.removeprefix("\ufeff").splitlines() if line.strip()]
        if not paths:
            raise UsageError(f"--split_lists: {name} names no file")
        for path in paths:
            stem = posixpath.splitext(posixpath.normpath(path))[0]
            if parts.setdefault(stem, part) != part:
                raise UsageError(f"--split_lists: {path} is in two of the lists")
    return parts


def tag_by_folder(paths: Iterable[str], parts: Mapping[str, str]) -> list[Labelled]:
    """Tracks whose tags are the folders that they lie in, the outermost first.

    Parameters
    ----------
    paths : iterable of str
        Relative to the root, with '/'.
    parts : mapping
        From :func:`parse_lists`; may be empty.
    """
    return [
        Labelled(
            path,
            tuple(dict.fromkeys(path.split("/")[:-1])),
            part=parts.get(posixpath.splitext(path)[0], ""),
        )
        for path in paths
    ]


def list_files(args: argparse.Namespace) -> Listing:
    """The audio under ``--audio_dir``, or the files of ``--scan`` in its place."""
    if args.audio_dir:
        with Progress("list the audio files"):
            return list_audio(args.audio_dir)
    return list_scan(read_scan(args.scan, "--scan"))


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--split_lists",
        nargs=3,
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="folders: three text files with a path below --audio_dir a line (GTZAN's "
        "fault-filtered lists); a file in none of them is a reject",
    )


def _settle(args: argparse.Namespace) -> None:
    if args.split_lists and args.split != "artist":
        raise UsageError(f"--split {args.split} has no meaning with --split_lists")
    settle_place(args)


def _look(args: argparse.Namespace) -> LabelledFiles:
    listing = list_files(args)
    lists: Sequence[str] = args.split_lists or ()
    texts = {path: storage.read_text(path, "--split_lists") for path in lists}
    if lists and len(texts) < 3:
        raise UsageError("--split_lists: the three lists must be three files")
    parts = parse_lists(texts) if lists else {}
    rows = tag_by_folder((file.path for file in listing.files), parts)
    if parts:
        n_found = sum(bool(row.part) for row in rows)
        if not n_found:
            raise UsageError(
                f"--split_lists: none of the {len(parts)} files is under {args.audio_dir}; their "
                f"paths begin there, as {next(iter(parts))} does"
            )
        print(f"--split_lists: {len(parts)} files are listed, {n_found} are there", file=sys.stderr)
    broken = (Reason.UNDECODABLE, "broken in the published data set")
    faults = {row.path: broken for row in rows if _is_broken(row.path)}
    inputs = {
        f"split_lists_{part}": storage.sha256(path)
        for part, path in zip(PARTS[: len(lists)], lists, strict=True)
    }
    return label_files(args, rows, inputs, listing, faults=faults)


def _is_broken(path: str) -> bool:
    return f"/{posixpath.splitext(path)[0]}".endswith(f"/{_GTZAN_BROKEN}")


KIND = Kind(
    "folders",
    ("split_lists", "spellings"),
    _add_options,
    _settle,
    _look,
    places=("split_lists",),
    untagged="drop",
)

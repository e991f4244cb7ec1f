"""Rows of a file and its tags: what every source but the Million Song Dataset gives the join."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.million_song.summary_file import Song
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.scanning.listing import ListedFile, Listing
from beam_pipelines.scanning.scan_table import read_scan
from beam_pipelines.sources import finding
from beam_pipelines.sources.source import REJECTS, Rows, pack, ranges
from beam_pipelines.tags.spelling import merge_spellings, merged_line
from schemas.common.errors import UsageError
from schemas.rejects import SONG, Reason, Reject
from schemas.split_file import parse_split

_TAGS = "tags"
_AS_THEY_ARE = ("track_id", "title", "release", "year", "path")
_SONG = ("track_id", "artist_id", "artist_name", "title", "release", "path")


class Labelled(NamedTuple):
    """A track as an annotation describes it.

    Attributes
    ----------
    path : str
        Of its file under the audio root, with '/'.
    tags : tuple of str
        In the annotation's order, each once.
    artist : str
        What must not be torn apart by a split; empty if it is not known.
    part : str
        train, validation or test; empty where the annotation names no part.
    number : str
        The annotation's own id; empty where it has none.
    artist_name, title, release : str
        Empty if they are not known.
    year : int
        0 if it is not known.
    """

    path: str
    tags: tuple[str, ...]
    artist: str = ""
    part: str = ""
    number: str = ""
    artist_name: str = ""
    title: str = ""
    release: str = ""
    year: int = 0

    @property
    def track_id(self) -> str:
        """The annotation's own, or like one of the Million Song Dataset, of the path's MD5."""
        return self.number or "TR" + hashlib.md5(self.path.encode()).hexdigest()[:16].upper()


def popularity(rows: Sequence[Labelled]) -> list[RawTag]:
    """The tags with a number of their own and their rows, the most frequent first."""
    counts = collections.Counter(tag for row in rows for tag in row.tags)
    tags = [RawTag(number, tag, counts[tag]) for number, tag in enumerate(sorted(counts), start=1)]
    return sorted(tags, key=lambda tag: (-tag.count, tag.number))


def labelled_table(
    rows: Sequence[Labelled],
    paths: Mapping[str, str],
    faults: Mapping[str, tuple[Reason, str]],
    judged: pa.Table,
    tags: Sequence[RawTag],
    raw_to_clean: Mapping[int, str] | None,
) -> pa.Table:
    """What :meth:`LabelledFiles.read` reads.

    Parameters
    ----------
    rows : sequence of Labelled
    paths : mapping
        Path of a row to that of its file; one without a file is left out.
    faults : mapping
        Path of a row to what is known to be wrong with its file.
    judged : pa.Table
        The fields of ``ListedFile`` of the files that are there.
    tags : sequence of RawTag
        From :func:`popularity`.
    raw_to_clean : mapping or None
        Number of a tag to its clean tag; None takes them as they are.
    """
    clean = {tag.tag: tag.tag for tag in tags}
    if raw_to_clean is not None:
        clean = {t.tag: raw_to_clean[t.number] for t in tags if t.number in raw_to_clean}
    files = {file["path"]: file for file in judged.to_pylist()}

    def file_of(row: Labelled) -> dict[str, Any] | None:
        file = files.get(paths.get(row.path, ""))
        if file is None or row.path not in faults:
            return file
        reason, detail = faults[row.path]
        return {**file, "reason": reason.value, "detail": detail}

    columns = [
        {
            **{
                name: getattr(row, name)
                for name in ("track_id", "title", "release", "year", "path")
            },
            "artist_id": row.artist,
            "artist_name": row.artist_name or row.artist,
            "tags": sorted({clean[tag] for tag in row.tags if tag in clean}),
            "file": file_of(row),
        }
        for row in rows
    ]
    schema = pa.schema(
        [
            *((name, pa.string()) for name in _SONG),
            ("year", pa.int32()),
            ("tags", pa.list_(pa.string())),
            ("file", pa.struct(judged.schema)),
        ]
    )
    return pa.Table.from_pylist(columns, schema)


class _ReadLabelled(beam.DoFn):
    """Rows as pairs of a song and its file, and its tags as another output."""

    def __init__(self, path: str) -> None:
        self.path = path

    def process(self, rows: tuple[int, int]) -> Iterator[Any]:
        for row in storage.read_rows(self.path, *rows).to_pylist():
            track_id = row["track_id"]
            if row["file"] is None:
                reject = Reject(SONG, row["path"], track_id, None, Reason.NO_AUDIO)
                yield pvalue.TaggedOutput(REJECTS, pack(reject))
                continue
            about = (row[name] for name in ("artist_id", "artist_name", "title", "release", "year"))
            song = Song(track_id, 0, "", *about)
            yield track_id, (tuple(song), tuple(ListedFile(**row["file"])))
            yield pvalue.TaggedOutput(_TAGS, (track_id, row["tags"]))


@dataclasses.dataclass(frozen=True)
class LabelledFiles:
    """Annotated tracks and their files; see ``Source``.

    Attributes
    ----------
    rows : sequence of Labelled
    listing : Listing
        The files that are there.
    paths : mapping
        Path of a row to that of its file.
    inputs : mapping
        What tells the annotation from others, as JSON values.
    faults : mapping
        Path of a row to what is known to be wrong with its file.
    spellings : mapping
        Tag to how the rows wrote it, each with its count, where they differ.
    """

    rows: Sequence[Labelled]
    listing: Listing
    paths: Mapping[str, str]
    inputs: Mapping[str, Any]
    split: Mapping[str, str] | None = None
    scan: pa.Table | None = None
    faults: Mapping[str, tuple[Reason, str]] = dataclasses.field(default_factory=dict)
    spellings: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    mismatches: Sequence[str] = ()
    duplicates: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def n_songs(self) -> int:
        """Rows of the annotation."""
        return len(self.rows)

    def popularity(self) -> Sequence[RawTag]:
        """See :func:`popularity`."""
        return popularity(self.rows)

    def fingerprints(self) -> dict[str, Any]:
        """What tells the annotation, and a scan, from others."""
        return dict(self.inputs)

    def to_read(self, judged: pa.Table, clean: Mapping[int, str] | None) -> pa.Table:
        """See :func:`labelled_table`."""
        return labelled_table(self.rows, self.paths, self.faults, judged, self.popularity(), clean)

    def read(
        self, pipeline: beam.Pipeline, table: str, n_rows: int, clean: Mapping[int, str] | None
    ) -> Rows:
        """Pairs, tags and rejects of the labelled table."""
        found = (
            pipeline
            | "Ranges of the labelled files" >> beam.Create(ranges(n_rows))
            | "Spread the labelled files" >> beam.Reshuffle()
            | "Read the labelled files"
            >> beam.ParDo(_ReadLabelled(table)).with_outputs(REJECTS, _TAGS, main="pairs")
        )
        return Rows(found.pairs, found[_TAGS], (found[REJECTS],))


def label_files(
    args: argparse.Namespace,
    rows: Sequence[Labelled],
    inputs: Mapping[str, Any],
    listing: Listing | None = None,
    other_name: Callable[[str], str] | None = None,
    faults: Mapping[str, tuple[Reason, str]] | None = None,
) -> LabelledFiles:
    """Put annotated tracks and their files together, as the options say.

    Parameters
    ----------
    args : argparse.Namespace
        The build's options: audio_dir, scan, split, spellings.
    rows : sequence of Labelled
    inputs : mapping
        What tells the annotation from others.
    listing : Listing, optional
        The files, where they make the rows; by default those of the rows are looked for.
    other_name : callable, optional
        A second name that a path's file may have.
    faults : mapping, optional
        Path of a row to what is known to be wrong with its file; EMPTY_FILE holds for one
        that is empty indeed.

    Raises
    ------
    UsageError
        If no file is there, or the scan or the split file cannot be used.
    """
    scan = read_scan(args.scan, "--scan") if args.scan else None
    prints = {**inputs, **({"scan": storage.sha256(args.scan)} if args.scan else {})}
    if listing is None:
        listing, names = _look_for(args, [row.path for row in rows], scan, other_name)
        print(f"{len(rows):,} tracks are listed, {len(names):,} have audio", file=sys.stderr)
    else:
        names = {file.path: file.path for file in listing.files}
        if args.split == "artist" and not any(row.artist or row.part for row in rows):
            print("no artist is known: the split is by track", file=sys.stderr)
    spellings: Mapping[str, Mapping[str, int]] = {}
    if args.spellings == "merge":
        merged, spellings = merge_spellings([row.tags for row in rows])
        rows = [row._replace(tags=tags) for row, tags in zip(rows, merged, strict=True)]
        if spellings:
            print(merged_line(spellings), file=sys.stderr)
    split, more = _parts(args, rows)
    sizes = {file.path: file.size for file in listing.files}
    known = {
        path: fault
        for path, fault in (faults or {}).items()
        if fault[0] is not Reason.EMPTY_FILE or sizes.get(names.get(path, "")) == 0
    }
    return LabelledFiles(rows, listing, names, {**prints, **more}, split, scan, known, spellings)


def _look_for(
    args: argparse.Namespace,
    paths: Sequence[str],
    scan: pa.Table | None,
    other_name: Callable[[str], str] | None,
) -> tuple[Listing, dict[str, str]]:
    """The files of some paths, under the audio folder or in the scan; and each path's file."""
    if args.audio_dir or scan is None:
        find, where = finding.under(args.audio_dir), f"under --audio_dir {args.audio_dir}"
    else:
        find, where = finding.measured(scan), f"in --scan {args.scan}"
    with Progress("look for the audio files"):
        files = finding.find_each(paths, find, where, other_name)
    listing = Listing(sorted(files.values()), ignored={})
    return listing, {path: file.path for path, file in files.items()}


def _parts(
    args: argparse.Namespace, rows: Sequence[Labelled]
) -> tuple[dict[str, str] | None, dict[str, Any]]:
    """The part of each track where parts are named, and what tells the file that names them."""
    if any(row.part for row in rows):
        return {row.track_id: row.part for row in rows if row.part}, {}
    if args.split in ("artist", "track"):
        return None, {}
    text = storage.read_text(args.split, "--split")
    return parse_split(text, args.split), {"split_file": storage.sha256(args.split)}


def settle_place(args: argparse.Namespace, default: str | None = None) -> None:
    """See that there is audio, or a scan for a dry run.

    Raises
    ------
    UsageError
        If there is neither.
    """
    if args.scan and args.dry_run:
        return
    args.audio_dir = args.audio_dir or default
    if not args.audio_dir:
        raise UsageError("--audio_dir is missing (only --scan with --dry_run can do without)")

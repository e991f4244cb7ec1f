"""Audio files and tags of one's own: a CSV file in place of the Million Song Dataset's files."""

from __future__ import annotations

import argparse
import collections
import csv
import dataclasses
import hashlib
import io
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.million_song.summary_file import Song
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.scanning.judge import list_scan
from beam_pipelines.scanning.listing import AudioFile, ListedFile, Listing
from beam_pipelines.scanning.scan_table import read_scan
from beam_pipelines.sources.source import REJECTS, Kind, Rows, pack, ranges
from schemas.common.errors import UsageError
from schemas.manifest import PARTS
from schemas.rejects import SONG, Reason, Reject

_TAGS = "tags"
_BETWEEN_TAGS = re.compile(r"[;|]")
_NEEDED = ("path", "tags")


class Labelled(NamedTuple):
    """A row of the CSV file.

    Attributes
    ----------
    path : str
        As it is written, without what a path can do without ('./', '//').
    tags : tuple of str
        In its order, each once.
    artist : str
        Empty if it is not known.
    part : str
        train, validation or test; empty if the file has no column split.
    """

    path: str
    tags: tuple[str, ...]
    artist: str = ""
    part: str = ""

    @property
    def track_id(self) -> str:
        """Like one of the Million Song Dataset, made of the MD5 of the path."""
        return "TR" + hashlib.md5(self.path.encode()).hexdigest()[:16].upper()


def parse_labelled(text: str, name: str) -> list[Labelled]:
    """Read a CSV file with the columns path, tags and, if one wants, artist and split.

    Parameters
    ----------
    text : str
        Its content. Tags stand in one field, with ``;`` or ``|`` between them; other
        columns are passed over.
    name : str
        What errors call it.

    Raises
    ------
    UsageError
        Naming the line: a missing column, a line of another length, a path that is
        empty or there twice, an unknown part.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        missing = set(_NEEDED) - set(reader.fieldnames or ())
        if missing:
            raise UsageError(
                f"{name} has no column {' or '.join(sorted(missing))}: needed is a header line "
                "path,tags and commas between the fields"
            )
        rows, lines = [], dict[str, int]()
        for fields in reader:
            row = _parse_row(fields, f"{name}, line {reader.line_num}")
            first = lines.setdefault(row.path, reader.line_num)
            if first != reader.line_num:
                raise UsageError(
                    f"{name}, line {reader.line_num}: {row.path} is in line {first} already"
                )
            rows.append(row)
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: {error}") from error
    if not rows:
        raise UsageError(f"{name} names no file")
    return rows


def _parse_row(fields: Mapping, where: str) -> Labelled:
    if None in fields or None in fields.values():
        many = "more" if None in fields else "fewer"
        raise UsageError(
            f"{where} has {many} fields than the header; a path or tag with a comma needs quotes"
        )
    path = fields["path"].strip()
    if not path or "\0" in path:
        raise UsageError(f"{where}: path is {path!r}")
    part = fields.get("split", "").strip()
    if "split" in fields and part not in PARTS:
        raise UsageError(f"{where}: split is {part!r}; allowed are {', '.join(PARTS)}")
    tags = (" ".join(tag.split()) for tag in _BETWEEN_TAGS.split(fields["tags"]))
    return Labelled(
        posixpath.normpath(path),
        tuple(dict.fromkeys(tag for tag in tags if tag)),
        fields.get("artist", "").strip(),
        part,
    )


def list_labelled(rows: Sequence[Labelled], root: str) -> Listing:
    """The files of the rows that are there, sorted by path.

    Parameters
    ----------
    rows : sequence of Labelled
    root : str
        What their paths are relative to.

    Raises
    ------
    UsageError
        If none is there.
    """
    files = [file for row in rows if (file := _find(root, row.path))]
    if not files:
        raise UsageError(
            f"none of the {len(rows)} files is there: {storage.join(root, rows[0].path)} is not; "
            "--audio_dir says where the paths begin"
        )
    return Listing(sorted(files), ignored={})


def _find(root: str, path: str) -> AudioFile | None:
    full = storage.join(root, path)
    if not storage.is_local(full):
        size = storage.size(full)
        return None if size is None else AudioFile(path, size, 0.0)
    try:
        status = os.stat(full)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return AudioFile(path, status.st_size, status.st_mtime)


def popularity(rows: Sequence[Labelled]) -> list[RawTag]:
    """The tags with a number of their own and their rows, the most frequent first."""
    counts = collections.Counter(tag for row in rows for tag in row.tags)
    tags = [RawTag(number, tag, counts[tag]) for number, tag in enumerate(sorted(counts), start=1)]
    return sorted(tags, key=lambda tag: (-tag.count, tag.number))


def labelled_table(
    rows: Sequence[Labelled],
    judged: pa.Table,
    tags: Sequence[RawTag],
    raw_to_clean: Mapping[int, str] | None,
) -> pa.Table:
    """What :meth:`LabelledFiles.read` reads.

    Parameters
    ----------
    rows : sequence of Labelled
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
    columns = [
        {
            "track_id": row.track_id,
            "artist": row.artist,
            "tags": sorted({clean[tag] for tag in row.tags if tag in clean}),
            "path": row.path,
            "file": files.get(row.path),
        }
        for row in rows
    ]
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("track_id", "artist", "path")),
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
            track_id, artist = row["track_id"], row["artist"]
            if row["file"] is None:
                reject = Reject(SONG, row["path"], track_id, None, Reason.NO_AUDIO)
                yield pvalue.TaggedOutput(REJECTS, pack(reject))
                continue
            song = Song(track_id, 0, "", artist, artist, "", "", 0)
            yield track_id, (tuple(song), tuple(ListedFile(**row["file"])))
            yield pvalue.TaggedOutput(_TAGS, (track_id, row["tags"]))


@dataclasses.dataclass(frozen=True)
class LabelledFiles:
    """A CSV file of one's own and the files that it names; see ``Source``."""

    manifest: str
    rows: Sequence[Labelled]
    listing: Listing
    scan: pa.Table | None = None
    scan_file: str | None = None
    mismatches: Sequence[str] = ()
    duplicates: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def n_songs(self) -> int:
        """Rows of the CSV file."""
        return len(self.rows)

    @property
    def split(self) -> Mapping[str, str] | None:
        """The column split, if there is one."""
        return {row.track_id: row.part for row in self.rows} if self.rows[0].part else None

    def popularity(self) -> Sequence[RawTag]:
        """See :func:`popularity`."""
        return popularity(self.rows)

    def fingerprints(self) -> dict[str, Any]:
        """The SHA-256 of the CSV file, and of the scan where there is one."""
        paths = {"manifest": self.manifest, "scan": self.scan_file}
        return {name: storage.sha256(path) for name, path in paths.items() if path}

    def to_read(self, judged: pa.Table, clean: Mapping[int, str] | None) -> pa.Table:
        """See :func:`labelled_table`."""
        return labelled_table(self.rows, judged, self.popularity(), clean)

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


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--manifest",
        metavar="FILE",
        help="a CSV file of your own with the columns path and tags (; or | between them) and, if "
        "you like, artist and split (train, validation, test), in place of all files of the "
        "Million Song Dataset",
    )


def _settle(args: argparse.Namespace) -> None:
    others = ("msd_summary", "lastfm_db", "mismatches", "duplicates", "val_above")
    for name in others:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} has no meaning with --manifest")
    if args.split not in ("artist", "track"):
        raise UsageError(f"--split {args.split}: the parts are --manifest's own column split")
    if not (args.scan and args.dry_run):
        args.audio_dir = args.audio_dir or os.path.dirname(args.manifest) or "."
    args.tag_cleaning = args.tag_cleaning or "none"


def _look(args: argparse.Namespace) -> LabelledFiles:
    rows = parse_labelled(storage.read_text(args.manifest, "--manifest"), args.manifest)
    scan = read_scan(args.scan, "--scan") if args.scan else None
    with Progress("look for the audio files"):
        here = args.audio_dir
        listing = list_labelled(rows, here) if here else _from_scan(rows, scan)
    return LabelledFiles(args.manifest, rows, listing, scan, args.scan)


def _from_scan(rows: Sequence[Labelled], scan: pa.Table) -> Listing:
    """The files of the rows that a scan has measured."""
    named = {row.path for row in rows}
    files = [file for file in list_scan(scan).files if file.path in named]
    if not files:
        raise UsageError(f"--scan names none of the {len(rows)} files; its paths begin elsewhere")
    return Listing(files, ignored={})


KIND = Kind("manifest", _add_options, _settle, _look, ("manifest",))

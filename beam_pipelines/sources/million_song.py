"""The Million Song Dataset's own files as a source: 7digital audio, summary, Last.fm tags."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from beam_pipelines.million_song import lastfm_db, summary_file
from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.million_song.summary_file import Song
from beam_pipelines.runtime import preflight, storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.scanning.judge import list_scan
from beam_pipelines.scanning.listing import ListedFile, Listing, list_audio, parse_7digitalid
from beam_pipelines.scanning.scan_table import read_scan
from beam_pipelines.sources.source import REJECTS, ROWS_A_RANGE, Kind, Rows, pack, ranges
from schemas.common.components import union_find
from schemas.common.errors import UsageError
from schemas.rejects import FILE, SONG, Reason, Reject
from schemas.split_file import parse_split

_PLACES = ("msd_summary", "lastfm_db", "mismatches", "duplicates")


@dataclasses.dataclass(frozen=True)
class MillionSong:
    """The files of the Million Song Dataset that a build was given; see ``Source``."""

    summary: str
    lastfm_db: str
    others: Mapping[str, str | None]
    listing: Listing
    scan: pa.Table | None
    n_songs: int
    n_tids: int
    raw_tags: Sequence[RawTag]
    val_above: float | None
    mismatches: Sequence[str]
    duplicates: Mapping[str, str]
    split: Mapping[str, str] | None

    @property
    def spellings(self) -> None:
        """What becomes of half a million spellings, ``clean_tags`` says."""
        return None

    def popularity(self) -> Sequence[RawTag]:
        """The Last.fm tags with their tracks."""
        return self.raw_tags

    def fingerprints(self) -> dict[str, Any]:
        """The SHA-256 of every table; None for one that was not given."""
        tables = {"scan": None, "msd_summary": self.summary, "lastfm_db": self.lastfm_db}
        paths: dict[str, str | None] = {**tables, **self.others}
        return {name: storage.sha256(path) if path else None for name, path in paths.items()}

    def to_read(self, judged: pa.Table, clean: Mapping[int, str] | None) -> pa.Table:
        """The listed files alone: the summary and the tags are read where they lie."""
        return judged

    def read(
        self, pipeline: beam.Pipeline, table: str, n_rows: int, clean: Mapping[int, str] | None
    ) -> Rows:
        """Pairs of song and file by their 7digital id, and the tags of the Last.fm database."""
        step = max(100_000, -(-self.n_tids // 16))
        files = _read(pipeline, "listing", n_rows, ROWS_A_RANGE, ReadListing(table))
        summary = ReadSongs(self.summary)
        songs = _read(pipeline, "summary", self.n_songs, ROWS_A_RANGE, summary)
        reader = ReadTags(self.lastfm_db, clean, self.val_above)
        tags = _read(pipeline, "tags", self.n_tids, step, reader)
        pairs = (
            {"files": files.rows, "songs": songs.rows}
            | "Join files and songs on the 7digital id" >> beam.CoGroupByKey()
            | "Drop ambiguous ids" >> beam.ParDo(MatchIds()).with_outputs(REJECTS, main="rows")
        )
        return Rows(pairs.rows, tags.rows, (files[REJECTS], pairs[REJECTS]))


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--msd_summary", help="msd_summary_file.h5")
    group.add_argument("--lastfm_db", help="lastfm_tags.db")
    group.add_argument("--mismatches", help="sid_mismatches.txt: tracks that are not trusted")
    group.add_argument("--duplicates", help="msd_duplicates.txt: copies of a song")


def _settle(args: argparse.Namespace) -> None:
    for name in ("msd_summary", "lastfm_db"):
        if not getattr(args, name):
            raise UsageError(
                f"--{name} is missing (or --source, for other data sets and music of your own)"
            )
    if not args.audio_dir and not (args.scan and args.dry_run):
        raise UsageError("--audio_dir is missing (only --scan with --dry_run can do without)")


def _look(args: argparse.Namespace) -> MillionSong:
    split_file = None if args.split in ("artist", "track") else args.split
    with storage.local_copy(_there(args.msd_summary, "--msd_summary")) as summary:
        n_songs = summary_file.check_summary(summary)
    mismatches = _text(args.mismatches, "--mismatches").split("\n")
    duplicates = _text(args.duplicates, "--duplicates").split("\n")
    split = (
        parse_split(storage.read_text(split_file, "--split"), split_file) if split_file else None
    )
    scan = read_scan(args.scan, "--scan") if args.scan else None
    with Progress("list the audio files"):
        listing = list_audio(args.audio_dir) if args.audio_dir else list_scan(scan)
    with storage.local_copy(_there(args.lastfm_db, "--lastfm_db")) as db:
        lastfm_db.validate(db)
        n_tids = lastfm_db.n_tids(db)
        raw_tags = lastfm_db.popularity(db) if args.tag_cleaning != "none" else []
    others = {name: getattr(args, name) for name in ("scan", "mismatches", "duplicates")}
    return MillionSong(
        summary=args.msd_summary,
        lastfm_db=args.lastfm_db,
        others={**others, "split_file": split_file},
        listing=listing,
        scan=scan,
        n_songs=n_songs,
        n_tids=n_tids,
        raw_tags=raw_tags,
        val_above=args.val_above,
        mismatches=tuple(sorted(set(summary_file.parse_mismatches(mismatches)))),
        duplicates=union_find(summary_file.parse_duplicates(duplicates)),
        split=split,
    )


def _there(path: str, option: str) -> str:
    if not storage.exists(path):
        raise UsageError(f"{option}: {path} is not there")
    return path


def _text(path: str | None, option: str) -> str:
    return storage.read_text(path, option) if path else ""


KIND = Kind(
    "msd",
    (*_PLACES, "val_above"),
    _add_options,
    _settle,
    _look,
    _PLACES,
    untagged="drop",
    tag_cleaning="lists",
)


def match_id(
    number: int, files: Sequence[ListedFile], songs: Sequence[Song]
) -> tuple[tuple[Song, ListedFile] | None, list[Reject]]:
    """Join the files and the summary rows of one 7digital id.

    An id on several files or several rows is ambiguous: which file belongs to
    which song cannot be known, so all of them go.

    Parameters
    ----------
    number : int
        The 7digital id.
    files : sequence of ListedFile
        Files of that id.
    songs : sequence of Song
        Summary rows of that id.

    Returns
    -------
    pair : (Song, ListedFile) or None
        The one pair, if there is one.
    rejects : list of Reject
        All others.
    """
    if number > 0 and len(files) == 1 and len(songs) == 1:
        return (songs[0], files[0]), []
    if number <= 0:
        song_reason, file_reason = Reason.NO_7DIGITALID, Reason.NOT_IN_SUMMARY
    elif not songs:
        song_reason = file_reason = Reason.NOT_IN_SUMMARY
    elif not files and len(songs) == 1:
        song_reason = file_reason = Reason.NO_AUDIO
    else:
        song_reason = file_reason = Reason.AMBIGUOUS_7DIGITALID
    detail = f"files: {len(files)}, songs: {len(songs)}"
    if file_reason is not Reason.AMBIGUOUS_7DIGITALID:
        detail = "0 is no 7digital id" if number <= 0 else ""
    return None, [
        *(Reject(FILE, file.path, None, number, file_reason, detail) for file in files),
        *(Reject(SONG, None, song.track_id, number, song_reason, detail) for song in songs),
    ]


class _ReadFile(beam.DoFn):
    """Reads ranges of a file that needs to lie on the worker's own disk."""

    def __init__(self, path: str) -> None:
        self.path = path

    def setup(self) -> None:
        self.stack = contextlib.ExitStack()

    @functools.cached_property
    def local(self) -> str:
        """Where it lies."""
        preflight.check_sight([self.path])
        return self.stack.enter_context(storage.local_copy(self.path))

    def teardown(self) -> None:
        self.stack.close()


class ReadListing(_ReadFile):
    """Listed files by 7digital id; a name that is none is a reject."""

    def process(self, rows: tuple[int, int]) -> Iterator[Any]:
        table = storage.read_rows(self.local, *rows)
        columns = (table[name].to_pylist() for name in ListedFile._fields)
        for file in map(ListedFile, *columns):
            number = parse_7digitalid(file.path)
            if number is None:
                reject = Reject(FILE, file.path, None, None, Reason.BAD_NAME)
                yield pvalue.TaggedOutput(REJECTS, pack(reject))
            else:
                yield number, tuple(file)


class ReadSongs(_ReadFile):
    """Summary rows by 7digital id."""

    def process(self, rows: tuple[int, int]) -> Iterator[Any]:
        for song in summary_file.read_songs(self.local, *rows):
            yield song.track_7digitalid, tuple(song)


class ReadTags(_ReadFile):
    """Tags by track id, one row a track."""

    def __init__(
        self, path: str, raw_to_clean: Mapping[int, str] | None, val_above: float | None
    ) -> None:
        super().__init__(path)
        self.raw_to_clean, self.val_above = raw_to_clean, val_above

    def process(self, rows: tuple[int, int]) -> Iterator[Any]:
        yield from lastfm_db.track_tags(
            self.local, self.raw_to_clean, self.val_above, first_tid=rows[0] + 1, last_tid=rows[1]
        )


class MatchIds(beam.DoFn):
    """One 7digital id: at most one file and one song."""

    def process(self, element: Any) -> Iterator[Any]:
        number, found = element
        songs = sorted(summary_file.Song(*song) for song in found["songs"])
        files = sorted(ListedFile(*file) for file in found["files"])
        pair, rejects = match_id(number, files, songs)
        for reject in rejects:
            yield pvalue.TaggedOutput(REJECTS, pack(reject))
        if pair is not None:
            song, file = pair
            yield song.track_id, (tuple(song), tuple(file))


def _read(pipeline: beam.Pipeline, name: str, n: int, step: int, reader: beam.DoFn) -> Any:
    return (
        pipeline
        | f"Ranges of the {name}" >> beam.Create(ranges(n, step))
        | f"Spread the {name}" >> beam.Reshuffle()
        | f"Read the {name}" >> beam.ParDo(reader).with_outputs(REJECTS, main="rows")
    )

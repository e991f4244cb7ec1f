"""Plan, first half: join what is listed, named and tagged into songs with their copies.

Only rows travel here. What comes out lies in pieces in the work folder: the rejects, and the
songs in MD5 order, each with its candidates in the order in which they will be tried.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from beam_pipelines.dataset import rules
from beam_pipelines.dataset.rules import Candidate, ListedFile, Rules
from beam_pipelines.million_song import lastfm_db, summary_file
from beam_pipelines.runtime import preflight, storage
from beam_pipelines.scanning.listing import parse_7digitalid
from beam_pipelines.sources import labelled
from schemas import tables
from schemas.rejects import FILE, Reason, Reject

ROWS_A_RANGE = 10_000
ROWS_A_PIECE = 20_000
REJECTS = "rejects"

SONG_PIECE = pa.schema(
    [
        ("song", pa.string()),
        *tables.SONG,
        ("tags", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)


@dataclasses.dataclass(frozen=True)
class JoinInputs:
    """What the join reads and by which rules.

    Attributes
    ----------
    listing : str
        Parquet file of the listed files: the fields of ``join.ListedFile``.
    n_files : int
        Its rows.
    summary : str
        HDF5 summary.
    n_songs : int
        Its rows.
    lastfm_db : str
        SQLite database of tags.
    n_tids : int
        Its tracks.
    raw_to_clean : mapping or None
        Raw tag number to clean tag; None takes the tags as they are.
    val_above : float or None
        Pairs must have a val above this.
    mismatches : tuple of str
        Track ids that are not to be trusted.
    duplicates : mapping
        Track id to the name of its group of copies.
    split : mapping or None
        Track id to part, from the user's file.
    split_by : {'artist', 'track', 'file'}
        The unit that is not torn apart.
    split_percent : tuple of float
        Shares of train, validation and test.
    rules : Rules
        What is let through.
    is_labelled : bool
        Whether `listing` is a ``labelled.labelled_table``, and all that is read.
    """

    listing: str
    n_files: int
    summary: str
    n_songs: int
    lastfm_db: str
    n_tids: int
    raw_to_clean: Mapping[int, str] | None
    val_above: float | None
    mismatches: tuple[str, ...]
    duplicates: Mapping[str, str]
    split: Mapping[str, str] | None
    split_by: str
    split_percent: tuple[float, ...]
    rules: Rules
    is_labelled: bool = False


def ranges(n: int, step: int) -> list[tuple[int, int]]:
    """Cut 0 to n into half-open ranges of `step`."""
    return [(start, min(start + step, n)) for start in range(0, n, step)]


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

    def process(self, rows: tuple[int, int]):
        table = storage.read_rows(self.local, *rows)
        columns = (table[name].to_pylist() for name in ListedFile._fields)
        for file in map(ListedFile, *columns):
            number = parse_7digitalid(file.path)
            if number is None:
                reject = Reject(FILE, file.path, None, None, Reason.BAD_NAME)
                yield pvalue.TaggedOutput(REJECTS, _pack(reject))
            else:
                yield number, tuple(file)


class ReadSongs(_ReadFile):
    """Summary rows by 7digital id."""

    def process(self, rows: tuple[int, int]):
        for song in summary_file.read_songs(self.local, *rows):
            yield song.track_7digitalid, tuple(song)


class ReadTags(_ReadFile):
    """Tags by track id, one row a track."""

    def __init__(self, path: str, raw_to_clean, val_above: float | None) -> None:
        super().__init__(path)
        self.raw_to_clean, self.val_above = raw_to_clean, val_above

    def process(self, rows: tuple[int, int]):
        yield from lastfm_db.track_tags(
            self.local, self.raw_to_clean, self.val_above, first_tid=rows[0] + 1, last_tid=rows[1]
        )


class MatchIds(beam.DoFn):
    """One 7digital id: at most one file and one song."""

    def process(self, element):
        number, found = element
        songs = sorted(summary_file.Song(*song) for song in found["songs"])
        files = sorted(ListedFile(*file) for file in found["files"])
        pair, rejects = rules.match_id(number, files, songs)
        for reject in rejects:
            yield pvalue.TaggedOutput(REJECTS, _pack(reject))
        if pair is not None:
            song, file = pair
            yield song.track_id, (tuple(song), tuple(file))


class CheckTracks(beam.DoFn):
    """One track id: what the metadata alone rule out; the rest by group of copies."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def process(self, element):
        track_id, found = element
        pairs = sorted(
            (summary_file.Song(*song), ListedFile(*file)) for song, file in found["pairs"]
        )
        if not pairs:
            return
        candidate, rejects = rules.check_track(
            pairs,
            sorted(set().union(*found["tags"])),
            mismatch=bool(list(found["mismatches"])),
            part=next(iter(found["split"]), None),
            rules=self.rules,
        )
        for reject in rejects:
            yield pvalue.TaggedOutput(REJECTS, _pack(reject))
        if candidate is not None:
            yield next(iter(found["groups"]), track_id), tuple(candidate)


class OrderCopies(beam.DoFn):
    """One song: its copies in the order in which they are tried."""

    def process(self, element):
        song, copies = element
        kept, rejects = rules.same_part(rules.order_copies(Candidate(*copy) for copy in copies))
        for reject in rejects:
            yield pvalue.TaggedOutput(REJECTS, _pack(reject))
        yield song, [tuple(copy) for copy in kept]


class Split(beam.DoFn):
    """Give each song its part, by the unit that must not be torn apart."""

    def __init__(self, split_by: str, percent: tuple[float, ...]) -> None:
        self.split_by, self.percent = split_by, percent

    def start_bundle(self) -> None:
        self.artists: dict[str, str] | None = None

    def process(self, element, links):
        song, copies = element
        if self.artists is None:
            self.artists = rules.union_find(links)
        if self.split_by == "file":
            part = copies[0][-1]
        else:
            artist = Candidate(*copies[0]).artist_id
            unit = self.artists.get(artist, artist) if self.split_by == "artist" else song
            part = rules.part_of(unit or song, self.percent)
        yield song, [(*copy[:-1], part) for copy in copies]


def artist_links(element) -> Iterator[tuple[str, ...]]:
    """Artists that one song's copies link, if there are several."""
    artists = sorted({Candidate(*copy).artist_id for copy in element[1]} - {""})
    if len(artists) > 1:
        yield tuple(artists)


class WritePiece(beam.DoFn):
    """Write one piece of songs, in MD5 order."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, element):
        piece, songs = element
        in_order = sorted(songs, key=lambda row: (rules.rank_key(row[0]), row[1]))
        rows = [(song, *copy) for song, _, copy in in_order]
        path = storage.join(self.folder, f"songs-{piece:05d}.parquet")
        storage.write_table(path, storage.make_table(rows, SONG_PIECE))
        yield path


class WriteRejects(beam.DoFn):
    """Write one piece of rejects."""

    def __init__(self, folder: str, name: str) -> None:
        self.folder, self.name = folder, name

    def process(self, element):
        piece, rejects = element
        path = storage.join(self.folder, f"{self.name}-{piece:05d}.parquet")
        storage.write_table(path, storage.make_table([*rejects], tables.REJECTS))
        yield path


def _pack(reject: Reject) -> tuple:
    """A reject as a plain tuple, which a shuffle encodes without pickling."""
    return tuple(reject.row().values())


def key_rejects(reject: tuple, pieces: int) -> tuple[int, tuple]:
    """Deal a packed reject to a piece, by its path or track id."""
    return rules.md5_int(f"{reject[1]}|{reject[2]}") % pieces, reject


def _read(pipeline, name: str, n: int, step: int, reader: beam.DoFn):
    return (
        pipeline
        | f"Ranges of the {name}" >> beam.Create(ranges(n, step))
        | f"Spread the {name}" >> beam.Reshuffle()
        | f"Read the {name}" >> beam.ParDo(reader).with_outputs(REJECTS, main="rows")
    )


def _read_msd(pipeline, inputs: JoinInputs):
    """Pairs of song and file, tags and rejects of the Million Song Dataset's own files."""
    step = max(100_000, -(-inputs.n_tids // 16))
    files = _read(pipeline, "listing", inputs.n_files, ROWS_A_RANGE, ReadListing(inputs.listing))
    songs = _read(pipeline, "summary", inputs.n_songs, ROWS_A_RANGE, ReadSongs(inputs.summary))
    reader = ReadTags(inputs.lastfm_db, inputs.raw_to_clean, inputs.val_above)
    tags = _read(pipeline, "tags", inputs.n_tids, step, reader)
    pairs = (
        {"files": files.rows, "songs": songs.rows}
        | "Join files and songs on the 7digital id" >> beam.CoGroupByKey()
        | "Drop ambiguous ids" >> beam.ParDo(MatchIds()).with_outputs(REJECTS, main="rows")
    )
    return pairs.rows, tags.rows, (files[REJECTS], pairs[REJECTS])


def join_songs(pipeline: beam.Pipeline, inputs: JoinInputs, folder: str) -> None:
    """Put the steps of the join into a pipeline.

    Parameters
    ----------
    pipeline : beam.Pipeline
        Runs when its context ends.
    inputs : JoinInputs
        What is read.
    folder : str
        Gets ``songs-*.parquet`` and ``rejects-*.parquet``.
    """
    if inputs.is_labelled:
        rows = ranges(inputs.n_songs, ROWS_A_RANGE)
        pairs, tags, rejects = labelled.read_labelled(pipeline, inputs.listing, rows, REJECTS)
    else:
        pairs, tags, rejects = _read_msd(pipeline, inputs)
    tracks = (
        {
            "pairs": pairs,
            "tags": tags,
            "mismatches": pipeline
            | "Mismatches" >> beam.Create([(track, True) for track in inputs.mismatches]),
            "groups": pipeline | "Duplicates" >> beam.Create(sorted(inputs.duplicates.items())),
            "split": pipeline | "Split file" >> beam.Create(sorted((inputs.split or {}).items())),
        }
        | "Join tags, mismatches and copies on the track id" >> beam.CoGroupByKey()
        | "Drop what the metadata rule out"
        >> beam.ParDo(CheckTracks(inputs.rules)).with_outputs(REJECTS, main="rows")
    )
    copies = (
        tracks.rows
        | "Group the copies of a song" >> beam.GroupByKey()
        | "Order the copies" >> beam.ParDo(OrderCopies()).with_outputs(REJECTS, main="rows")
    )
    song_pieces = max(1, -(-min(inputs.n_files, inputs.n_songs) // ROWS_A_PIECE))
    _split_and_write(copies.rows, inputs, song_pieces, folder)
    reject_pieces = max(1, -(-(inputs.n_files + inputs.n_songs) // ROWS_A_PIECE))
    _ = (
        (*rejects, tracks[REJECTS], copies[REJECTS])
        | "All rejects" >> beam.Flatten()
        | "Cut rejects into pieces" >> beam.Map(key_rejects, reject_pieces)
        | "Group reject pieces" >> beam.GroupByKey()
        | "Write reject pieces" >> beam.ParDo(WriteRejects(folder, "rejects"))
    )


def _split_and_write(songs, inputs: JoinInputs, pieces: int, folder: str) -> None:
    links = songs | "Artists linked by copies" >> beam.FlatMap(artist_links)
    _ = (
        songs
        | "Split" >> beam.ParDo(Split(inputs.split_by, inputs.split_percent), pvalue.AsList(links))
        | "Cut songs into pieces" >> beam.FlatMap(rules.deal_copies, pieces)
        | "Group song pieces" >> beam.GroupByKey()
        | "Write song pieces" >> beam.ParDo(WritePiece(folder))
    )


def read_songs(path: str) -> Iterator[tuple[str, list[Candidate]]]:
    """Read a piece of songs: each with its candidates in order."""
    song, copies = None, []
    columns = (column.to_pylist() for column in storage.read_table(path).columns)
    for name, *copy in zip(*columns, strict=True):
        if name != song and song is not None:
            yield song, copies
            copies = []
        song = name
        copies.append(Candidate(*copy))
    if song is not None:
        yield song, copies


def encode_tags(
    copies: Iterable[Candidate], numbers: Mapping[str, int], keep_untagged: bool
) -> tuple[list[Candidate], list[Reject]]:
    """Replace tag names by their numbers in the vocabulary.

    Parameters
    ----------
    copies : iterable of Candidate
        Copies of one song, in order.
    numbers : mapping
        Tag to number; a tag that is not in it is left out.
    keep_untagged : bool
        Whether a copy without any tag of the vocabulary stays.

    Returns
    -------
    kept : list of Candidate
        With `tags` as sorted numbers.
    rejects : list of Reject
        Copies that have only tags outside of the vocabulary.
    """
    kept, rejects = [], []
    for copy in copies:
        tags = sorted(numbers[tag] for tag in copy.tags if tag in numbers)
        if tags or keep_untagged:
            kept.append(copy._replace(tags=tags))
        else:
            rejects += rules.reject_pair(
                copy, copy.path, Reason.NO_TAG, "none of its tags is in the vocabulary"
            )
    return kept, rejects

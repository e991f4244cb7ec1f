"""Plan: join what is listed, named and tagged into songs with their copies.

Only rows travel here. What comes out lies in pieces in the work folder: the rejects, and the
songs in MD5 order, each with its candidates in the order in which they will be tried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from beam_pipelines.dataset import hashing, rules
from beam_pipelines.dataset.rules import Candidate, Rules, check_track
from beam_pipelines.dataset.song_pieces import WritePiece, WriteRejects, key_rejects
from beam_pipelines.million_song import summary_file
from beam_pipelines.scanning.listing import ListedFile
from beam_pipelines.sources.source import REJECTS, Source, pack
from schemas.common.components import union_find

ROWS_A_PIECE = 20_000


@dataclasses.dataclass(frozen=True)
class JoinInputs:
    """What the join reads and by which rules.

    Attributes
    ----------
    source : Source
        Gives songs, files and tags.
    table : str
        Parquet file that the source reads.
    n_rows : int
        Its rows.
    raw_to_clean : mapping or None
        Raw tag number to clean tag; None takes the tags as they are.
    split_by : {'artist', 'track', 'file', 'official'}
        The unit that is not torn apart.
    split_percent : tuple of float
        Shares of train, validation and test.
    rules : Rules
        What is let through.
    """

    source: Source
    table: str
    n_rows: int
    raw_to_clean: Mapping[int, str] | None
    split_by: str
    split_percent: tuple[float, ...]
    rules: Rules


class CheckTracks(beam.DoFn):
    """One track id: what the metadata alone rule out; the rest by group of copies."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def process(self, element: Any) -> Iterator[Any]:
        track_id, found = element
        pairs = sorted(
            (summary_file.Song(*song), ListedFile(*file)) for song, file in found["pairs"]
        )
        if not pairs:
            return
        candidate, rejects = check_track(
            pairs,
            sorted(set().union(*found["tags"])),
            mismatch=bool(list(found["mismatches"])),
            part=next(iter(found["split"]), None),
            rules=self.rules,
        )
        for reject in rejects:
            yield pvalue.TaggedOutput(REJECTS, pack(reject))
        if candidate is not None:
            yield next(iter(found["groups"]), track_id), tuple(candidate)


class OrderCopies(beam.DoFn):
    """One song: its copies in the order in which they are tried."""

    def process(self, element: Any) -> Iterator[Any]:
        song, copies = element
        kept, rejects = rules.same_part(rules.order_copies(Candidate(*copy) for copy in copies))
        for reject in rejects:
            yield pvalue.TaggedOutput(REJECTS, pack(reject))
        yield song, [tuple(copy) for copy in kept]


class Split(beam.DoFn):
    """Give each song its part, by the unit that must not be torn apart."""

    def __init__(self, split_by: str, percent: tuple[float, ...]) -> None:
        self.split_by, self.percent = split_by, percent

    def start_bundle(self) -> None:
        self.artists: dict[str, str] | None = None

    def process(self, element: Any, links: Any) -> Iterator[Any]:
        song, copies = element
        if self.artists is None:
            self.artists = union_find(links)
        if self.split_by in ("file", "official"):
            part = copies[0][-1]
        else:
            artist = Candidate(*copies[0]).artist_id
            unit = self.artists.get(artist, artist) if self.split_by == "artist" else song
            part = hashing.part_of(unit or song, self.percent)
        yield song, [(*copy[:-1], part) for copy in copies]


def artist_links(element: Any) -> Iterator[tuple[str, ...]]:
    """Artists that one song's copies link, if there are several."""
    artists = sorted({Candidate(*copy).artist_id for copy in element[1]} - {""})
    if len(artists) > 1:
        yield tuple(artists)


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
    source = inputs.source
    pairs, tags, rejects = source.read(pipeline, inputs.table, inputs.n_rows, inputs.raw_to_clean)
    tracks = (
        {
            "pairs": pairs,
            "tags": tags,
            "mismatches": pipeline
            | "Mismatches" >> beam.Create([(track, True) for track in source.mismatches]),
            "groups": pipeline | "Duplicates" >> beam.Create(sorted(source.duplicates.items())),
            "split": pipeline | "Split file" >> beam.Create(sorted((source.split or {}).items())),
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
    n_files = len(source.listing.files)
    song_pieces = max(1, -(-min(n_files, source.n_songs) // ROWS_A_PIECE))
    _split_and_write(copies.rows, inputs, song_pieces, folder)
    reject_pieces = max(1, -(-(n_files + source.n_songs) // ROWS_A_PIECE))
    _ = (
        (*rejects, tracks[REJECTS], copies[REJECTS])
        | "All rejects" >> beam.Flatten()
        | "Cut rejects into pieces" >> beam.Map(key_rejects, reject_pieces)
        | "Group reject pieces" >> beam.GroupByKey()
        | "Write reject pieces" >> beam.ParDo(WriteRejects(folder, "rejects"))
    )


def _split_and_write(songs: beam.PCollection, inputs: JoinInputs, pieces: int, folder: str) -> None:
    links = songs | "Artists linked by copies" >> beam.FlatMap(artist_links)
    _ = (
        songs
        | "Split" >> beam.ParDo(Split(inputs.split_by, inputs.split_percent), pvalue.AsList(links))
        | "Cut songs into pieces" >> beam.FlatMap(hashing.deal_copies, pieces)
        | "Group song pieces" >> beam.GroupByKey()
        | "Write song pieces" >> beam.ParDo(WritePiece(folder))
    )

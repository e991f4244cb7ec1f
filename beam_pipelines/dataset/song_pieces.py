"""Planned songs and rejects as pieces in the work folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from beam_pipelines.dataset import hashing
from beam_pipelines.dataset.rules import Candidate
from beam_pipelines.runtime import storage
from schemas import tables

SONG_PIECE = pa.schema(
    [
        ("song", pa.string()),
        *tables.SONG,
        ("tags", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)


class WritePiece(beam.DoFn):
    """Write one piece of songs, in MD5 order."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, element: Any) -> Iterator[Any]:
        piece, songs = element
        in_order = sorted(songs, key=lambda row: (hashing.rank_key(row[0]), row[1]))
        rows = [(song, *copy) for song, _, copy in in_order]
        path = storage.join(self.folder, f"songs-{piece:05d}.parquet")
        storage.write_table(path, storage.make_table(rows, SONG_PIECE))
        yield path


class WriteRejects(beam.DoFn):
    """Write one piece of rejects."""

    def __init__(self, folder: str, name: str) -> None:
        self.folder, self.name = folder, name

    def process(self, element: Any) -> Iterator[Any]:
        piece, rejects = element
        path = storage.join(self.folder, f"{self.name}-{piece:05d}.parquet")
        storage.write_table(path, storage.make_table([*rejects], tables.REJECTS))
        yield path


def key_rejects(reject: tuple, pieces: int) -> tuple[int, tuple]:
    """Deal a packed reject to a piece, by its path or track id."""
    return hashing.md5_int(f"{reject[1]}|{reject[2]}") % pieces, reject


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

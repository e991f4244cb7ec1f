"""The Million Song Dataset's own files: summary, mismatches, duplicates.

Formats: http://millionsongdataset.com/pages/getting-dataset/ (summary file),
http://millionsongdataset.com/blog/12-2-12-fixing-matching-errors/ (mismatches),
http://millionsongdataset.com/blog/11-3-15-921810-song-dataset-duplicates/ (duplicates).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import h5py

from schemas.common.errors import UsageError

METADATA_COLUMNS = ("track_7digitalid", "song_id", "artist_id", "artist_name", "title", "release")
_TABLES = {
    "/metadata/songs": METADATA_COLUMNS,
    "/analysis/songs": ("track_id",),
    "/musicbrainz/songs": ("year",),
}
_TRACK_ID = re.compile(r"TR[A-Z0-9]{16}")
_MISMATCH = re.compile(r"^ERROR: <(\S+) (\S+)>")


class Song(NamedTuple):
    """One row of the summary; year 0 is unknown."""

    track_id: str
    track_7digitalid: int
    song_id: str
    artist_id: str
    artist_name: str
    title: str
    release: str
    year: int


def check_summary(path: str) -> int:
    """Look at a summary file and count its songs.

    Parameters
    ----------
    path : str
        A local HDF5 file.

    Returns
    -------
    int
        Number of rows, the same in all three tables.

    Raises
    ------
    UsageError
        If it is no HDF5 file, or a group, a column or rows are missing.
    """
    try:
        with h5py.File(path, "r") as file:
            rows = set()
            for table, columns in _TABLES.items():
                if table not in file:
                    raise UsageError(f"{path}: the summary has no group {table}")
                names = file[table].dtype.names or ()
                for column in columns:
                    if column not in names:
                        raise UsageError(f"{path}: {table} has no column {column}")
                rows.add(len(file[table]))
    except OSError as error:
        raise UsageError(f"{path} is not a readable HDF5 file: {error}") from error
    if len(rows) != 1:
        raise UsageError(f"{path}: the tables differ in length ({sorted(rows)}), rows do not match")
    return rows.pop()


def read_songs(path: str, start: int, stop: int) -> Iterator[Song]:
    """Read rows ``start`` to ``stop`` of a summary, only the columns that are needed.

    Parameters
    ----------
    path : str
        A local HDF5 file.
    start, stop : int
        Range of rows.

    Yields
    ------
    Song
        In the order of the file.
    """
    with h5py.File(path, "r") as file:
        metadata = file["/metadata/songs"].fields(list(METADATA_COLUMNS))[start:stop]
        track_ids = file["/analysis/songs"].fields("track_id")[start:stop]
        years = file["/musicbrainz/songs"].fields("year")[start:stop]
    columns = [metadata[name].tolist() for name in METADATA_COLUMNS]
    for track_id, year, number, *texts in zip(
        track_ids.tolist(), years.tolist(), *columns, strict=True
    ):
        song_id, artist_id, artist_name, title, release = map(_text, texts)
        yield Song(_text(track_id), number, song_id, artist_id, artist_name, title, release, year)


def _text(value: bytes) -> str:
    return value.decode("utf8", "replace")


def parse_mismatches(lines: Iterable[str]) -> Iterator[str]:
    """Track ids of ``sid_mismatches.txt``, in its order, with its repeats.

    A song id can hold a ``TR`` of its own, so the id is taken by its place and
    its form (TR and 16 more).
    """
    for line in lines:
        found = _MISMATCH.match(line)
        for text in found.groups()[::-1] if found else ():
            if _TRACK_ID.fullmatch(text):
                yield text
                break


def parse_duplicates(lines: Iterable[str]) -> Iterator[list[str]]:
    """Groups of track ids of ``msd_duplicates.txt``, told apart by the first character."""
    group: list[str] = []
    for line in lines:
        if line.startswith("%"):
            if group:
                yield group
            group = []
        elif line.startswith("T"):
            group.append(line.strip())
    if group:
        yield group

"""Reading the Last.fm database where it lies: read-only, without relying on its indexes.

The heavy queries run inside SQLite, so that one row a tag or one row a track
leaves the database, never one a (track, tag) pair: the true database holds
8.6 million pairs. They are plain SQL on one read-only connection, because a
planner that took the index on ``tid_tag.tag`` would read those pairs in random
order.
"""

from __future__ import annotations

import pathlib
import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from beam_pipelines.million_song.lastfm_tables import METADATA, TAGS, TID_TAG, TIDS
from schemas.common.errors import UsageError

# One row a track; CROSS JOIN holds SQLite to this order: pairs first, as the tracks lie.
_TAGS_OF_TRACKS = """
    SELECT tids.tid, grouped.names FROM (
        SELECT pairs.tid AS number, group_concat(clean.name) AS names
        FROM (SELECT tid, tag FROM tid_tag {where}) AS pairs
        CROSS JOIN clean ON clean.raw = pairs.tag
        WHERE pairs.tid BETWEEN ? AND ? GROUP BY pairs.tid ORDER BY pairs.tid
    ) AS grouped
    CROSS JOIN tids ON tids.rowid = grouped.number WHERE tids.tid IS NOT NULL
"""


class RawTag(NamedTuple):
    """A tag as the database spells it: its row number, its name, its number of tracks."""

    number: int
    tag: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks for


def connect(db: str) -> sqlite3.Connection:
    """Open a database for reading only; nothing is created beside it.

    Raises
    ------
    UsageError
        If there is no such file, or it is no SQLite database.
    """
    return _open(read_only_uri(db))


def read_only_uri(db: str) -> str:
    """The address under which SQLite opens a database for reading only.

    Raises
    ------
    UsageError
        If there is no such file, or it is no SQLite database.
    """
    path = pathlib.Path(db)
    if not path.is_file():
        raise UsageError(f"{db}: no such file; expected the Last.fm database (lastfm_tags.db)")
    uri = path.resolve().as_uri() + "?mode=ro"
    # A write-ahead log needs a side file that a read-only directory refuses.
    for address in (uri, uri + "&immutable=1"):
        connection = _open(address)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return address
        except sqlite3.DatabaseError as error:
            reason = error
        finally:
            connection.close()
    raise UsageError(f"{db} is not a SQLite database: {reason}")


def _open(uri: str) -> sqlite3.Connection:
    # Beam runs its workers in threads; a connection is never used by two at once.
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    connection.text_factory = lambda text: text.decode("utf8", "replace")
    return connection


def validate(db: str) -> None:
    """Check that a database has the three tables with their columns.

    Raises
    ------
    UsageError
        Naming what is missing.
    """
    connection = connect(db)
    try:
        for table in METADATA.sorted_tables:
            found = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
            if not found:
                raise UsageError(f"{db} has no table {table.name}; it must hold {_layout()}")
            missing = [column.name for column in table.columns if column.name not in found]
            if missing:
                raise UsageError(
                    f"{db}: table {table.name} has no column {missing[0]} (it has "
                    f"{', '.join(found)}); it must hold {_layout()}"
                )
    finally:
        connection.close()


def _layout() -> str:
    return ", ".join(
        f"{table.name}({', '.join(column.name for column in table.columns)})"
        for table in (TIDS, TAGS, TID_TAG)
    )


def n_tids(db: str) -> int:
    """The highest row number in ``tids``: ranges for :func:`track_tags` go from 1 to it."""
    connection = connect(db)
    try:
        return int(connection.execute("SELECT coalesce(max(rowid), 0) FROM tids").fetchone()[0])
    finally:
        connection.close()


def popularity(db: str, val_above: float | None = None) -> list[RawTag]:
    """Count the (track, tag) pairs of every tag.

    Parameters
    ----------
    db : str
        Path of the database.
    val_above : float, optional
        Count only the pairs whose val is strictly greater; every pair by default.

    Returns
    -------
    list of RawTag
        All named tags, count descending, then tag number ascending.
    """
    where, values = val_filter(val_above)
    if where:
        # An index on tag lacks val: each pair would be looked up on its own (17 s, not 3).
        where = "NOT INDEXED " + where
    connection = connect(db)
    try:
        counts = dict(
            connection.execute(f"SELECT tag, count(*) FROM tid_tag {where} GROUP BY tag", values)
        )
        rows = connection.execute("SELECT rowid, tag FROM tags WHERE tag IS NOT NULL")
        tags = [RawTag(number, tag, counts.get(number, 0)) for number, tag in rows]
    finally:
        connection.close()
    tags.sort(key=lambda tag: (-tag.count, tag.number))
    return tags


def track_tags(
    db: str,
    mapping: Mapping[int, str] | None,
    val_above: float | None = None,
    first_tid: int = 1,
    last_tid: int | None = None,
) -> Iterator[tuple[str, list[str]]]:
    """The clean tags of each track, one row a track.

    Parameters
    ----------
    db : str
        Path of the database.
    mapping : mapping of int to str, or None
        Raw tag number to clean tag; tags that it lacks are left out. None takes
        every tag under its own name.
    val_above : float, optional
        Only pairs whose val is strictly greater; every pair by default.
    first_tid, last_tid : int
        Row numbers in ``tids``, both inclusive, so that several workers can each
        read a range; all rows by default.

    Yields
    ------
    (str, list of str)
        Track id and its distinct tags in alphabetical order, for each track that
        has one, by row number. Pairs that point at a missing track are skipped.
    """
    where, values = val_filter(val_above)
    connection = connect(db)
    try:
        if mapping is None:
            mapping = dict(connection.execute("SELECT rowid, tag FROM tags WHERE tag IS NOT NULL"))
        names = sorted(set(mapping.values()))
        index = {name: i for i, name in enumerate(names)}
        connection.execute("CREATE TEMP TABLE clean (raw INTEGER PRIMARY KEY, name INTEGER)")
        connection.executemany(
            "INSERT INTO clean VALUES (?, ?)", ((raw, index[tag]) for raw, tag in mapping.items())
        )
        last_tid = 2**62 if last_tid is None else last_tid
        rows = connection.execute(
            _TAGS_OF_TRACKS.format(where=where), (*values, first_tid, last_tid)
        )
        for track_id, found in rows:
            yield track_id, [names[i] for i in sorted({int(i) for i in found.split(",")})]
    finally:
        connection.close()


def val_filter(val_above: float | None) -> tuple[str, tuple[float, ...]]:
    """The WHERE clause, and its values, of the pairs whose val is strictly greater."""
    return ("", ()) if val_above is None else ("WHERE val > ?", (val_above,))

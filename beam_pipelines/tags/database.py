"""Writing a Last.fm database: from CSV tables, and the clean one from a tag table."""

from __future__ import annotations

import contextlib
import csv
import io
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from beam_pipelines.million_song import lastfm_db
from beam_pipelines.million_song.lastfm_tables import METADATA
from beam_pipelines.runtime import storage
from beam_pipelines.tags.cleaning import TagTable
from beam_pipelines.tags.incidence import Implication
from schemas.common.errors import UsageError

INDEXED = (("tids", "tid"), ("tags", "tag"), ("tid_tag", "tid"), ("tid_tag", "tag"))
NUMBERS = {"tids": "tid_num", "tags": "tag_num"}

# CROSS JOIN holds SQLite to reading the pairs in their own order.
_CLEAN_PAIRS = """
    INSERT INTO tid_tag
    SELECT pairs.tid, clean.number, max(pairs.val)
    FROM (SELECT tid, tag, val FROM raw.tid_tag NOT INDEXED {where}) AS pairs
    CROSS JOIN clean ON clean.raw = pairs.tag
    CROSS JOIN raw.tids ON raw.tids.rowid = pairs.tid
    GROUP BY pairs.tid, clean.number ORDER BY pairs.tid, clean.number
"""
_CLEAN_TIDS = """
    INSERT INTO tids(rowid, tid)
    SELECT rowid, CASE WHEN rowid IN (SELECT tid FROM main.tid_tag) THEN tid END
    FROM raw.tids ORDER BY rowid
"""


def write_clean_database(
    db: str, output: str, table: TagTable, val_above: float | None = None
) -> dict[int, int]:
    """Write the database of the clean tags: the same three tables.

    Tracks keep their row numbers; the track id is NULL where no clean tag is
    left. A tag's row number is its number in the table. Each (track, tag) stands
    once, with the highest val of the spellings that were merged.

    Parameters
    ----------
    db : str
        Path of the raw database.
    output : str
        Path of a new file on this machine.
    table : TagTable
        The clean tags.
    val_above : float, optional
        Only pairs whose val is strictly greater; every pair by default.

    Returns
    -------
    dict of int to int
        The number of each clean tag and its number of tracks.
    """
    where, values = lastfm_db.val_filter(val_above)
    with contextlib.closing(create_database(output)) as connection:
        connection.execute("ATTACH DATABASE ? AS raw", (lastfm_db.read_only_uri(db),))
        connection.execute("CREATE TEMP TABLE clean (raw INTEGER PRIMARY KEY, number INTEGER)")
        connection.executemany(
            "INSERT INTO clean VALUES (?, ?)",
            ((raw.number, row.number) for row in table.rows for raw in row.raw),
        )
        connection.executemany(
            "INSERT INTO tags(rowid, tag) VALUES (?, ?)",
            ((row.number, row.tag) for row in table.rows),
        )
        connection.execute(_CLEAN_PAIRS.format(where=where), values)
        connection.execute(_CLEAN_TIDS)
        _finish(connection)
        return dict(connection.execute("SELECT tag, count(*) FROM main.tid_tag GROUP BY tag"))


CLEAN_UPS = {
    "add_implied": """
        INSERT INTO tid_tag SELECT tid, :implied, val FROM tid_tag AS own WHERE tag = :tag
        AND NOT EXISTS (SELECT 1 FROM tid_tag WHERE tid = own.tid AND tag = :implied)""",
    "remove_implied": """
        DELETE FROM tid_tag WHERE tag = :implied
        AND tid IN (SELECT tid FROM tid_tag WHERE tag = :tag)""",
    "remove_implying": """
        DELETE FROM tid_tag WHERE tag = :tag
        AND tid IN (SELECT tid FROM tid_tag WHERE tag = :implied)""",
}


def clean_up(db: str, implications: Iterable[Implication], how: str) -> dict[int, int]:
    """Settle, in a clean database, the tags of which one implies the other.

    The implications are taken in turn, each on what the ones before it left: of
    two tags that imply each other one stays.

    Parameters
    ----------
    db : str
        The clean database; it is changed.
    implications : iterable of Implication
        From :meth:`beam_pipelines.tags.incidence.Incidence.all_tag_is`.
    how : {'add_implied', 'remove_implied', 'remove_implying'}
        Give the implied tag to all tracks with the other; or take, from the tracks
        that have both, the implied tag, or the one that implies it.

    Returns
    -------
    dict of int to int
        The number of each clean tag and its number of tracks.
    """
    with contextlib.closing(sqlite3.connect(db)) as connection:
        numbers = dict(connection.execute("SELECT tag, rowid FROM tags"))
        for tag, implied, _ in implications:
            values = {"tag": numbers[tag], "implied": numbers[implied]}
            connection.execute(CLEAN_UPS[how], values)
        connection.commit()
        return dict(connection.execute("SELECT tag, count(*) FROM tid_tag GROUP BY tag"))


def create_database(path: str) -> sqlite3.Connection:
    """Make a new file with the three empty tables; quick, and not safe against a crash."""
    connection = sqlite3.connect(path, uri=True)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    for table in METADATA.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
    return connection


def _finish(connection: sqlite3.Connection) -> None:
    for table, column in INDEXED:
        connection.execute(f"CREATE INDEX idx_{table}_{column} ON {table} ({column})")
    connection.commit()


def load_csv(folder: str, output: str) -> None:
    """Make a database of its three tables as CSV.

    Parameters
    ----------
    folder : str
        Holds tids.csv (tid_num, tid), tags.csv (tag_num, tag) and tid_tag.csv (tid,
        tag and perhaps val), with header; ``lastfm_`` may stand before each name.
        Without a column of numbers the rows count from 1.
    output : str
        Path of a new file on this machine.

    Raises
    ------
    UsageError
        If a table or a column is missing, or a number is none.
    """
    with contextlib.closing(create_database(output)) as connection:
        for name, number in NUMBERS.items():
            value = name.removesuffix("s")
            rows = _csv_rows(folder, name, {value: str, number: int}, optional=number)
            try:
                connection.executemany(
                    f"INSERT INTO {name}(rowid, {value}) VALUES (?, ?)",
                    ((row[number], row[value]) for row in rows),
                )
            except sqlite3.IntegrityError as error:
                raise UsageError(f"{folder}, {name}.csv: a number stands twice") from error
        columns = {"tid": int, "tag": int, "val": float}
        connection.executemany(
            "INSERT INTO tid_tag VALUES (:tid, :tag, :val)",
            _csv_rows(folder, "tid_tag", columns, optional="val"),
        )
        _finish(connection)


def csv_path(folder: str, name: str) -> str:
    """The path of a table's CSV file in a folder.

    Raises
    ------
    UsageError
        If there is none.
    """
    for prefix in ("", "lastfm_"):
        path = storage.join(folder, f"{prefix}{name}.csv")
        if storage.exists(path):
            return path
    raise UsageError(f"{folder} has no {name}.csv: it must hold tids.csv, tags.csv, tid_tag.csv")


def _csv_rows(
    folder: str, name: str, columns: Mapping[str, type], optional: str
) -> Iterator[dict[str, object]]:
    path = csv_path(folder, name)
    with storage.open_read(path) as stream:
        reader = csv.reader(io.TextIOWrapper(io.BufferedReader(stream), "utf-8-sig", newline=""))
        try:
            header = next(reader, [])
            for column in columns:
                if column not in header and column != optional:
                    raise UsageError(f"{path} has no column {column} (it has {', '.join(header)})")
            places = {column: header.index(column) for column in columns if column in header}
            for fields in reader:
                if len(fields) == len(header) + 1:
                    del fields[0]  # pandas' nameless index, as the 2019 exports have it
                row = dict.fromkeys(columns)
                for column, place in places.items():
                    row[column] = columns[column](fields[place]) if fields[place] else None
                yield row
        except (ValueError, IndexError, csv.Error) as error:
            raise UsageError(f"{path}, line {reader.line_num}: {error}") from error


def tag_table_csv(table: TagTable, tracks: Mapping[int, int]) -> str:
    """The tag table as CSV text: one row a raw tag, by clean tag and popularity.

    Parameters
    ----------
    table : TagTable
        The clean tags.
    tracks : mapping of int to int
        Tracks of each clean tag, by its number.

    Returns
    -------
    str
        Columns number, tag, kind, tracks, raw_number, raw_tag, raw_count and pass: the rule that
        merged the raw tag.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ("number", "tag", "kind", "tracks", "raw_number", "raw_tag", "raw_count", "pass")
    writer.writerow(header)
    for row in table.rows:
        clean = (row.number, row.tag, row.kind, tracks.get(row.number, 0))
        writer.writerows((*clean, *raw, table.passes[raw.number]) for raw in row.raw)
    return text.getvalue()

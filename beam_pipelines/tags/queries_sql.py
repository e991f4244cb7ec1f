"""Questions to a Last.fm database by SQL."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from beam_pipelines.million_song import lastfm_db
from beam_pipelines.million_song.lastfm_tables import TID_TAG
from beam_pipelines.tags.queries_base import Queries

_SLICE = 30_000  # SQLite takes 32,766 values in one statement
_ROWS = 100_000
PAIR = np.dtype([("tid", "int64"), ("tag", "int64"), ("val", "float64")])
NUMBERED = {"tids": ("tid_num", "tid"), "tags": ("tag_num", "tag")}
_TABLES = {
    name: sa.table(name, sa.column("rowid", sa.Integer), sa.column(column, sa.Text))
    for name, (_, column) in NUMBERED.items()
}


class LastFm(Queries):
    """Ask a database by SQL.

    Parameters
    ----------
    path : str
        The database; it is only read.

    Raises
    ------
    UsageError
        If it is no Last.fm database.
    """

    def __init__(self, path: str) -> None:
        lastfm_db.validate(path)
        self.path = path
        self.engine = sa.create_engine(
            "sqlite://", creator=lambda: lastfm_db.connect(path), poolclass=StaticPool
        )

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    def _find(self, table: str, numbers: bool, values: Sequence[Any]) -> dict[Any, Any]:
        number, name = _columns(table)
        key, answer = (name, number) if numbers else (number, name)
        found: dict[Any, Any] = {}
        with self.engine.connect() as connection:
            for some in _slices(values):
                query = sa.select(key, answer).where(key.in_(some), name.is_not(None))
                for value, result in connection.execute(query.order_by(number)):
                    found.setdefault(value, result)
        return found

    def pairs(
        self,
        val_above: float | None = None,
        tid_nums: Iterable[int] | None = None,
        tag_nums: Iterable[int] | None = None,
    ) -> pd.DataFrame:
        columns = TID_TAG.c
        val: sa.ColumnElement[Any] = sa.literal_column(
            "coalesce(val, 9e999)"
        )  # NumPy takes no NULL: infinity stands in
        query = sa.select(columns.tid, columns.tag, val)
        if val_above is not None:
            query = query.where(columns.val > val_above)
        queries = [
            query.where(*tids, *tags)
            for tids in _conditions(columns.tid, tid_nums)
            for tags in _conditions(columns.tag, tag_nums)
        ]
        connection = self.engine.raw_connection()  # rows as plain tuples: ten times quicker
        with contextlib.closing(connection.cursor()) as cursor:
            blocks = [np.empty(0, PAIR)]
            for query in queries:
                text = query.compile(self.engine, compile_kwargs={"literal_binds": True})
                blocks.append(np.fromiter(cursor.execute(str(text)), PAIR))
        pairs = pd.DataFrame(np.concatenate(blocks))
        return ordered(pairs.replace({"val": {np.inf: np.nan}}))

    def column(self, table: str) -> pd.Series:
        number, name = _columns(table)
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(number, name).order_by(number)).all()
        index, names = zip(*rows, strict=True) if rows else ((), ())
        return pd.Series(names, index=pd.Index(index, dtype="int64"), dtype=object)

    def popularity(self, val_above: float | None = None) -> pd.DataFrame:
        rows = [tag for tag in lastfm_db.popularity(self.path, val_above) if tag.count]
        return ranked(pd.DataFrame(rows, columns=["tag_num", "tag", "count"]))

    def to_csv(self, folder: str) -> None:
        """Write the three tables as lastfm_tids.csv, lastfm_tags.csv and lastfm_tid_tag.csv."""
        os.makedirs(folder, exist_ok=True)
        with self.engine.connect() as connection:
            connection = connection.execution_options(yield_per=_ROWS)
            for table in (*_TABLES.values(), TID_TAG):
                header = NUMBERED.get(table.name, [column.name for column in table.c])
                path = os.path.join(folder, f"lastfm_{table.name}.csv")
                with open(path, "w", encoding="utf8", newline="") as stream:
                    writer = csv.writer(stream, lineterminator="\n")
                    writer.writerow(header)
                    query = sa.select(table).order_by(sa.literal_column("rowid"))
                    writer.writerows(connection.execute(query))


def _columns(table: str) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Row number and name of one of the two tables of names."""
    number, name = _TABLES[table].c
    return number, name


def _conditions(
    column: sa.ColumnElement[Any], numbers: Iterable[int] | None
) -> list[tuple[sa.ColumnElement[Any], ...]]:
    """The conditions of the statements that together ask for all these numbers."""
    if numbers is None:
        return [()]
    wanted = sorted({int(number) for number in numbers})
    return [(column.in_(some),) for some in _slices(wanted)]


def _slices(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _SLICE):
        yield values[start : start + _SLICE]


def ordered(pairs: pd.DataFrame) -> pd.DataFrame:
    pairs = pairs.astype({name: PAIR[name] for name in PAIR.fields or ()})
    order = np.argsort(pairs["tid"].to_numpy() << 32 | pairs["tag"].to_numpy(), kind="stable")
    return pairs.take(order).reset_index(drop=True)


def ranked(counts: pd.DataFrame) -> pd.DataFrame:
    ranked = counts.sort_values(["count", "tag_num"], ascending=[False, True], ignore_index=True)
    ranked.index += 1
    return ranked[["tag", "tag_num", "count"]]

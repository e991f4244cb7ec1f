"""Questions to a Last.fm database, raw or clean: by SQL, or in memory.

``LastFm`` asks the database where it lies: nothing to wait for, little memory.
``LastFm2Pandas`` holds the three tables as data frames: seconds to load, then
quicker. Both answer the same questions in the same way.

    lastfm = LastFm("lastfm_tags.db")
    lastfm.query_tags("TRCCCYE12903CFF0E9")
    lastfm.with_tag("trip-hop")
"""

from __future__ import annotations

import contextlib
import csv
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from beam_pipelines.million_song import lastfm_db
from beam_pipelines.million_song.lastfm_tables import TID_TAG
from beam_pipelines.runtime import storage
from beam_pipelines.tags.database import csv_path
from beam_pipelines.tags.queries_base import Queries
from schemas.common.errors import UsageError

_SLICE = 30_000  # SQLite takes 32,766 values in one statement
_ROWS = 100_000
_PAIR = np.dtype([("tid", "int64"), ("tag", "int64"), ("val", "float64")])
_NUMBERED = {"tids": ("tid_num", "tid"), "tags": ("tag_num", "tag")}
_TABLES = {
    name: sa.table(name, sa.column("rowid", sa.Integer), sa.column(column, sa.Text))
    for name, (_, column) in _NUMBERED.items()
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

    def _find(self, table: str, numbers: bool, values: Sequence) -> dict:
        number, name = _columns(table)
        key, answer = (name, number) if numbers else (number, name)
        found = {}
        with self.engine.connect() as connection:
            for some in _slices(values):
                query = sa.select(key, answer).where(key.in_(some), name.is_not(None))
                for value, result in connection.execute(query.order_by(number)):
                    found.setdefault(value, result)
        return found

    def pairs(self, val_above=None, tid_nums=None, tag_nums=None) -> pd.DataFrame:
        columns = TID_TAG.c
        val = sa.literal_column("coalesce(val, 9e999)")  # NumPy takes no NULL: infinity stands in
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
            blocks = [np.empty(0, _PAIR)]
            for query in queries:
                text = query.compile(self.engine, compile_kwargs={"literal_binds": True})
                blocks.append(np.fromiter(cursor.execute(str(text)), _PAIR))
        pairs = pd.DataFrame(np.concatenate(blocks))
        return _ordered(pairs.replace({"val": {np.inf: np.nan}}))

    def _column(self, table: str) -> pd.Series:
        number, name = _columns(table)
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(number, name).order_by(number)).all()
        index, names = zip(*rows, strict=True) if rows else ((), ())
        return pd.Series(names, index=pd.Index(index, dtype="int64"), dtype=object)

    def popularity(self, val_above: float | None = None) -> pd.DataFrame:
        rows = [tag for tag in lastfm_db.popularity(self.path, val_above) if tag.count]
        return _ranked(pd.DataFrame(rows, columns=["tag_num", "tag", "count"]))

    def to_csv(self, folder: str) -> None:
        """Write the three tables as lastfm_tids.csv, lastfm_tags.csv and lastfm_tid_tag.csv."""
        os.makedirs(folder, exist_ok=True)
        with self.engine.connect() as connection:
            connection = connection.execution_options(yield_per=_ROWS)
            for table in (*_TABLES.values(), TID_TAG):
                header = _NUMBERED.get(table.name, [column.name for column in table.c])
                path = os.path.join(folder, f"lastfm_{table.name}.csv")
                with open(path, "w", encoding="utf8", newline="") as stream:
                    writer = csv.writer(stream, lineterminator="\n")
                    writer.writerow(header)
                    query = sa.select(table).order_by(sa.literal_column("rowid"))
                    writer.writerows(connection.execute(query))


class LastFm2Pandas(Queries):
    """Ask three tables in memory.

    Parameters
    ----------
    tids, tags : pd.Series
        Track ids and tags by their numbers; a NULL is None.
    tid_tag : pd.DataFrame
        Columns tid, tag and val.
    """

    def __init__(self, tids: pd.Series, tags: pd.Series, tid_tag: pd.DataFrame) -> None:
        self.tids = tids.rename("tid").rename_axis("tid_num").astype(object).sort_index()
        self.tags = tags.rename("tag").rename_axis("tag_num").astype(object).sort_index()
        self.tid_tag = _ordered(tid_tag[["tid", "tag", "val"]])

    @classmethod
    def from_sql(cls, path: str) -> LastFm2Pandas:
        """Load a database."""
        source = LastFm(path)
        return cls(source._column("tids"), source._column("tags"), source.pairs())

    @classmethod
    def from_csv(cls, folder: str) -> LastFm2Pandas:
        """Load three tables as CSV, as ``to_csv`` and the 2019 urop2019 project wrote them.

        Raises
        ------
        UsageError
            If a table or a column is missing, or cannot be read.
        """

        def read(name: str) -> pd.DataFrame:
            path = csv_path(folder, name)
            texts = name in _NUMBERED
            kinds = {_NUMBERED[name][1]: str} if texts else {}
            try:  # a tag may be called "NA" or "null"
                return pd.read_csv(path, dtype=kinds, keep_default_na=not texts)
            except ValueError as error:
                raise UsageError(f"{path} cannot be read: {error}") from error

        return cls._of_tables(read, folder)

    @classmethod
    def from_parquet(cls, folder: str) -> LastFm2Pandas:
        """Load three tables as ``to_parquet`` wrote them."""

        def read(name: str) -> pd.DataFrame:
            return storage.read_table(storage.join(folder, f"{name}.parquet")).to_pandas()

        return cls._of_tables(read, folder)

    @classmethod
    def _of_tables(cls, read: Callable[[str], pd.DataFrame], folder: str) -> LastFm2Pandas:
        names = []
        for table, (number, name) in _NUMBERED.items():
            frame = _with_columns(read(table), [name], f"{folder}, {table}")
            index = frame[number].to_numpy() if number in frame else np.arange(1, len(frame) + 1)
            names.append(pd.Series(frame[name].to_numpy(dtype=object), index=index))
        tids, tags = names
        pairs = _with_columns(read("tid_tag"), ["tid", "tag"], f"{folder}, tid_tag")
        return cls(tids.replace({"": None}), tags, pairs.reindex(columns=["tid", "tag", "val"]))

    def to_csv(self, folder: str) -> None:
        """Write lastfm_tids.csv, lastfm_tags.csv and lastfm_tid_tag.csv."""
        os.makedirs(folder, exist_ok=True)
        for name, frame in self._tables():
            frame.to_csv(os.path.join(folder, f"lastfm_{name}.csv"), index=False)

    def to_parquet(self, folder: str) -> None:
        """Write tids.parquet, tags.parquet and tid_tag.parquet."""
        storage.make_folder(folder)
        for name, frame in self._tables():
            table = pa.Table.from_pandas(frame, preserve_index=False)
            storage.write_table(storage.join(folder, f"{name}.parquet"), table)

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        yield "tids", self.tids.reset_index()
        yield "tags", self.tags.reset_index()
        yield "tid_tag", self.tid_tag

    @functools.cached_property
    def _by_number(self) -> dict[str, dict[int, str]]:
        return {table: self._names(table).to_dict() for table in _NUMBERED}

    @functools.cached_property
    def _by_name(self) -> dict[str, dict[str, int]]:
        return {
            table: {name: number for number, name in reversed(names.items())}
            for table, names in self._by_number.items()
        }

    def _find(self, table: str, numbers: bool, values: Sequence) -> dict:
        known = (self._by_name if numbers else self._by_number)[table]
        return {value: known[value] for value in values if value in known}

    def pairs(self, val_above=None, tid_nums=None, tag_nums=None) -> pd.DataFrame:
        keep = np.ones(len(self.tid_tag), dtype=bool)
        if val_above is not None:
            keep &= (self.tid_tag["val"] > val_above).to_numpy()
        for column, wanted in (("tid", tid_nums), ("tag", tag_nums)):
            if wanted is not None:
                keep &= self.tid_tag[column].isin(list(wanted)).to_numpy()
        return self.tid_tag[keep].reset_index(drop=True)

    def _column(self, table: str) -> pd.Series:
        return {"tids": self.tids, "tags": self.tags}[table]

    def popularity(self, val_above: float | None = None) -> pd.DataFrame:
        counts = self.pairs(val_above)["tag"].value_counts()
        known = self._names("tags")
        counts = counts[counts.index.isin(known.index)]
        frame = pd.DataFrame({"tag_num": counts.index, "count": counts.to_numpy()})
        return _ranked(frame.assign(tag=known.loc[counts.index].to_numpy()))


def _columns(table: str) -> tuple[sa.ColumnElement, sa.ColumnElement]:
    """Row number and name of one of the two tables of names."""
    number, name = _TABLES[table].c
    return number, name


def _conditions(
    column: sa.ColumnElement, numbers: Iterable[int] | None
) -> list[tuple[sa.ColumnElement, ...]]:
    """The conditions of the statements that together ask for all these numbers."""
    if numbers is None:
        return [()]
    wanted = sorted({int(number) for number in numbers})
    return [(column.in_(some),) for some in _slices(wanted)]


def _slices(values: Sequence) -> Iterator[Sequence]:
    for start in range(0, len(values), _SLICE):
        yield values[start : start + _SLICE]


def _ordered(pairs: pd.DataFrame) -> pd.DataFrame:
    pairs = pairs.astype({name: _PAIR[name] for name in _PAIR.names})
    order = np.argsort(pairs["tid"].to_numpy() << 32 | pairs["tag"].to_numpy(), kind="stable")
    return pairs.take(order).reset_index(drop=True)


def _ranked(counts: pd.DataFrame) -> pd.DataFrame:
    ranked = counts.sort_values(["count", "tag_num"], ascending=[False, True], ignore_index=True)
    ranked.index += 1
    return ranked[["tag", "tag_num", "count"]]


def _with_columns(frame: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    for column in columns:
        if column not in frame:
            raise UsageError(f"{where}: no column {column} (it has {', '.join(frame.columns)})")
    return frame

"""Questions to a Last.fm database, raw or clean: by SQL, or in memory.

``LastFm`` asks the database where it lies: nothing to wait for, little memory.
``LastFm2Pandas`` holds the three tables as data frames: seconds to load, then
quicker. Both answer the same questions in the same way.

    lastfm = LastFm("lastfm_tags.db")
    lastfm.query_tags("TRCCCYE12903CFF0E9")
    lastfm.with_tag("trip-hop")
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from beam_pipelines.runtime import storage
from beam_pipelines.tags.database import csv_path
from beam_pipelines.tags.queries_base import Queries
from beam_pipelines.tags.queries_sql import NUMBERED, LastFm, ordered, ranked
from schemas.common.errors import UsageError

__all__ = ["LastFm", "LastFm2Pandas"]


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
        self.tid_tag = ordered(tid_tag[["tid", "tag", "val"]])

    @classmethod
    def from_sql(cls, path: str) -> LastFm2Pandas:
        """Load a database."""
        source = LastFm(path)
        return cls(source.column("tids"), source.column("tags"), source.pairs())

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
            texts = name in NUMBERED
            kinds = {NUMBERED[name][1]: str} if texts else {}
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
        for table, (number, name) in NUMBERED.items():
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
        return {table: self._names(table).to_dict() for table in NUMBERED}

    @functools.cached_property
    def _by_name(self) -> dict[str, dict[str, int]]:
        return {
            table: {name: number for number, name in reversed(names.items())}
            for table, names in self._by_number.items()
        }

    def _find(self, table: str, numbers: bool, values: Sequence[Any]) -> dict[Any, Any]:
        known = (self._by_name if numbers else self._by_number)[table]
        return {value: known[value] for value in values if value in known}

    def pairs(
        self,
        val_above: float | None = None,
        tid_nums: Iterable[int] | None = None,
        tag_nums: Iterable[int] | None = None,
    ) -> pd.DataFrame:
        keep = np.ones(len(self.tid_tag), dtype=bool)
        if val_above is not None:
            keep &= (self.tid_tag["val"] > val_above).to_numpy()
        for column, wanted in (("tid", tid_nums), ("tag", tag_nums)):
            if wanted is not None:
                keep &= self.tid_tag[column].isin(list(wanted)).to_numpy()
        return self.tid_tag[keep].reset_index(drop=True)

    def column(self, table: str) -> pd.Series:
        return {"tids": self.tids, "tags": self.tags}[table]

    def popularity(self, val_above: float | None = None) -> pd.DataFrame:
        counts = self.pairs(val_above)["tag"].value_counts()
        known = self._names("tags")
        counts = counts[counts.index.isin(known.index)]
        frame = pd.DataFrame({"tag_num": counts.index, "count": counts.to_numpy()})
        return ranked(frame.assign(tag=known.loc[counts.index].to_numpy()))


def _with_columns(frame: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    for column in columns:
        if column not in frame:
            raise UsageError(f"{where}: no column {column} (it has {', '.join(frame.columns)})")
    return frame

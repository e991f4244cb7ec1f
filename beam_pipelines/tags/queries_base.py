"""The questions that LastFm and LastFm2Pandas answer in the same way."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd


class Queries(abc.ABC):
    """The questions that both classes answer.

    A look-up takes one value or a sequence. One value gives one answer (KeyError
    if there is none); a sequence gives a list in its order, with its repeats.
    Numbers are row numbers, from 1.
    """

    @abc.abstractmethod
    def _find(self, table: str, numbers: bool, values: Sequence[Any]) -> dict[Any, Any]:
        """Number of each name (the lowest), or name of each number, as far as it is there."""

    @abc.abstractmethod
    def pairs(
        self,
        val_above: float | None = None,
        tid_nums: Iterable[int] | None = None,
        tag_nums: Iterable[int] | None = None,
    ) -> pd.DataFrame:
        """Pairs of track and tag, as numbers.

        Parameters
        ----------
        val_above : float, optional
            Only pairs whose val is strictly greater.
        tid_nums, tag_nums : iterable of int, optional
            Only pairs of these tracks, of these tags; repeats do not matter.

        Returns
        -------
        pd.DataFrame
            Columns tid, tag (int64) and val (float64), ordered by tid, then tag.
        """

    @abc.abstractmethod
    def column(self, table: str) -> pd.Series:
        """The names of a table by their numbers, in order; a NULL is None."""

    def _names(self, table: str) -> pd.Series:
        names = self.column(table)
        return names[names.notna()]

    def tag_to_tag_num(self, tag: Any) -> Any:
        """Number of a tag, or of each of a sequence."""
        return self._look_up("tags", tag, numbers=True)

    def tag_num_to_tag(self, tag_num: Any) -> Any:
        """Tag of a number, or of each of a sequence."""
        return self._look_up("tags", tag_num, numbers=False)

    def tid_to_tid_num(self, tid: Any) -> Any:
        """Number of a track id, or of each of a sequence."""
        return self._look_up("tids", tid, numbers=True)

    def tid_num_to_tid(self, tid_num: Any) -> Any:
        """Track id of a number, or of each of a sequence."""
        return self._look_up("tids", tid_num, numbers=False)

    def _look_up(self, table: str, values: Any, numbers: bool) -> Any:
        single = isinstance(values, (str, int, np.integer))
        wanted = [values] if single else list(values)
        wanted = [value if isinstance(value, str) else int(value) for value in wanted]
        found = self._find(table, numbers, list(dict.fromkeys(wanted)))
        for value in wanted:
            if value not in found:
                raise KeyError(f"{table} has no {value!r}")
        answers = [found[value] for value in wanted]
        return answers[0] if single else answers

    def get_tags(self) -> list[str]:
        """All tags, by number."""
        result: list[str] = self._names("tags").tolist()
        return result

    def get_tag_nums(self) -> list[int]:
        """The numbers of all tags."""
        result: list[int] = self._names("tags").index.tolist()
        return result

    def get_tids(self) -> list[str]:
        """All track ids, by number; a clean database has those with a clean tag."""
        result: list[str] = self._names("tids").tolist()
        return result

    def get_tid_nums(self) -> list[int]:
        """The numbers of all track ids."""
        result: list[int] = self._names("tids").index.tolist()
        return result

    def query_tags(self, tid: str | Iterable[str], val_above: float | None = None) -> Any:
        """Tags of a track, or of each of a sequence of tracks.

        Returns
        -------
        list of str, or list of list of str
            By val descending, then by number.
        """
        single = isinstance(tid, str)
        tid_nums = self.tid_to_tid_num([tid] if single else tid)
        pairs = self.pairs(val_above, tid_nums=tid_nums)
        names = self._find("tags", False, pairs["tag"].unique().tolist())
        pairs["name"] = pairs["tag"].map(names)
        pairs = pairs.sort_values("val", ascending=False, kind="stable")
        named = pairs.dropna(subset="name").drop_duplicates(["tid", "name"])
        tags = named.groupby("tid")["name"].apply(list).to_dict()
        answers = [list(tags.get(number, ())) for number in tid_nums]
        return answers[0] if single else answers

    def with_tag(self, tag: str, tids: Iterable[str] | None = None) -> list[str]:
        """Tracks that have a tag.

        Parameters
        ----------
        tag : str
            The tag.
        tids : iterable of str, optional
            Only these tracks, in their order and with their repeats; by default all
            tracks, by number.
        """
        pairs = self.pairs(tag_nums=[self.tag_to_tag_num(tag)])
        numbers = pairs["tid"].unique().tolist()
        having = self._find("tids", False, numbers)
        if tids is None:
            return [having[number] for number in numbers if number in having]
        names = set(having.values())
        return [tid for tid in tids if tid in names]

    def tid_tag_count(self, tids: Iterable[str]) -> dict[str, int]:
        """Number of distinct tags of each track, 0 for a track without."""
        tids = list(dict.fromkeys(tids))
        numbers = self.tid_to_tid_num(tids)
        counts = self.pairs(tid_nums=numbers).groupby("tid")["tag"].nunique().to_dict()
        return {tid: counts.get(number, 0) for tid, number in zip(tids, numbers, strict=True)}

    def tid_tag_count_filter(self, tids: Iterable[str], min_tags: int) -> list[str]:
        """The tracks that have at least `min_tags` tags, in their order and with their repeats."""
        tids = list(tids)
        counts = self.tid_tag_count(tids)
        return [tid for tid in tids if counts[tid] >= min_tags]

    @abc.abstractmethod
    def popularity(self, val_above: float | None = None) -> pd.DataFrame:
        """Number of pairs of each tag that has one.

        Returns
        -------
        pd.DataFrame
            Columns tag, tag_num and count; count descending, then number; the index
            is the rank, from 1.
        """

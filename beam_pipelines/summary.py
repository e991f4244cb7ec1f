"""Questions to the Million Song Dataset's summary file.

    summary = Summary("msd_summary_file.h5")
    summary.get_attribute("title", "TRCCDUT12903CF6303")
    summary.tracks_with("track_7digitalid", 8155247)

Rows are read in ranges and columns alone: the whole file would take 5 GB.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np

from beam_pipelines.million_song.summary_file import check_summary

TABLES = ("metadata/songs", "analysis/songs", "musicbrainz/songs")
_ROWS = 20_000


class Summary:
    """Look up songs by track id, 7digital id or any attribute.

    Parameters
    ----------
    path : str
        The HDF5 file, on this machine.

    Raises
    ------
    UsageError
        If it is no summary file.
    """

    def __init__(self, path: str) -> None:
        self.n_songs = check_summary(path)
        self.path = path
        self._orders: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    @functools.cached_property
    def attributes(self) -> dict[str, str]:
        """The columns and their tables."""
        with h5py.File(self.path, "r") as file:
            return {name: table for table in TABLES for name in file[table].dtype.names}

    def get_attribute(self, attribute: str, ids: str | int | Iterable[str | int]) -> Any:
        """An attribute of a track, or of each of a sequence of tracks.

        Parameters
        ----------
        attribute : str
            One of `attributes`: title, artist_name, year, duration, ...
        ids : str or int, or an iterable of them
            Track ids (``TR...``), song ids (``SO...``) or 7digital ids (numbers); of one that
            stands twice the first row counts.

        Returns
        -------
        str, int or float, or a list of them
            For a sequence in its order, with its repeats.

        Raises
        ------
        KeyError
            If there is no such attribute or track.
        """
        single = isinstance(ids, str | int | np.integer)
        several: Iterable[Any] = [ids] if isinstance(ids, str | int | np.integer) else ids
        rows = [self._row(each) for each in several]
        wanted = np.unique(np.array(rows, dtype=np.int64))
        found: dict[int, Any] = {}
        for start, block in self._blocks(attribute, np.unique(wanted // _ROWS)):
            inside = wanted[(wanted >= start) & (wanted < start + len(block))]
            found.update(zip(inside.tolist(), map(_plain, block[inside - start]), strict=True))
        answers = [found[row] for row in rows]
        return answers[0] if single else answers

    def tracks_with(self, attribute: str, values: Any) -> Any:
        """Track ids of the songs with a value of an attribute, or with each of a sequence.

        Parameters
        ----------
        attribute : str
            One of `attributes`, for instance track_7digitalid or artist_id.
        values : str, int or float, or an iterable of them
            What is looked for, exactly.

        Returns
        -------
        list of str, or list of list of str
            In the order of the file; empty where no song has the value.
        """
        single = isinstance(values, (str, int, float, np.number))
        values = [values] if single else list(values)
        rows: dict[Any, list[int]] = {value: [] for value in values}
        for start, block in self._blocks(attribute):
            for value, found in rows.items():
                equal = block == (value.encode() if isinstance(value, str) else value)
                found += (start + np.flatnonzero(equal)).tolist()
        answers = [[_plain(tid) for tid in self._track_ids[rows[value]]] for value in values]
        return answers[0] if single else answers

    def _blocks(
        self, attribute: str, numbers: Iterable[int] | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """The ranges of a column, each with its first row: all, or those of these numbers."""
        if attribute not in self.attributes:
            raise KeyError(f"the summary has no {attribute!r}: {', '.join(self.attributes)}")
        starts = range(0, self.n_songs, _ROWS) if numbers is None else [n * _ROWS for n in numbers]
        with h5py.File(self.path, "r") as file:
            column = file[self.attributes[attribute]].fields(attribute)
            for start in starts:
                yield int(start), column[start : start + _ROWS]

    @functools.cached_property
    def _track_ids(self) -> np.ndarray:
        blocks = [block for _, block in self._blocks("track_id")]
        return np.concatenate([np.empty(0, "S18"), *blocks])

    def _order(self, attribute: str) -> tuple[np.ndarray, np.ndarray]:
        """A column of ids, and its rows in their order; read when it is first asked for."""
        if attribute not in self._orders:
            if attribute == "track_id":
                ids = self._track_ids
            else:
                ids = np.concatenate([block for _, block in self._blocks(attribute)])
            self._orders[attribute] = ids, np.argsort(ids, kind="stable")
        return self._orders[attribute]

    def _row(self, name: str | int) -> int:
        wanted: Any = name.encode() if isinstance(name, str) else name
        kind = "song" if isinstance(name, str) and name.startswith("SO") else "track"
        attribute = f"{kind}_id" if isinstance(name, str) else "track_7digitalid"
        if self.n_songs:
            ids, order = self._order(attribute)
            place = np.searchsorted(ids, wanted, sorter=order)
            if place < self.n_songs and ids[order[place]] == wanted:
                return int(order[place])
        raise KeyError(f"the summary has no {attribute} {name!r}")


def _plain(value: Any) -> Any:
    return value.decode("utf8", "replace") if isinstance(value, bytes) else value.item()

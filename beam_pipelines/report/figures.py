"""The figures of a data set's report: pure functions on whole columns, nothing per track."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.manifest import PARTS

_OUTER = 0.005  # share of the tracks, at either end, that may stay outside of a chart
_FEWEST = 12  # bins of a chart


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of one width.

    Attributes
    ----------
    edges : np.ndarray, float64 [n + 1]
        A bin holds its lower edge, not its upper one.
    counts : np.ndarray, int64 [n]
        Values in each bin.
    below, above : int
        Values outside of the edges.
    """

    edges: np.ndarray
    counts: np.ndarray
    below: int
    above: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """How values are spread: their mean, and the values at 0, 5, 50, 95 and 100 %."""

    mean: float
    quantiles: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class PartCounts:
    """What one part, or the whole data set, holds.

    Attributes
    ----------
    tracks, artists, no_artist : int
        Tracks, distinct artist ids, tracks without one.
    shards, size : int
        Shard files and their bytes.
    """

    tracks: int
    artists: int
    no_artist: int
    shards: int
    size: int


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a column that are there, float64 [n]."""
    result: np.ndarray = column.drop_null().cast(pa.float64()).to_numpy()
    return result


def list_lengths(column: pa.ChunkedArray) -> np.ndarray:
    """Length of each row's list, 0 for none, float64 [n]."""
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return numbers(pa.chunked_array(lengths))


def summarise(values: np.ndarray) -> Summary | None:
    """Summary of float64 [n]; None of no value."""
    if not len(values):
        return None
    quantiles = np.quantile(values, [0, 0.05, 0.5, 0.95, 1], method="inverted_cdf")
    return Summary(float(values.mean()), tuple(map(float, quantiles)))


def nice_step(span: float, most: int, least: float) -> tuple[int, int]:
    """The smallest step of 1, 2 or 5 times a power of ten that cuts `span` in `most` pieces.

    Parameters
    ----------
    span : float
        Not negative.
    most : int
        Pieces at most.
    least : float
        Smallest step; a power of ten.

    Returns
    -------
    mantissa, exponent : int
        The step is ``mantissa * 10**exponent``.
    """
    exponent = round(math.log10(least))
    while True:
        for mantissa in (1, 2, 5):
            if span <= most * multiple(1, mantissa, exponent):
                return mantissa, exponent
        exponent += 1


def multiple(n: Any, mantissa: int, exponent: int) -> Any:
    """``n * mantissa * 10**exponent`` as the float nearest to it (3 times 0.1 is 0.3)."""
    if exponent < 0:
        return n * mantissa / 10**-exponent
    return n * mantissa * 10.0**exponent


def histogram(values: np.ndarray, most: int, least: float) -> Histogram | None:
    """Count values in bins with round edges.

    The outermost half per cent at either end does not count for the width of the bins, and
    falls outside where it needs too many of them, so that one clip of an hour does not press
    all others into one bin; of 200 values or fewer all are inside. Fewer than 12 bins are
    filled up with empty ones to the right and the left.

    Parameters
    ----------
    values : np.ndarray, float64 [n]
        Not negative.
    most : int
        Bins at most.
    least : float
        Smallest width of a bin; a power of ten.

    Returns
    -------
    Histogram or None
        None of no value.
    """
    if not len(values):
        return None
    low = float(np.quantile(values, _OUTER, method="lower"))
    high = float(np.quantile(values, 1 - _OUTER, method="higher"))
    # two bins fewer than allowed, since the ends are moved out to whole steps
    step = nice_step(high - low, most - 2, least)

    def bin_of(value: float) -> int:
        number = math.floor(value / multiple(1, *step))
        # 1.9 / 0.1 is less than 19: the edges decide
        number += value >= multiple(number + 1, *step)
        return int(number - (value < multiple(number, *step)))

    first, last = bin_of(low), bin_of(high)
    lowest, highest = bin_of(values.min()), bin_of(values.max())
    if highest - lowest < most:
        first, last = lowest, highest
    first = max(0, first - max(0, _FEWEST - (last + 1 - first)) // 2)
    last = max(last, first + _FEWEST - 1)
    edges = multiple(np.arange(first, last + 2, dtype=np.float64), *step)
    bins = np.searchsorted(edges, values, side="right") - 1
    inside = bins[(bins >= 0) & (bins < len(edges) - 1)]
    counts = np.bincount(inside, minlength=len(edges) - 1)
    above = int((values >= edges[-1]).sum())
    return Histogram(edges, counts, len(values) - len(inside) - above, above)


def tag_counts(tracks: pa.Table) -> dict[str, dict[str, int]]:
    """Written tracks of each tag, by part: {tag: {part: n}}."""
    one = tracks.select(["split", "tags"]).combine_chunks()
    if not one.num_rows:
        return {}
    tags = one["tags"].chunk(0)
    pairs = pa.table(
        {"tag": pc.list_flatten(tags), "part": one["split"].take(pc.list_parent_indices(tags))}
    )
    found: dict[str, dict[str, int]] = {}
    for row in pairs.group_by(["tag", "part"]).aggregate([([], "count_all")]).to_pylist():
        found.setdefault(row["tag"], {})[row["part"]] = row["count_all"]
    return found


def part_counts(
    tracks: pa.Table, parts: Mapping[str, Any]
) -> tuple[dict[str, PartCounts], PartCounts, int]:
    """What each part holds.

    Parameters
    ----------
    tracks : pa.Table
        Columns of ``schemas.tables.TRACKS``.
    parts : mapping
        ``parts`` of the manifest.

    Returns
    -------
    of_part : dict
        By part, in the order of :data:`schemas.manifest.PARTS`.
    total : PartCounts
        Of all parts.
    shared : int
        Artists with tracks in several parts.
    """
    named = tracks.select(["split", "artist_id"]).filter(
        pc.fill_null(pc.not_equal(tracks["artist_id"], ""), False)
    )
    pairs = named.group_by(["split", "artist_id"]).aggregate([([], "count_all")])
    with_artist = _sums(pairs["split"], pairs["count_all"])
    artists = _sums(pairs["split"], pa.array(np.ones(pairs.num_rows, np.int64)))
    of_part = {
        part: PartCounts(
            parts[part]["records"],
            artists.get(part, 0),
            parts[part]["records"] - with_artist.get(part, 0),
            len(parts[part]["shards"]),
            sum(shard["bytes"] for shard in parts[part]["shards"]),
        )
        for part in PARTS
    }
    distinct = len(pc.unique(pairs["artist_id"]))
    rest = [field.name for field in dataclasses.fields(PartCounts) if field.name != "artists"]
    sums = {name: sum(getattr(of_part[part], name) for part in PARTS) for name in rest}
    places = pc.value_counts(pairs["artist_id"]).field("counts").to_numpy(zero_copy_only=False)
    return of_part, PartCounts(artists=distinct, **sums), int((places > 1).sum())


def _sums(keys: pa.ChunkedArray, values: Any) -> dict[str, int]:
    grouped = pa.table({"key": keys, "n": values}).group_by("key").aggregate([("n", "sum")])
    return dict(zip(grouped["key"].to_pylist(), grouped["n_sum"].to_pylist(), strict=True))


def flatten(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested mappings as ('outer: inner', value), in their order."""
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{above}{name}: ")
        else:
            rows.append((above + name, value))
    return rows


def lost(reasons: Mapping[str, Mapping[str, int]], kinds: Sequence[str]) -> list[tuple[Any, ...]]:
    """A stage's losses as (reason, count of each kind ...), the greatest first."""
    names = {reason for kind in kinds for reason in reasons[kind]}
    rows = [(name, *(reasons[kind].get(name, 0) for kind in kinds)) for name in names]
    return sorted(rows, key=lambda row: (-sum(row[1:]), row[0]))

"""How a clean tag came about: which rule merged each spelling, what nearly did, what was left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.tags.cleaning import PASSES, CleanTag, TagTable, plain_key
from beam_pipelines.tags.lists import TagLists

_MOST = 10


def explain(
    name: str,
    table: TagTable,
    popularity: Sequence[RawTag],
    lists: TagLists,
    threshold: int,
    pool_threshold: int,
) -> list[str]:
    """What became of a tag, line by line.

    Parameters
    ----------
    name : str
        A clean tag, or any spelling.
    table : TagTable
        Of the same tags, lists and thresholds.
    popularity : sequence of RawTag
        All tags of the database, by popularity.
    lists : TagLists
    threshold, pool_threshold : int

    Returns
    -------
    list of str
        The row, a line a spelling with its count and rule; then what has the same letters and
        was left out, and why; and what differs by one letter.
    """
    row = _find(name, table)
    if row is None:
        return [f"{name}: no clean tag: {_why_none(name, popularity, lists, threshold)}"]
    tracks = sum(raw.count for raw in row.raw)
    lines = [
        f"{row.tag} ({row.kind}, number {row.number}): {len(row.raw)} spellings, {tracks:,} pairs"
    ]
    lines += [f"{raw.count:>9,}  {raw.tag}  [{table.passes[raw.number]}]" for raw in row.raw]
    merged = {raw.number: other.tag for other in table.rows for raw in other.raw}
    keys = {look.key(raw.tag) for raw in row.raw for look in PASSES if look.selects(raw.tag)} - {""}
    left = [tag for tag in popularity if merged.get(tag.number) != row.tag]
    same = [
        (tag, _why_left(tag, merged, lists, pool_threshold)) for tag in left if _meets(tag, keys)
    ]
    lines += [f"{tag.count:>9,}  {tag.tag}  (left out: {why})" for tag, why in same[:_MOST]]
    known = {tag.number for tag, _ in same}
    near = (tag for tag in left if tag.number not in known and tag.count >= pool_threshold)
    lines += list(_near(near, {plain_key(raw.tag) for raw in row.raw} - {""}, merged))[:_MOST]
    return lines


def _find(name: str, table: TagTable) -> CleanTag | None:
    by_name = {row.tag: row for row in table.rows}
    by_spelling = {raw.tag: row for row in table.rows for raw in row.raw}
    return by_name.get(name.lower()) or by_spelling.get(name)


def _why_none(name: str, popularity: Sequence[RawTag], lists: TagLists, threshold: int) -> str:
    found = next((tag for tag in popularity if tag.tag == name), None)
    if found is None:
        return "the database has no such tag"
    if name in lists.excluded:
        return f"{found.count:,} tracks, excluded by the lists"
    if name.lower() in {other.lower() for other in lists.drop}:
        return f"{found.count:,} tracks, dropped by the lists"
    if found.count < threshold:
        return f"{found.count:,} tracks, under --tag_threshold {threshold:,}"
    return f"{found.count:,} tracks, not on the list of genres"


def _meets(tag: RawTag, keys: set[str]) -> bool:
    return any(look.key(tag.tag) in keys for look in PASSES)


def _why_left(tag: RawTag, merged: dict[int, str], lists: TagLists, pool_threshold: int) -> str:
    if tag.number in merged:
        return f"it went to {merged[tag.number]}"
    if tag.tag in lists.excluded:
        return "excluded by the lists"
    if tag.tag.lower() in {name.lower() for name in lists.drop}:
        return "dropped by the lists"
    if tag.count < pool_threshold:
        return f"under --tag_pool_threshold {pool_threshold:,}"
    return "no rule joins them"


def _near(tags: Iterator[RawTag], keys: set[str], merged: dict[int, str]) -> Iterator[str]:
    for tag in tags:
        key = plain_key(tag.tag)
        if any(_one_letter_apart(key, other) for other in keys):
            where = f"in {merged[tag.number]}" if tag.number in merged else "in no tag"
            yield f"{tag.count:>9,}  {tag.tag}  (one letter apart, {where})"


def _one_letter_apart(one: str, other: str) -> bool:
    """Whether a letter put in, left out or changed makes one of the other."""
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < 3 or one == other:
        return False
    same = next(
        (k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    skip_one, skip_other = len(one) >= len(other), len(other) >= len(one)
    return one[same + skip_one :] == other[same + skip_other :]

"""The same tag, written differently: case, Unicode's two forms, spaces."""

from __future__ import annotations

import collections
import unicodedata
from collections.abc import Mapping, Sequence


def spelling_key(tag: str) -> str:
    """What the spellings of a tag have in common: ``Hip  Hop`` and ``hip hop`` are one tag."""
    return " ".join(
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", tag).casefold()).split()
    )


def merge_spellings(
    rows: Sequence[Sequence[str]],
) -> tuple[list[tuple[str, ...]], dict[str, dict[str, int]]]:
    """Give each tag its most frequent spelling.

    Parameters
    ----------
    rows : sequence of sequence of str
        The tags of each track.

    Returns
    -------
    merged : list of tuple of str
        The tags of each track, each once, in their order.
    spellings : dict
        Tag to its spellings with their tracks, the most frequent first and of two equal ones
        the one that comes first in the rows; only tags that have several.
    """
    counts = collections.Counter(tag for tags in rows for tag in dict.fromkeys(tags))
    groups = collections.defaultdict[str, list[str]](list)
    for tag in counts:
        groups[spelling_key(tag)].append(tag)
    # sorted() keeps the order of the rows where counts are equal
    ranked = [sorted(group, key=lambda tag: -counts[tag]) for group in groups.values()]
    name = {tag: group[0] for group in ranked for tag in group}
    merged = [tuple(dict.fromkeys(name[tag] for tag in tags)) for tags in rows]
    several = {group[0]: {tag: counts[tag] for tag in group} for group in ranked if len(group) > 1}
    return merged, several


def merged_line(spellings: Mapping[str, Mapping[str, int]], most: int = 5) -> str:
    """What was merged, in one line, the most frequent tags first.

    Parameters
    ----------
    spellings : mapping
        From :func:`merge_spellings`.
    most : int
        Tags that are named.
    """
    order = sorted(spellings, key=lambda tag: (-sum(spellings[tag].values()), tag))
    named = [
        f"{tag!r} takes " + ", ".join(f"{s!r} {n:,}" for s, n in list(spellings[tag].items())[1:])
        for tag in order[:most]
    ]
    more = f"; and {len(order) - most:,} tags more" if len(order) > most else ""
    return (
        f"written differently, taken as one tag (--spellings keep does not): "
        f"{'; '.join(named)}{more}"
    )

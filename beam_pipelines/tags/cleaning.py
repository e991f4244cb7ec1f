"""From half a million free tags to a table of clean ones.

Tags with the same key are one tag. Each pass looks at the tags under another
rewriting ("r&b" as "rnb", "80s" as "1980s"), joins frequent tags (the targets)
with all tags (the pool) by key, and unites them; union-find makes the merging
transitive. The work is linear in the number of tags.

The rules are those of the 2019 urop2019 project
(https://github.com/pukkapies/urop2019), apart from four of its faults: an empty
key matches nothing, a decade belongs to one century, a tag that is listed twice
or not found is counted instead of stopping the work, and ties never depend on
the order of a set.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.tags.lists import GENRE, VOCALS, TagLists
from schemas.common.components import union_find
from schemas.common.errors import UsageError

NAMED, LISTED, COMBINED = "its name", "list", "combined"
VOCAL_WINS = "in a genre and in a vocal class: the vocal class takes it"
_NOT_KEY = re.compile(r"[^A-Za-z0-9]+")
_PLURAL = re.compile(r"(?<=[^s])s\Z")


def strip(tag: str) -> str:
    """The ASCII letters and digits of a tag; accented letters are deleted, not folded."""
    return _NOT_KEY.sub("", tag)


def plain_key(tag: str) -> str:
    """What two spellings of a tag have in common.

    ASCII letters and digits, without one final lowercase ``s`` that stands behind
    something else than ``s``, without case: ``80s`` and ``80`` meet, ``ROCKS``
    and ``rock`` do not. Empty for a tag without ASCII letters or digits.
    """
    return _PLURAL.sub("", strip(tag)).lower()


def decade_key(tag: str, decades: str, century: str) -> str:
    """The key of a tag whose short decade is written out: ``80s pop`` gives ``1980spop``.

    Parameters
    ----------
    tag : str
        The tag; its decade must stand at the front, in lower case.
    decades : str
        First digits of the decades that belong to the century.
    century : str
        The digits in front.
    """
    return re.sub(rf"\A(?=[{decades}]0s)", century, strip(tag)).lower()


class Pass(NamedTuple):
    """One look at the tags: which targets take part, and the key of both sides."""

    name: str
    selects: Callable[[str], bool]
    key: Callable[[str], str]


PASSES = (
    Pass("plain", lambda tag: True, plain_key),
    Pass("& as n", lambda tag: "&" in tag, lambda tag: plain_key(tag.replace("&", "n"))),
    Pass("& as and", lambda tag: "&" in tag, lambda tag: plain_key(tag.replace("&", "and"))),
    Pass("and as n", lambda tag: " and " in tag, lambda tag: plain_key(tag.replace(" and ", "n"))),
    Pass(
        "20s to 90s as 19..",
        lambda tag: re.search(r"\b[2-9]0s", tag) is not None,
        lambda tag: decade_key(tag, "2-9", "19"),
    ),
    Pass(
        "00s and 10s as 20..",
        lambda tag: re.search(r"\b[01]0s", tag) is not None,
        lambda tag: decade_key(tag, "01", "20"),
    ),
)


@dataclasses.dataclass(frozen=True)
class CleanTag:
    """A row of the tag table.

    Attributes
    ----------
    number : int
        From 1, in the table's order; the row number in a clean database.
    tag : str
        The clean name, in lower case.
    kind : str
        'genre', 'rap', 'instrumental', 'male' or 'female'.
    name : str
        The spelling that gives the row its name.
    raw : tuple of RawTag
        All that is merged here, `name` included where the database has it, by
        popularity.
    """

    number: int
    tag: str
    kind: str
    name: str
    raw: tuple[RawTag, ...]


@dataclasses.dataclass(frozen=True)
class TagTable:
    """The clean tags, and what of the lists was ignored on the way.

    Attributes
    ----------
    rows : tuple of CleanTag
    ignored : dict of str to tuple of str
        Names that were ignored, by reason.
    passes : dict of int to str
        Number of a merged raw tag to the rule that brought it into its row.
    """

    rows: tuple[CleanTag, ...]
    ignored: dict[str, tuple[str, ...]]
    passes: dict[int, str]


def clean_table(
    popularity: Iterable[RawTag],
    lists: TagLists,
    threshold: int = 2000,
    pool_threshold: int = 10,
    extra_targets: Collection[str] = (),
    passes: Sequence[Pass] = PASSES,
) -> TagTable:
    """Merge the spellings of the tags that are worth keeping.

    Parameters
    ----------
    popularity : iterable of RawTag
        All tags of the database with their counts, in any order.
    lists : TagLists
        What is kept, excluded, combined and dropped.
    threshold : int
        A genre is a tag with at least this count; a vocal class needs one such
        spelling.
    pool_threshold : int
        Tags with at least this count are merged into their target.
    extra_targets : collection of str
        Exact names that are targets whatever their count and the genre list say.
    passes : sequence of Pass
        The rewritings, in order.

    Returns
    -------
    TagTable
        Genres by popularity, then rap, instrumental, male, female.

    Raises
    ------
    UsageError
        If no tag is left; it names the highest count found and the threshold.
    """
    tags = sorted(popularity, key=_by_popularity)
    least = min(threshold, pool_threshold)
    frequent = [tag for tag in tags if tag.count >= least]
    ignored: dict[str, set[str]] = {}
    vocals = _vocal_rows(frequent, lists, threshold, ignored)
    vocal = {raw.number for row in vocals for raw in row.raw}

    excluded = set(lists.excluded)
    pool = [tag for tag in frequent if tag.tag not in excluded]
    targets = _targets(tags, lists, threshold, set(extra_targets))
    genres, how = _merge(targets, pool, passes, vocal, ignored)

    rows = _combine([*genres, *vocals], lists.combine, ignored)
    rows = _unite_cases(_drop(rows, lists.drop, ignored))
    if not rows:
        raise UsageError(_none_left(tags, threshold))
    numbered = tuple(dataclasses.replace(row, number=i) for i, row in enumerate(rows, start=1))
    why_ignored = {why: tuple(sorted(names)) for why, names in sorted(ignored.items())}
    return TagTable(numbered, why_ignored, _rules(numbered, vocal, how))


def _rules(
    rows: Iterable[CleanTag], vocal: Collection[int], how: Mapping[int, str]
) -> dict[int, str]:
    """The rule that brought each raw tag into its row."""
    rules = {}
    for row in rows:
        for raw in row.raw:
            by = LISTED if raw.number in vocal else how.get(raw.number, COMBINED)
            rules[raw.number] = NAMED if raw.tag == row.name else by
    return rules


def ignored_lines(table: TagTable) -> list[str]:
    """What of the lists was ignored, a line a reason, with the first names."""
    return [
        f"ignored, {why}: {len(names)} ({', '.join(names[:5])}{', ...' * (len(names) > 5)})"
        for why, names in table.ignored.items()
    ]


def raw_to_clean(table: TagTable) -> dict[int, str]:
    """The number of each merged raw tag and its clean tag, in the table's order."""
    return {raw.number: row.tag for row in table.rows for raw in row.raw}


def _by_popularity(tag: RawTag) -> tuple[int, int]:
    return -tag.count, tag.number


def _none_left(tags: Sequence[RawTag], threshold: int) -> str:
    highest = f"{tags[0].tag!r} has the most, {tags[0].count}" if tags else "there is no tag"
    return (
        f"no tag is left: a tag must be on the lists and have {threshold} tracks, and {highest} "
        "(give a lower --tag_threshold or other --tag_lists)"
    )


def _vocal_rows(
    tags: Sequence[RawTag],
    lists: TagLists,
    threshold: int,
    ignored: dict[str, set[str]],
) -> list[CleanTag]:
    kind_of: dict[str, str] = {}
    for kind in (kind for kind in VOCALS if getattr(lists, kind)):
        for name in (kind, *getattr(lists, kind)):
            if kind_of.setdefault(name, kind) != kind:
                _note(ignored, "listed in two vocal classes: the first takes it", name)
    found: dict[str, list[RawTag]] = {kind: [] for kind in VOCALS}
    for tag in tags:
        if tag.tag in kind_of:
            found[kind_of[tag.tag]].append(tag)
    return [
        _row(kind, kind, raw) for kind, raw in found.items() if raw and raw[0].count >= threshold
    ]


def _targets(
    tags: Sequence[RawTag], lists: TagLists, threshold: int, extra: set[str]
) -> list[RawTag]:
    excluded = set(lists.excluded)
    names = None if lists.genre is None else set(lists.genre)
    keys = {plain_key(name) for name in names or ()} - {""}

    def admitted(tag: str) -> bool:
        listed = names is None or tag in names or plain_key(tag) in keys
        return listed and tag not in excluded

    return [t for t in tags if t.tag in extra or (t.count >= threshold and admitted(t.tag))]


def _merge(
    targets: Sequence[RawTag],
    pool: Sequence[RawTag],
    passes: Sequence[Pass],
    vocal: Collection[int],
    ignored: dict[str, set[str]],
) -> tuple[list[CleanTag], dict[int, str]]:
    """Unite targets and pool, both by popularity; each row's name is its most popular target.

    The second is the pass after which a raw tag was first with that target.
    """
    for target in targets:
        if target.number in vocal:
            _note(ignored, VOCAL_WINS, target.tag)
    targets = [target for target in targets if target.number not in vocal]
    numbers = {target.number for target in targets}
    tags = [*targets, *(tag for tag in pool if tag.number not in numbers)]
    links: list[tuple[int, ...]] = [(i,) for i in range(len(tags))]
    ends = list[int]()  # of the links, after each pass
    for look in passes:
        selected: dict[str, int] = {}
        for i, target in enumerate(targets):
            if look.selects(target.tag):
                selected.setdefault(look.key(target.tag), i)
        selected.pop("", None)
        for i, tag in enumerate(tags) if selected else ():
            first = selected.get(look.key(tag.tag))
            if first is None:
                continue
            if tag.number in vocal:
                _note(ignored, VOCAL_WINS, tag.tag)
                continue
            links.append((first, i))
        ends.append(len(links))

    root = union_find(links)  # always a target, if there is one: targets come first
    merged: dict[int, list[RawTag]] = {i: [] for i in range(len(targets)) if root[i] == i}
    for i, tag in enumerate(tags):
        if root[i] in merged:
            merged[root[i]].append(tag)
    how = dict[int, str]()
    for look, end in zip(passes, ends, strict=True):
        for i, with_whom in union_find(links[len(tags) : end]).items():
            if i != with_whom == root[i]:
                how.setdefault(tags[i].number, look.name)
    return [_row(GENRE, targets[first].tag, raw) for first, raw in merged.items()], how


def _combine(
    rows: list[CleanTag], combinations: Iterable[Sequence[str]], ignored: dict[str, set[str]]
) -> list[CleanTag]:
    """Make one row, the first in order, of the rows that hold the names of a combination."""
    rows = list(rows)
    for names in combinations:
        held = set()
        for name in names:
            found = [i for i, row in enumerate(rows) if name.lower() in _names(row)]
            held.update(found[:1])
            if not found:
                _note(ignored, "to be combined, but not found", name)
        if len(held) > 1:
            first, *others = sorted(held)
            raw = [tag for i in sorted(held) for tag in rows[i].raw]
            rows[first] = _row(rows[first].kind, rows[first].name, raw)
            rows = [row for i, row in enumerate(rows) if i not in others]
    return rows


def _drop(
    rows: list[CleanTag], names: Iterable[str], ignored: dict[str, set[str]]
) -> list[CleanTag]:
    """Take out the rows of these names, and the merged tags of these names."""
    dropped = {name.lower() for name in names}
    for name in dropped.difference(*(_names(row) for row in rows)):
        _note(ignored, "to be dropped, but not found", name)
    return [
        _row(row.kind, row.name, [tag for tag in row.raw if tag.tag.lower() not in dropped])
        for row in rows
        if row.tag not in dropped
    ]


def _unite_cases(rows: list[CleanTag]) -> list[CleanTag]:
    """Make one row of those whose names differ in case only; a vocal class takes the genre."""
    united: dict[str, CleanTag] = {}
    for row in rows:
        before = united.get(row.tag)
        if before is None:
            united[row.tag] = row
        elif row.kind == before.kind:
            united[row.tag] = _row(row.kind, before.name, [*before.raw, *row.raw])
        else:
            del united[row.tag]
            united[row.tag] = _row(row.kind, row.name, [*before.raw, *row.raw])
    return list(united.values())


def _row(kind: str, name: str, raw: Iterable[RawTag]) -> CleanTag:
    return CleanTag(0, name.lower(), kind, name, tuple(sorted(raw, key=_by_popularity)))


def _names(row: CleanTag) -> set[str]:
    return {row.tag, *(tag.tag.lower() for tag in row.raw)}


def _note(ignored: dict[str, set[str]], why: str, name: str) -> None:
    ignored.setdefault(why, set()).add(name)

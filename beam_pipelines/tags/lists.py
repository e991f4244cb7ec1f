"""The curated lists that say which tags are kept.

A folder of lists holds ``genre.txt``, ``rap.txt``, ``instrumental.txt``,
``male.txt`` and ``female.txt``, one tag a line, spelled as on Last.fm (spaces
and case count); a line that begins with ``-`` excludes that very spelling.
``combine.csv`` (the names of one line are one tag) and ``drop.txt`` (names that
are no tag) are optional. A ``genre.txt`` that names tags admits those alone; one
that only excludes admits every other tag.

The folders of the 2019 urop2019 project (``genre_list_filtered.txt`` and so on)
are read too, in their own sense: whatever the genre list does not exclude is
admitted, with the names that were combined and dropped then.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.resources

from beam_pipelines.runtime import storage

VOCALS = ("rap", "instrumental", "male", "female")
GENRE = "genre"
SUFFIX_2019 = "_list_filtered.txt"
COMBINE_2019 = (("rhythm and blues", "rnb"), ("funky", "funk"))
DROP_2019 = ("2000", "00", "90", "80", "70", "60")


@dataclasses.dataclass(frozen=True)
class TagLists:
    """Which tags are kept, and under which names.

    Attributes
    ----------
    genre : tuple of str, optional
        Names that a target may have, in any spelling with the same key; None
        admits every tag that is frequent enough.
    rap, instrumental, male, female : tuple of str
        Exact spellings that make up the four vocal classes, beside the class's own
        name; an empty list leaves the class out.
    excluded : tuple of str
        Exact spellings that are neither targets nor merged into one.
    combine : tuple of tuple of str
        Names that are one tag, in any case; the most popular stays.
    drop : tuple of str
        Names that are no tag, in any case: a row of that name goes whole, a merged
        tag alone.
    """

    genre: tuple[str, ...] | None = None
    rap: tuple[str, ...] = ()
    instrumental: tuple[str, ...] = ()
    male: tuple[str, ...] = ()
    female: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    combine: tuple[tuple[str, ...], ...] = ()
    drop: tuple[str, ...] = ()


def read_tag_lists(directory: str) -> TagLists:
    """Read a folder of lists, on any of Beam's file systems.

    Raises
    ------
    UsageError
        If the folder or one of its five lists is missing, or a list is not UTF-8.
    """
    of_2019 = not storage.exists(storage.join(directory, f"{GENRE}.txt")) and storage.exists(
        storage.join(directory, f"{GENRE}{SUFFIX_2019}")
    )
    suffix = SUFFIX_2019 if of_2019 else ".txt"

    def text(name: str) -> str:
        return storage.read_text(storage.join(directory, name), "--tag_lists")

    def optional(name: str) -> str | None:
        return text(name) if storage.exists(storage.join(directory, name)) else None

    texts = {name: text(name + suffix) for name in (GENRE, *VOCALS)}
    return _tag_lists(texts, optional("combine.csv"), optional("drop.txt"), of_2019)


def default_tag_lists() -> TagLists:
    """The project's own lists: several hundred genres, moods and decades, four vocal classes."""
    folder = importlib.resources.files("beam_pipelines.tags") / "curated"
    read = {
        name: (folder / name).read_text(encoding="utf8")
        for name in (*(f"{name}.txt" for name in (GENRE, *VOCALS)), "combine.csv", "drop.txt")
    }
    texts = {name: read[f"{name}.txt"] for name in (GENRE, *VOCALS)}
    return _tag_lists(texts, read["combine.csv"], read["drop.txt"], of_2019=False)


def _tag_lists(
    texts: dict[str, str], combine: str | None, drop: str | None, of_2019: bool
) -> TagLists:
    listed = {name: _included(_lines(text)) for name, text in texts.items()}
    genre = listed.pop(GENRE)
    default_combine, default_drop = (COMBINE_2019, DROP_2019) if of_2019 else ((), ())
    return TagLists(
        genre=None if of_2019 or not genre else genre,
        excluded=tuple(line[1:] for line in _lines(texts[GENRE]) if line.startswith("-")),
        combine=default_combine if combine is None else _combinations(combine),
        drop=default_drop if drop is None else _lines(drop),
        **listed,
    )


def _lines(text: str) -> tuple[str, ...]:
    # Not splitlines(): a tag may hold one of Unicode's other line separators.
    lines = (line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n"))
    return tuple(line for line in lines if line.strip())


def _included(lines: tuple[str, ...]) -> tuple[str, ...]:
    excluded = {line[1:] for line in lines if line.startswith("-")}
    return tuple(line for line in lines if not line.startswith("-") and line not in excluded)


def _combinations(text: str) -> tuple[tuple[str, ...], ...]:
    rows = csv.reader(_lines(text))
    return tuple(tuple(name for name in row if name) for row in rows)

"""The lists from which a person curates: what is frequent, and what sounds like a vocal class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.tags.lists import GENRE

# Percent of the counts, as the 2019 urop2019 project took them.
CLASSES = {"rap": 90.0, "instrumental": 90.0, "male": 90.0, "female": 80.0}


def candidates(
    popularity: Sequence[RawTag],
    threshold: int = 2000,
    classes: Mapping[str, float] | None = None,
) -> dict[str, list[str]]:
    """Tags that may belong on the curated lists.

    Parameters
    ----------
    popularity : sequence of RawTag
        All tags of the database, by popularity.
    threshold : int
        Count that a genre candidate must have.
    classes : mapping, optional
        Name of a class to a percentage, 0 to 100. Its candidates are the tags in which a word
        begins with the name, in any case, the most popular first until they make that part of
        all such tags' counts; :data:`CLASSES` by default.

    Returns
    -------
    dict of str to list of str
        'genre' and the classes: names by popularity. Left out are names that a list cannot
        hold: a leading ``-`` would exclude them.
    """
    tags = [t for t in popularity if t.tag.strip() and t.tag[0] != "-" and "\n" not in t.tag]
    lists = {GENRE: [t.tag for t in tags if t.count >= threshold]}
    for name, percent in (CLASSES if classes is None else classes).items():
        word = re.compile(rf"\b{re.escape(name)}", re.IGNORECASE)
        lists[name] = _share_of([t for t in tags if word.search(t.tag)], percent)
    return lists


def _share_of(tags: Sequence[RawTag], percent: float) -> list[str]:
    wanted = percent * sum(tag.count for tag in tags) / 100
    found, so_far = list[str](), 0
    for tag in tags:
        if so_far >= wanted:
            break
        so_far += tag.count
        found.append(tag.tag)
    return found

"""The lists from which a person curates: what is frequent, and what sounds like a vocal class."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.tags.lists import GENRE

WORDS = {
    "rap": re.compile(r"rap", re.IGNORECASE),
    "instrumental": re.compile(r"instrumental", re.IGNORECASE),
    "male": re.compile(r"(?<!fe)male", re.IGNORECASE),
    "female": re.compile(r"female", re.IGNORECASE),
}


def candidates(
    popularity: Sequence[RawTag], threshold: int = 2000, percentile: float = 90.0
) -> dict[str, list[str]]:
    """Tags that may belong on the curated lists.

    Parameters
    ----------
    popularity : sequence of RawTag
        All tags of the database, by popularity.
    threshold : int
        Count that a genre candidate must have.
    percentile : float
        A vocal candidate holds the word of its class and has at least the count of
        this percentile of all tags, 0 to 100.

    Returns
    -------
    dict of str to list of str
        'genre', 'rap', 'instrumental', 'male', 'female': names by popularity. Left
        out are names that a list cannot hold: a leading ``-`` would exclude them.
    """
    tags = [t for t in popularity if t.tag.strip() and t.tag[0] != "-" and "\n" not in t.tag]
    least = np.percentile([t.count for t in popularity], percentile) if popularity else 0
    frequent = [t.tag for t in tags if t.count >= least]
    lists = {GENRE: [t.tag for t in tags if t.count >= threshold]}
    for kind, word in WORDS.items():
        lists[kind] = [tag for tag in frequent if word.search(tag)]
    return lists

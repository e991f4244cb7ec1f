"""Where a song goes, fixed by the MD5 of its name: part, piece, rank."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from schemas.manifest import PARTS


def md5_int(text: str) -> int:
    """The first 32 bits of an MD5: where a name stands between 0 and 2**32."""
    return int.from_bytes(hashlib.md5(text.encode()).digest()[:4], "big")


def part_of(unit: str, percent: Sequence[float]) -> str:
    """Part of a split unit (an artist, a song): fixed by its name alone.

    Parameters
    ----------
    unit : str
        What must not be torn apart.
    percent : sequence of float
        Shares of train, validation and test, adding up to 100.
    """
    place = md5_int("split:" + unit) / 2**32 * 100
    for part, limit in zip(PARTS, _running_sums(percent), strict=True):
        if place < limit:
            return part
    return [part for part, share in zip(PARTS, percent, strict=True) if share][-1]


def _running_sums(values: Iterable[float]) -> list[float]:
    sums, total = [], 0.0
    for value in values:
        total += value
        sums.append(total)
    return sums


def deal_copies(element: tuple[str, list], pieces: int) -> Iterator[tuple[int, tuple]]:
    """Key a song by its piece, copy by copy: some songs have hundreds, too many for one element.

    Parameters
    ----------
    element : (str, list)
        Name of the song, its copies.
    pieces : int
        Number of pieces.

    Yields
    ------
    (int, (str, int, object))
        Piece; song, number of the copy, copy. The pieces are in MD5 order.
    """
    song, copies = element
    piece = md5_int(song) * pieces >> 32
    for number, copy in enumerate(copies):
        yield piece, (song, number, copy)


def rank_key(song: str) -> str:
    """Sort key of a song inside its part."""
    return hashlib.md5(song.encode()).hexdigest()

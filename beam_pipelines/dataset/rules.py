"""The rules by which files, songs, tags and copies come together; rows only, no Beam."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from beam_pipelines.million_song.summary_file import Song
from schemas.manifest import PARTS
from schemas.rejects import FILE, SONG, Reason, Reject


class Candidate(NamedTuple):
    """One copy of a song that may be written: a summary row, its file and its tags."""

    track_id: str
    track_7digitalid: int
    song_id: str
    artist_id: str
    artist_name: str
    title: str
    release: str
    year: int
    path: str
    size: int
    tags: list
    split: str


class ListedFile(NamedTuple):
    """An audio file, and what is known against it before it is decoded.

    Attributes
    ----------
    path : str
        Under the audio root.
    size : int
        Bytes.
    reason : str or None
        The audio filter that its size, or an earlier scan, says it fails.
    detail : str
        What was measured.
    """

    path: str
    size: int
    reason: str | None = None
    detail: str = ""


class Rules(NamedTuple):
    """What the plan lets through.

    Attributes
    ----------
    keep_untagged : bool
        Whether a track without a tag is a candidate.
    split_file : bool
        Whether a file names the part of every track.
    """

    keep_untagged: bool
    split_file: bool


def reject_pair(
    song: Song | Candidate, path: str, reason: Reason, detail: str = ""
) -> list[Reject]:
    """A joined pair that fails is one reject of each kind."""
    about = (path, song.track_id, song.track_7digitalid, reason, detail)
    return [Reject(FILE, *about), Reject(SONG, *about)]


def match_id(
    number: int, files: Sequence[ListedFile], songs: Sequence[Song]
) -> tuple[tuple[Song, ListedFile] | None, list[Reject]]:
    """Join the files and the summary rows of one 7digital id.

    An id on several files or several rows is ambiguous: which file belongs to
    which song cannot be known, so all of them go.

    Parameters
    ----------
    number : int
        The 7digital id.
    files : sequence of ListedFile
        Files of that id.
    songs : sequence of Song
        Summary rows of that id.

    Returns
    -------
    pair : (Song, ListedFile) or None
        The one pair, if there is one.
    rejects : list of Reject
        All others.
    """
    if number > 0 and len(files) == 1 and len(songs) == 1:
        return (songs[0], files[0]), []
    if number <= 0:
        song_reason, file_reason = Reason.NO_7DIGITALID, Reason.NOT_IN_SUMMARY
    elif not songs:
        song_reason = file_reason = Reason.NOT_IN_SUMMARY
    elif not files and len(songs) == 1:
        song_reason = file_reason = Reason.NO_AUDIO
    else:
        song_reason = file_reason = Reason.AMBIGUOUS_7DIGITALID
    detail = f"files: {len(files)}, songs: {len(songs)}"
    if file_reason is not Reason.AMBIGUOUS_7DIGITALID:
        detail = "0 is no 7digital id" if number <= 0 else ""
    return None, [
        *(Reject(FILE, file.path, None, number, file_reason, detail) for file in files),
        *(Reject(SONG, None, song.track_id, number, song_reason, detail) for song in songs),
    ]


def check_track(
    pairs: Sequence[tuple[Song, ListedFile]],
    tags: Sequence[str] | None,
    mismatch: bool,
    part: str | None,
    rules: Rules,
) -> tuple[Candidate | None, list[Reject]]:
    """Decide on one track id by the metadata alone, before anything is decoded.

    Parameters
    ----------
    pairs : sequence of (Song, ListedFile)
        Matched pairs of this track id; more than one is ambiguous.
    tags : sequence of str or None
        Tags of the track.
    mismatch : bool
        Whether the Million Song Dataset says that its metadata are another song's.
    part : str or None
        What a split file says of it.
    rules : Rules
        What is asked for.

    Returns
    -------
    candidate : Candidate or None
    rejects : list of Reject
    """
    if len(pairs) > 1:
        detail = f"{len(pairs)} summary rows"
        rejects = [
            reject
            for song, file in pairs
            for reject in reject_pair(song, file.path, Reason.AMBIGUOUS_TRACK_ID, detail)
        ]
        return None, rejects
    song, file = pairs[0]
    reason, detail = None, ""
    if mismatch:
        reason = Reason.MISMATCH
    elif not tags and not rules.keep_untagged:
        reason = Reason.NO_TAG
    elif rules.split_file and part is None:
        reason, detail = Reason.NO_SPLIT, "not in the split file"
    elif file.size == 0:
        reason = Reason.EMPTY_FILE
    elif file.reason is not None:
        reason, detail = Reason(file.reason), file.detail
    if reason is not None:
        return None, reject_pair(song, file.path, reason, detail)
    return Candidate(*song, file.path, file.size, list(tags or ()), part or ""), []


def order_copies(copies: Iterable[Candidate]) -> list[Candidate]:
    """The order in which the copies of a song are tried: larger file first, then track id."""
    return sorted(copies, key=lambda copy: (-copy.size, copy.track_id))


def same_part(copies: Sequence[Candidate]) -> tuple[list[Candidate], list[Reject]]:
    """Keep the copies that a split file puts into the first copy's part.

    The copies of one song are never in two parts; with a split file that says so
    the first copy in order decides.
    """
    kept = [copy for copy in copies if copy.split == copies[0].split]
    rejects = [
        reject
        for copy in copies
        if copy.split != copies[0].split
        for reject in reject_pair(
            copy, copy.path, Reason.NO_SPLIT, f"a copy, {copies[0].track_id}, is in another part"
        )
    ]
    return kept, rejects


def union_find(links: Iterable[Sequence[str]]) -> dict[str, str]:
    """Connected components.

    Parameters
    ----------
    links : iterable of sequences of str
        The names in one sequence belong together.

    Returns
    -------
    dict
        Each name that occurs to the lowest name of its component.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for link in links:
        for other in link[1:]:
            low, high = sorted((root(link[0]), root(other)))
            parent[high] = low
        if len(link) == 1:
            root(link[0])
    return {name: root(name) for name in parent}


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


def divide_shards(num_shards: int, planned: Mapping[str, int]) -> dict[str, int]:
    """Divide the shards over the parts by the songs planned.

    Parameters
    ----------
    num_shards : int
        The total that was asked for.
    planned : mapping
        Part to songs.

    Returns
    -------
    dict
        Part to shards: at least one for a part that is not empty, never more
        than it has songs, the rest by largest remainder.
    """
    total = sum(planned.values())
    exact = {part: num_shards * planned[part] / total if total else 0.0 for part in PARTS}
    shares = {part: int(exact[part]) for part in PARTS}
    by_remainder = sorted(PARTS, key=lambda part: (shares[part] - exact[part], part))
    for part in by_remainder[: num_shards - sum(shares.values())]:
        shares[part] += 1
    shares = {part: min(planned[part], max(1, shares[part])) for part in PARTS}
    while sum(shares.values()) > max(num_shards, sum(1 for part in PARTS if planned[part])):
        shares[max(PARTS, key=lambda part: shares[part])] -= 1
    return shares

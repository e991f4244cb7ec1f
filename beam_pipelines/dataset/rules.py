"""The rules by which files, songs, tags and copies come together; rows only, no Beam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from beam_pipelines.million_song.summary_file import Song
from beam_pipelines.scanning.listing import ListedFile
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
        detail = file.detail if file.reason == reason else ""
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

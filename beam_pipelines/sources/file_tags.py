"""A music library: the genres, moods and groupings that its files carry in themselves."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.runtime.resumable import fingerprint
from beam_pipelines.scanning.listing import list_audio
from beam_pipelines.sources.labelled import Labelled, LabelledFiles, label_files
from beam_pipelines.sources.source import Kind
from beam_pipelines.tags.in_files import FileTags, read_file_tags
from beam_pipelines.tags.spelling import spelling_key
from schemas.common.errors import UsageError

_MANY_ARTISTS = {"various artists", "various", "va", "v.a.", "compilation", "soundtrack"}


def label_track(path: str, found: FileTags, decades: bool = False) -> Labelled:
    """A track as its file describes itself.

    Parameters
    ----------
    path : str
        Under the audio root.
    found : FileTags
    decades : bool
        Whether the decade of the year is a tag too: ``1980s``.

    Returns
    -------
    Labelled
        Its artist is the album's, but for compilations, whose tracks have their own.
    """
    decade = (f"{found.year // 10 * 10}s",) if decades and found.year else ()
    artist = found.album_artist
    if not artist or spelling_key(artist) in _MANY_ARTISTS:
        artist = found.artist
    return Labelled(
        path,
        tuple(dict.fromkeys((*found.tags, *decade))),
        spelling_key(artist),
        artist_name=found.artist or artist,
        title=found.title,
        release=found.album,
        year=found.year,
    )


def read_tracks(root: str, paths: Sequence[str], decades: bool) -> tuple[list[Labelled], int]:
    """The tracks of some files, and how many of them have no tags that can be read."""
    rows, unread = [], 0
    for path in paths:
        full = storage.join(root, path)
        is_here = storage.is_local(full)
        found = read_file_tags(full if is_here else io.BytesIO(storage.read_bytes(full)))
        unread += found is None
        rows.append(label_track(path, found or FileTags(), decades))
    return rows, unread


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--decades",
        action="store_const",
        const=True,
        help="file-tags: the decade of a file's year is a tag too",
    )


def _settle(args: argparse.Namespace) -> None:
    if not args.audio_dir:
        raise UsageError("--audio_dir is missing: the files themselves have the tags")


def _look(args: argparse.Namespace) -> LabelledFiles:
    with Progress("list the audio files"):
        listing = list_audio(args.audio_dir)
    paths = [file.path for file in listing.files]
    with Progress("read the files' tags"):
        rows, unread = read_tracks(args.audio_dir, paths, bool(args.decades))
    tagged = sum(bool(row.tags) for row in rows)
    if not tagged:
        raise UsageError(
            f"none of the {len(rows):,} audio files under {args.audio_dir} carries a genre, mood "
            "or grouping; --source folders takes their folders for tags"
        )
    print(
        f"{len(rows):,} audio files, {tagged:,} with a genre, mood or grouping"
        + (f"; of {unread:,} the tags cannot be read" if unread else ""),
        file=sys.stderr,
    )
    return label_files(args, rows, {"file_tags": fingerprint(list(map(list, rows)))}, listing)


KIND = Kind(
    "file-tags",
    ("decades", "spellings"),
    _add_options,
    _settle,
    _look,
    places=(),
    untagged="drop",
    tag_cleaning="merge",
)

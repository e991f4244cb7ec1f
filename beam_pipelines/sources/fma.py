"""FMA: clips of 30 s, or whole tracks, of the Free Music Archive with its genres.

References
----------
M. Defferrard et al.: FMA: a dataset for music analysis. ISMIR 2017.
https://github.com/mdeff/fma
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from beam_pipelines.runtime import storage
from beam_pipelines.sources.annotations import (
    column_of,
    find_table,
    read_table,
    settle_annotations,
)
from beam_pipelines.sources.labelled import Labelled, LabelledFiles, label_files
from beam_pipelines.sources.source import Kind
from schemas.common.errors import UsageError

TRACKS, GENRES = "tracks.csv", "genres.csv"
SUBSETS = ("small", "medium", "large")  # each lies in the next
_PARTS = {"training": "train", "validation": "validation", "test": "test"}
_FIELDS = {
    **{"split": ("set", "split"), "subset": ("set", "subset"), "artist": ("artist", "id")},
    **{"name": ("artist", "name"), "title": ("track", "title"), "album": ("album", "title")},
    **{"top": ("track", "genre_top"), "all": ("track", "genres_all")},
}


def parse_genres(rows: Iterable[Sequence[str]], name: str = GENRES) -> dict[int, str]:
    """The titles of genres.csv by number.

    Raises
    ------
    UsageError
        If a column is missing or a number is none.
    """
    lines = iter(rows)
    header = next(lines, [])
    number, title = (column_of(header, column, name) for column in ("genre_id", "title"))
    try:
        return {int(row[number]): row[title] for row in lines}
    except (ValueError, IndexError) as error:
        raise UsageError(f"{name}: {error}") from error


def parse_tracks(
    rows: Iterable[Sequence[str]],
    genres: Mapping[int, str],
    subset: str = "large",
    which: str = "top",
    official: bool = True,
    name: str = TRACKS,
) -> Iterator[Labelled]:
    """The tracks of tracks.csv.

    Parameters
    ----------
    rows : iterable of sequence of str
        The three header rows first: groups of columns, columns, and the name of the index.
    genres : mapping
        Titles by number.
    subset : {'small', 'medium', 'large'}
        With what lies in it.
    which : {'top', 'all'}
        The one root genre, where the track has one; or all its genres with their parents.
    official : bool
        Whether each track gets its published part.
    name : str
        What errors call it.

    Raises
    ------
    UsageError
        If a column is missing, or a field is not what it should be.
    """
    lines = iter(rows)
    groups, columns, index = (next(lines, []) for _ in range(3))
    header = list(zip(groups, columns, strict=False))
    missing = [pair for pair in _FIELDS.values() if pair not in header]
    if missing or index[:1] != ["track_id"]:
        what = " ".join(missing[0]) if missing else "track_id in the third row"
        raise UsageError(f"{name} has no column {what}: it must have FMA's three header rows")
    place = {key: header.index(pair) for key, pair in _FIELDS.items()}
    wanted = SUBSETS[: SUBSETS.index(subset) + 1]
    for row in lines:
        try:
            field = {key: row[k] for key, k in place.items()}
            if field["subset"] not in wanted:
                continue
            number = int(row[0])
            tags = [field["top"]]
            if which == "all":
                tags = [genres[each] for each in json.loads(field["all"] or "[]")]
            part = _PARTS[field["split"]] if official else ""
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{name}, track {row[0]}: {error!r}") from error
        yield Labelled(
            f"{number // 1000:03d}/{number:06d}.mp3",
            tuple(dict.fromkeys(filter(None, tags))),
            field["artist"],
            part,
            row[0],
            field["name"],
            field["title"],
            field["album"],
        )


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--subset", choices=SUBSETS, help="fma: which of its subsets; large, which is all of it"
    )
    group.add_argument(
        "--genres",
        choices=("top", "all"),
        help="fma: a track's root genre, which not all have, or all its genres with their "
        "parents; top",
    )


def _settle(args: argparse.Namespace) -> None:
    args.subset, args.genres = args.subset or "large", args.genres or "top"
    settle_annotations(args)


def _look(args: argparse.Namespace) -> LabelledFiles:
    tracks, genres = (
        find_table(args.annotations, name, ("fma_metadata",)) for name in (TRACKS, GENRES)
    )
    titles = parse_genres(read_table(genres, ","), genres)
    official = args.split == "official"
    found = parse_tracks(
        read_table(tracks, ","), titles, args.subset, args.genres, official, tracks
    )
    rows = list(found)
    if not rows:
        raise UsageError(f"{tracks} names no track of the subset {args.subset}")
    inputs = {name: storage.sha256(path) for name, path in ((TRACKS, tracks), (GENRES, genres))}
    return label_files(args, rows, inputs)


KIND = Kind(
    "fma",
    ("annotations", "subset", "genres", "spellings"),
    _add_options,
    _settle,
    _look,
    places=("annotations",),
    official=True,
    untagged="drop",
)

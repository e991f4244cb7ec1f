"""MagnaTagATune: clips of 29 s with the tags that players of a game gave them.

References
----------
E. Law et al.: Evaluation of algorithms using games: the case of music tagging. ISMIR 2009.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from beam_pipelines.runtime import storage
from beam_pipelines.sources.annotations import (
    add_annotations,
    column_of,
    find_table,
    read_table,
    settle_annotations,
)
from beam_pipelines.sources.labelled import Labelled, LabelledFiles, label_files
from beam_pipelines.sources.source import Kind
from schemas.common.errors import UsageError
from schemas.rejects import Reason

TAGS, CLIPS = "annotations_final.csv", "clip_info_final.csv"
EMPTY = (
    "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
    "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-"
    "le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
)
# The first of a line stands for all of it.
SYNONYMS = (
    ("female vocal", "female vocals", "female voice", "female singer", "female singing"),
    ("female vocal", "female", "woman", "woman singing", "women"),
    ("male vocal", "male vocals", "male voice", "male singer", "male singing"),
    ("male vocal", "male", "man", "man singing", "men"),
    ("no vocal", "no vocals", "no voice", "no voices", "no singing", "no singer"),
    ("vocal", "vocals", "voice", "voices", "singing", "singer"),
    ("choir", "choral"),
    ("classical", "clasical"),
    ("electronic", "electronica", "electro"),
    ("harpsichord", "harpsicord"),
    ("indian", "india"),
    ("opera", "operatic"),
    ("orchestra", "orchestral"),
    ("beat", "beats"),
    ("drums", "drum"),
    ("flute", "flutes"),
    ("guitar", "guitars"),
    ("horn", "horns"),
    ("strings", "string"),
    ("violin", "violins"),
    ("jazz", "jazzy"),
    ("space", "spacey"),
    ("synth", "synthesizer"),
    ("weird", "strange"),
)
_MEANS = {tag: names[0] for names in SYNONYMS for tag in names}


def part_of(path: str) -> str:
    """The published part of a clip: its folder decides, 12 for training, 1, and 3 for the test."""
    folder = path[:1]
    return "validation" if folder == "c" else "test" if folder in "def" else "train"


def parse_clips(
    tags: Iterable[Sequence[str]],
    clips: Iterable[Sequence[str]],
    names: tuple[str, str] = (TAGS, CLIPS),
    synonyms: bool = False,
    official: bool = True,
) -> list[Labelled]:
    """The clips that the two tables describe, in the order of the first.

    Parameters
    ----------
    tags, clips : iterable of sequence of str
        Rows of annotations_final.csv and clip_info_final.csv, the header first.
    names : (str, str)
        What errors call them.
    synonyms : bool
        Whether tags that mean the same are merged.
    official : bool
        Whether each clip gets its published part.

    Raises
    ------
    UsageError
        If a column is missing or a row has another length.
    """
    info = _artists(iter(clips), names[1])
    rows = iter(tags)
    header = next(rows, [])
    number, path = (column_of(header, name, names[0]) for name in ("clip_id", "mp3_path"))
    columns = [
        (k, _MEANS.get(name, name) if synonyms else name)
        for k, name in enumerate(header)
        if k not in (number, path)
    ]
    found = []
    for row in rows:
        if len(row) != len(header):
            raise UsageError(
                f"{names[0]}: clip {row[0]!r} has {len(row)} fields, the header {len(header)}"
            )
        artist, title, album = info.get(row[number], ("", "", ""))
        found.append(
            Labelled(
                row[path],
                tuple(dict.fromkeys(name for k, name in columns if row[k] == "1")),
                artist,
                part_of(row[path]) if official else "",
                row[number],
                title=title,
                release=album,
            )
        )
    if not found:
        raise UsageError(f"{names[0]} names no clip")
    return found


def _artists(rows: Iterable[Sequence[str]], name: str) -> dict[str, tuple[str, str, str]]:
    header: Sequence[str] = next(iter(rows), [])
    number, *wanted = (column_of(header, c, name) for c in ("clip_id", "artist", "title", "album"))
    artist, title, album = wanted
    return {
        row[number]: (row[artist], row[title], row[album])
        for row in rows
        if len(row) > max(number, *wanted)
    }


def _add_options(group: argparse._ArgumentGroup) -> None:
    add_annotations(group)
    group.add_argument(
        "--merge_synonyms",
        action="store_const",
        const=True,
        help="magnatagatune: tags that mean the same (female vocals, woman singing) are one",
    )


def _look(args: argparse.Namespace) -> LabelledFiles:
    paths = [find_table(args.annotations, name) for name in (TAGS, CLIPS)]
    tags, clips = (read_table(path, "\t") for path in paths)
    official = args.split == "official"
    rows = parse_clips(tags, clips, (paths[0], paths[1]), bool(args.merge_synonyms), official)
    inputs = {name: storage.sha256(path) for name, path in zip((TAGS, CLIPS), paths, strict=True)}
    faults = dict.fromkeys(EMPTY, (Reason.EMPTY_FILE, "empty in the published archive"))
    return label_files(args, rows, inputs, faults=faults)


KIND = Kind(
    "magnatagatune",
    ("annotations", "merge_synonyms", "spellings"),
    _add_options,
    settle_annotations,
    _look,
    places=("annotations",),
    official=True,
)

"""Tables of a published data set, where they lie."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence

from beam_pipelines.runtime import storage
from beam_pipelines.sources.labelled import settle_place
from schemas.common.errors import UsageError

_LONGEST_FIELD = 1 << 27  # a musician's biography; csv refuses more than 128 KiB otherwise


def add_annotations(group: argparse._ArgumentGroup) -> None:
    """Add ``--annotations`` to a group of a parser."""
    group.add_argument(
        "--annotations",
        metavar="DIR",
        help="the published data set's own annotation files, where they lie (mtg-jamendo, "
        "magnatagatune, fma)",
    )


def settle_annotations(args: argparse.Namespace) -> None:
    """See that the annotations and the audio are named.

    Raises
    ------
    UsageError
    """
    if not args.annotations:
        raise UsageError(f"--annotations is missing: the folder of {args.source}'s own tables")
    settle_place(args)


def find_table(folder: str, name: str, subfolders: Sequence[str] = ()) -> str:
    """The path of a table in a folder, or in one of some folders in it.

    Raises
    ------
    UsageError
        If it is in none.
    """
    for place in ("", *subfolders):
        path = storage.join(folder, *filter(None, place.split("/")), *name.split("/"))
        if storage.exists(path):
            return path
    raise UsageError(f"--annotations: {folder} holds no {name}")


def read_table(path: str, delimiter: str, quoted: bool = True) -> Iterator[list[str]]:
    """The rows of a table as texts, one at a time; without the empty ones.

    Raises
    ------
    UsageError
        Naming the line that is none.
    """
    before = csv.field_size_limit(_LONGEST_FIELD)
    reader = None
    try:
        with storage.open_read(path) as stream:
            text = io.TextIOWrapper(io.BufferedReader(stream), "utf-8-sig", newline="")
            if quoted:
                reader = csv.reader(text, delimiter=delimiter, strict=True)
            else:
                reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE)
            yield from filter(None, reader)
    except (csv.Error, UnicodeDecodeError) as error:
        line = f", line {reader.line_num}" if reader and reader.line_num else ""
        raise UsageError(f"{path}{line}: {error}") from error
    finally:
        csv.field_size_limit(before)


def column_of(header: Sequence[str], name: str, path: str) -> int:
    """Where a column stands.

    Raises
    ------
    UsageError
        If the table has none of that name.
    """
    if name not in header:
        raise UsageError(f"{path} has no column {name}")
    return header.index(name)

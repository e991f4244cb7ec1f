"""Audio files and tags of one's own: a CSV file in place of the Million Song Dataset's files."""

from __future__ import annotations

import argparse
import csv
import io
import os
import posixpath
import re
from collections.abc import Mapping

from beam_pipelines.runtime import storage
from beam_pipelines.sources.labelled import Labelled, LabelledFiles, label_files, settle_place
from beam_pipelines.sources.source import Kind
from schemas.common.errors import UsageError
from schemas.manifest import PARTS

_BETWEEN_TAGS = re.compile(r"[;|]")
_NEEDED = ("path", "tags")


def parse_labelled(text: str, name: str) -> list[Labelled]:
    """Read a CSV file with the columns path, tags and, if one wants, artist and split.

    Parameters
    ----------
    text : str
        Its content. Tags stand in one field, with ``;`` or ``|`` between them; other
        columns are passed over.
    name : str
        What errors call it.

    Raises
    ------
    UsageError
        Naming the line: a missing column, a line of another length, a path that is
        empty or there twice, an unknown part.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        missing = set(_NEEDED) - set(reader.fieldnames or ())
        if missing:
            raise UsageError(
                f"{name} has no column {' or '.join(sorted(missing))}: needed is a header line "
                "path,tags and commas between the fields"
            )
        rows, lines = [], dict[str, int]()
        for fields in reader:
            row = _parse_row(fields, f"{name}, line {reader.line_num}")
            first = lines.setdefault(row.path, reader.line_num)
            if first != reader.line_num:
                raise UsageError(
                    f"{name}, line {reader.line_num}: {row.path} is in line {first} already"
                )
            rows.append(row)
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: {error}") from error
    if not rows:
        raise UsageError(f"{name} names no file")
    return rows


def _parse_row(fields: Mapping, where: str) -> Labelled:
    if None in fields or None in fields.values():
        many = "more" if None in fields else "fewer"
        raise UsageError(
            f"{where} has {many} fields than the header; a path or tag with a comma needs quotes"
        )
    path = fields["path"].strip()
    if not path or "\0" in path:
        raise UsageError(f"{where}: path is {path!r}")
    part = fields.get("split", "").strip()
    if "split" in fields and part not in PARTS:
        raise UsageError(f"{where}: split is {part!r}; allowed are {', '.join(PARTS)}")
    tags = (" ".join(tag.split()) for tag in _BETWEEN_TAGS.split(fields["tags"]))
    return Labelled(
        posixpath.normpath(path),
        tuple(dict.fromkeys(tag for tag in tags if tag)),
        fields.get("artist", "").strip(),
        part,
    )


def read_labels(path: str) -> list[Labelled]:
    """Read the CSV file of ``--manifest``; see :func:`parse_labelled`."""
    return parse_labelled(storage.read_text(path, "--manifest"), path)


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--manifest",
        metavar="FILE",
        help="with --source labels, and alone: a CSV file of your own with the columns path and "
        "tags (; or | between them) and, if you like, artist and split (train, validation, test)",
    )


def _settle(args: argparse.Namespace) -> None:
    if not args.manifest:
        raise UsageError("--manifest is missing: the CSV file with the columns path and tags")
    if args.split not in ("artist", "track"):
        raise UsageError(f"--split {args.split}: the parts are --manifest's own column split")
    settle_place(args, os.path.dirname(args.manifest) or ".")


def _look(args: argparse.Namespace) -> LabelledFiles:
    rows = read_labels(args.manifest)
    return label_files(args, rows, {"manifest": storage.sha256(args.manifest)})


KIND = Kind("labels", ("manifest", "spellings"), _add_options, _settle, _look, places=("manifest",))

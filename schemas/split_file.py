"""A split of the user's own: which track belongs to which part."""

from __future__ import annotations

import csv
import io

from schemas.common.errors import UsageError
from schemas.manifest import PARTS


def parse_split(text: str, name: str) -> dict[str, str]:
    """Read a split file: any CSV with the columns ``track_id`` and ``split``.

    Returns
    -------
    dict
        Track id to train, validation or test.

    Raises
    ------
    UsageError
        If a column is missing, a part is unknown or a track stands in two parts.
    """
    reader = csv.DictReader(io.StringIO(text))
    missing = {"track_id", "split"} - set(reader.fieldnames or ())
    if missing:
        raise UsageError(f"{name}: the split file has no column {' or '.join(sorted(missing))}")
    split: dict[str, str] = {}
    for row in reader:
        track_id, part = (row["track_id"] or "").strip(), (row["split"] or "").strip()
        if part not in PARTS:
            raise UsageError(
                f"{name}, line {reader.line_num}: split is {part!r}; allowed are {', '.join(PARTS)}"
            )
        if split.setdefault(track_id, part) != part:
            raise UsageError(f"{name}, line {reader.line_num}: {track_id} is in two parts")
    if not split:
        raise UsageError(f"{name}: the split file names no track")
    return split

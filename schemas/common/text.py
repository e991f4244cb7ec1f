"""Text that can be stored, and text that was."""

from __future__ import annotations

import json
from typing import Any


def readable(path: str) -> str:
    """A path as text; bytes that are not UTF-8 are written out, for no table could hold them."""
    if path.isascii():
        return path
    return path.encode("utf8", "surrogateescape").decode("utf8", "backslashreplace")


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        If it is none, or one that is nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error

"""Text that can be stored, and text that was."""

from __future__ import annotations

import json
from typing import Any


def readable(path: str) -> str:
    """A path as text; bytes that are not UTF-8 are written out, for no table could hold them."""
    if path.isascii():
        return path
    return path.encode("utf8", "surrogateescape").decode("utf8", "backslashreplace")


def one_line(text: str, most: int) -> str:
    """A text as one line that a terminal can show.

    Line breaks become spaces, characters that are none to be seen are written out, and of
    what is longer than `most` characters the middle is left out.
    """
    words = " ".join(text.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
    if len(shown) <= most:
        return shown
    end = most // 3
    return f"{shown[: most - end - 3]} … {shown[-end:]}"


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

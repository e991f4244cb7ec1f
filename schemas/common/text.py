"""Text that can be stored."""

from __future__ import annotations


def readable(path: str) -> str:
    """A path as text; bytes that are not UTF-8 are written out, for no table could hold them."""
    if path.isascii():
        return path
    return path.encode("utf8", "surrogateescape").decode("utf8", "backslashreplace")

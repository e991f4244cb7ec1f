"""Files that are written whole or not at all."""

from __future__ import annotations

import os


def write_text(path: str, text: str) -> None:
    """Write a file that is there whole or not at all."""
    partial = f"{path}.partial"
    with open(partial, "w", encoding="utf8") as stream:
        stream.write(text)
    os.replace(partial, path)

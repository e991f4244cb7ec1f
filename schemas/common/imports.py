"""Imports that find less than is installed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType


@contextlib.contextmanager
def hidden(names: Sequence[str]) -> Iterator[None]:
    """Let imports of these modules fail, as if they were not installed, while the block lasts.

    Parameters
    ----------
    names : sequence of str
        Top-level modules; those that are loaded already stay what they are.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None: no such
    absent = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]

"""The one bar that all commands draw."""

from __future__ import annotations

WIDTH = 30  # characters


def bar(share: float) -> str:
    """A bar of `WIDTH` characters, filled from the left by a share of 0 to 1."""
    filled = round(WIDTH * min(max(share, 0.0), 1.0))
    return "#" * filled + "." * (WIDTH - filled)

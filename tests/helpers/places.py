"""Where the checkout lies, and what ORPHEUS_REQUIRE asks for."""

from __future__ import annotations

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def required(name: str) -> bool:
    """Whether ORPHEUS_REQUIRE names it: then its absence is a failure, not a skip."""
    return name in os.environ.get("ORPHEUS_REQUIRE", "").split(",")

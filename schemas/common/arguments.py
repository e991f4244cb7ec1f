"""Numbers on command lines: argparse types that say what is wanted."""

from __future__ import annotations

import argparse
import math
from typing import TypeVar

AUTO = "auto"
Number = TypeVar("Number", int, float)


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    return _at_least(text, int, 1)


def not_negative_int(text: str) -> int:
    """A whole number of at least 0."""
    return _at_least(text, int, 0)


def not_negative(text: str) -> float:
    """A number of at least 0."""
    return _at_least(text, float, 0)


def positive(text: str) -> float:
    """A number above 0, and no infinite one."""
    value = _read(text, float)
    if value is None or not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    return _between(text, 1)


def share_or_auto(text: str) -> float | str:
    """A number from 0 to 1, or 'auto'."""
    try:
        return AUTO if text == AUTO else share(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor {AUTO}") from error


def percentile(text: str) -> float:
    """A number from 0 to 100."""
    return _between(text, 100)


def percent(text: str) -> tuple[float, ...]:
    """Three shares, as 80,10,10, that add up to 100."""
    try:
        shares = tuple(float(each) for each in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 100) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text!r} is not three shares that add up to 100")
    return shares


def _at_least(text: str, kind: type[Number], least: int) -> Number:
    value = _read(text, kind)
    if value is None or not value >= least:
        noun = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {noun} of at least {least}")
    return value


def _between(text: str, most: int) -> float:
    value = _read(text, float)
    if value is None or not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {most}")
    return value


def _read(text: str, kind: type[Number]) -> Number | None:
    try:
        return kind(text)
    except ValueError:
        return None

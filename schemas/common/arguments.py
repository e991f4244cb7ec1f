"""Numbers on command lines: argparse types that say what is wanted."""

from __future__ import annotations

import argparse


def positive_int(text: str) -> int:
    return _number(text, int, 1)


def not_negative_int(text: str) -> int:
    return _number(text, int, 0)


def not_negative(text: str) -> float:
    return _number(text, float, 0)


def _number(text: str, kind: type, least: int):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not value >= least:
        noun = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {noun} of at least {least}")
    return value


def percent(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(share) for share in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 100) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text!r} is not three shares that add up to 100")
    return shares

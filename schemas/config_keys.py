"""The kinds of keys in a configuration: fields that know what they take and what they are for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any


def key(
    default: Any, help: str, allowed: str, check: Callable[[Any], bool], optional: bool = False
) -> Any:
    """A field whose metadata says what it takes; an optional one takes null as well."""
    metadata = {
        "help": help,
        "allowed": f"{allowed} or null" if optional else allowed,
        "check": (lambda value: value is None or check(value)) if optional else check,
    }
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def choice(default: str | None, names: Sequence[str], help: str, optional: bool = False) -> Any:
    """One of some names."""
    return key(default, help, ", ".join(names), lambda v: v in names, optional)


def whole(
    default: int | None, low: int, help: str, optional: bool = False, high: int | None = None
) -> Any:
    """A whole number, `low` or more, and no more than `high` if that is given."""

    def check(value: Any) -> bool:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and value >= low and (high is None or value <= high)

    allowed = f"a whole number from {low}" + ("" if high is None else f" to {high}")
    return key(default, help, allowed, check, optional)


def real(default: float | None, low: float, high: float, help: str, optional: bool = False) -> Any:
    """A number from `low` to `high`."""

    def check(value: Any) -> bool:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and low <= value <= high

    return key(default, help, f"a number from {low:g} to {high:g}", check, optional)


def flag(default: bool | None, help: str, optional: bool = False) -> Any:
    """True or false."""
    return key(default, help, "true or false", lambda v: isinstance(v, bool), optional)


def text(default: str, help: str) -> Any:
    """A name that only its user can check."""
    return key(default, help, "a name", is_name)


def names(help: str) -> Any:
    """A list of tags, empty by default."""
    return key([], help, "a list of tags", are_names)


def tids(help: str) -> Any:
    """Track ids, as a list or in a file; null by default."""
    allowed = "a list of track ids, the path of a text or CSV file with one a line"
    return key(None, help, allowed, lambda v: are_names(v) or is_name(v), True)


def is_name(value: Any) -> bool:
    """Whether a value is a text that is not empty."""
    return isinstance(value, str) and value != ""


def are_names(value: Any) -> bool:
    """Whether a value is a list of texts that are not empty."""
    return isinstance(value, list) and all(isinstance(v, str) and v for v in value)

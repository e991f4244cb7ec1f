"""What became of a file."""

from __future__ import annotations

import dataclasses
import enum

import numpy as np


class Warned(enum.StrEnum):
    """What a user should know of a file's tags."""

    PADDED = "padded"
    SILENT = "silent"
    CUT_SHORT = "cut_short"
    ONE_CHANNEL = "one_channel"

    @property
    def meaning(self) -> str:
        """In words, behind "3 of 20 files"."""
        return _MEANINGS[self]


_MEANINGS = {
    Warned.PADDED: "shorter than the model's window, and padded with zeros",
    Warned.SILENT: "silent: their tags mean nothing",
    Warned.CUT_SHORT: "cut short: tagged as far as they can be decoded",
    Warned.ONE_CHANNEL: "heard in their loudest channel alone: the mix of all cancels out",
}


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a file.

    Attributes
    ----------
    error : str or None
        Why it has no tags: a reason of :mod:`schemas.rejects` or `MODEL_FAILED`, and
        after a colon what more is known. The arrays are then empty.
    scores : np.ndarray, float32 [tags]
        Means over the windows.
    windows : np.ndarray, float32 [windows, tags]
        Scores of each window.
    starts : np.ndarray, float64 [windows]
        Their starts in s.
    embedding : np.ndarray, float32 [features]
        Mean over the windows.
    warnings : tuple of Warned
        What a user should know of the tags.
    """

    error: str | None
    scores: np.ndarray
    windows: np.ndarray
    starts: np.ndarray
    embedding: np.ndarray
    warnings: tuple[Warned, ...] = ()

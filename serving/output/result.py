"""What became of a file."""

from __future__ import annotations

import dataclasses

import numpy as np


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
    is_short : bool
        Whether the file was shorter than a window and padded with zeros.
    """

    error: str | None
    scores: np.ndarray
    windows: np.ndarray
    starts: np.ndarray
    embedding: np.ndarray
    is_short: bool = False

"""A part of a long recording."""

from __future__ import annotations

import dataclasses

import numpy as np

PLACES = ("centre", "start")


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """Which part of a recording is kept.

    Attributes
    ----------
    seconds : float
        What is longer is cut to this length.
    place : {'centre', 'start'}
        From where.
    """

    seconds: float
    place: str = "centre"

    def cut(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The part of a signal; the whole of one that is no longer.

        Parameters
        ----------
        samples : np.ndarray [n]
        rate : int
            Hz.

        Returns
        -------
        np.ndarray [at most seconds * rate, at least 1 where n is]
            A view.
        """
        wanted = max(1, round(self.seconds * rate))
        start = max(0, len(samples) - wanted) // 2 if self.place == "centre" else 0
        return samples[start : start + wanted]

"""How long the steps of a training wait for their input."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any


class InputClock:
    """Sums the time that is spent on asking for batches.

    Attributes
    ----------
    seconds : float or None
        Since the last :meth:`reset`; None if nothing was asked through the clock.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.seconds: float | None = None

    def next(self, iterator: Iterator) -> Any:
        """The iterator's next element, timed."""
        started = time.perf_counter()
        element = next(iterator)
        self.seconds = (self.seconds or 0.0) + time.perf_counter() - started
        return element

"""The learning-rate range test: how far the rate can rise before the loss does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

_MEMORY = 0.9  # of the smoothed loss
_DIVERGED = 4.0  # times the lowest smoothed loss: the rest would show nothing
_SAFE = 0.1  # of the rate with the lowest loss


def rate_test(model: keras.Model, batches: Iterable[Any], rates: np.ndarray) -> np.ndarray:
    """Train a step at each rate.

    Parameters
    ----------
    model : keras.Model
        Compiled, its optimizer without a schedule. Its weights change.
    batches : iterable of (windows, tags)
        One for each rate, at least.
    rates : np.ndarray, float [steps]
        From low to high.

    Returns
    -------
    np.ndarray, float64 [done]
        The loss of each batch before its step, smoothed; fewer than `rates` where it diverged.

    References
    ----------
    L. N. Smith: "Cyclical learning rates for training neural networks", 2017,
    arXiv:1506.01186, section 3.3.
    """
    smoothed: list[float] = []
    mean = 0.0
    for number, (rate, (windows, tags)) in enumerate(zip(rates, batches, strict=False), start=1):
        model.optimizer.learning_rate = float(rate)
        model.reset_metrics()
        mean = _MEMORY * mean + (1 - _MEMORY) * float(model.train_on_batch(windows, tags))
        value = mean / (1 - _MEMORY**number)  # the first steps have no memory yet
        if not np.isfinite(value) or value > _DIVERGED * min(smoothed, default=np.inf):
            break
        smoothed.append(value)
    return np.array(smoothed)


def suggested_rate(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """A tenth of the rate with the lowest loss; None where the loss has not fallen.

    Parameters
    ----------
    rates, losses : np.ndarray [done]
        As :func:`rate_test` takes and gives them.
    """
    lowest = int(np.argmin(losses)) if len(losses) else 0
    return float(_SAFE * rates[lowest]) if lowest else None

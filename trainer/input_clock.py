"""How long the steps of a training wait for their input."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf


class InputClock:
    """Sums the time that the consumer of a dataset spends on asking for elements.

    Attributes
    ----------
    seconds : float
        Since the last :meth:`reset`.
    """

    def __init__(self) -> None:
        self._started = 0.0
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.seconds = 0.0

    def measure(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """The same elements, timed on their way to the consumer.

        A zip asks its inputs one after the other in the consumer's own thread: the
        first starts the clock, the last stops it. What prefetches behind this dataset
        would hide the consumer from it, so distribute it without.
        """

        def tick(function):
            ticks = tf.data.Dataset.counter()
            return ticks.map(lambda n: tf.numpy_function(function, [n], tf.int64, stateful=True))

        timed = tf.data.Dataset.zip(tick(self._start), dataset, tick(self._stop))
        timed = timed.map(lambda _, element, __: element)
        options = tf.data.Options()
        options.deterministic = True
        return timed.apply(
            tf.data.experimental.assert_cardinality(dataset.cardinality())
        ).with_options(options)

    def _start(self, number: np.ndarray) -> np.ndarray:
        self._started = time.perf_counter()
        return number

    def _stop(self, number: np.ndarray) -> np.ndarray:
        self.seconds += time.perf_counter() - self._started
        return number

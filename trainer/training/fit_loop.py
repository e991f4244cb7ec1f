"""Training with ``model.fit``: Keras' own loop, for Keras' own callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer.training.monitor import Monitor


def fit_loop(
    model: keras.Model,
    batches: Callable[[int], tf.distribute.DistributedDataset],
    strategy: tf.distribute.Strategy,
    monitor: Monitor,
) -> None:
    """Train a compiled model until the monitor calls it finished.

    Parameters
    ----------
    model : keras.Model
        Made and compiled under the strategy.
    batches : callable
        Takes the number of steps that are done, gives the batches of those that follow.
    strategy : tf.distribute.Strategy
        Where the replicas live.
    monitor : Monitor
        Told of every step and epoch.
    """
    if model.steps_per_execution == 1:  # else batches are asked for inside of the graph
        model.make_train_function()
        step = model.train_function
        model.train_function = lambda iterator: step([monitor.clock.next(iterator)])
    # At the end of each call it would put the averages of the weights, where an optimizer keeps
    # some, in their place for good.
    model.optimizer.finalize_variable_values = lambda variables: None
    with strategy.scope():
        while not monitor.finished:
            # What a resume has left of an epoch takes a call of its own: it is shorter.
            model.fit(
                batches(monitor.position),
                initial_epoch=monitor.epoch,
                epochs=monitor.epoch + 1 if monitor.step else monitor.epochs,
                steps_per_epoch=monitor.steps - monitor.step,
                callbacks=[_Reporter(monitor)],
                shuffle=False,  # the batches have their order
                verbose=0,
            )


class _Reporter(keras.callbacks.Callback):
    """Tells a monitor what ``model.fit`` does."""

    def __init__(self, monitor: Monitor) -> None:
        super().__init__()
        self._monitor = monitor

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._done = 0
        self._monitor.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._monitor.begin_steps()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        count = batch + 1 - self._done
        self._done = batch + 1
        self._monitor.end_steps(count, logs["loss"] * self._done)  # the mean so far

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._monitor.end_epoch()
        self.model.stop_training = self._monitor.finished

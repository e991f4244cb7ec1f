"""Training step by step with a gradient tape: the loop to change for research.

The same configuration, seed and data give the losses of :mod:`trainer.training.fit_loop`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer.descent.losses import of_windows
from trainer.training.monitor import Monitor


def custom_loop(
    model: keras.Model,
    batches: Callable[[int], tf.distribute.DistributedDataset],
    strategy: tf.distribute.Strategy,
    monitor: Monitor,
) -> None:
    """Train a compiled model until the monitor calls it finished.

    Parameters
    ----------
    model : keras.Model
        Made and compiled under the strategy; its optimizer is used.
    batches : callable
        Takes the number of steps that are done, gives the batches of those that follow.
    strategy : tf.distribute.Strategy
        Where the replicas live.
    monitor : Monitor
        Told of every step and epoch.
    """
    optimizer, window_losses = model.optimizer, of_windows(model.loss)

    def train_step(windows: tf.Tensor, tags: tf.Tensor) -> tf.Tensor:
        """One step on one replica, which sees its share of the batch."""
        with tf.GradientTape() as tape:
            scores = model(windows, training=True)
            loss = tf.reduce_mean(window_losses(tags, scores))
            loss = tf.add_n([loss, *model.losses])  # of regularizers, if the model has any
            # The optimizer sums the gradients of the replicas: this makes it their mean.
            scaled = optimizer.scale_loss(loss / strategy.num_replicas_in_sync)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(scaled, variables), variables)
        return loss

    replica_step = tf.function(train_step, jit_compile=True) if model.jit_compile else train_step

    @tf.function
    def train_batch(batch: Any) -> tf.Tensor:
        """One step on all replicas: the mean of their losses."""
        losses = strategy.run(replica_step, args=batch)
        return strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    @tf.function
    def train_batches(iterator: Any, count: tf.Tensor) -> tf.Tensor:
        """Several steps without Python between them: the sum of their losses."""
        total = 0.0
        for _ in tf.range(count):
            total += train_batch(next(iterator))
        return total

    iterator = iter(batches(monitor.position))
    while not monitor.finished:
        monitor.begin_epoch()
        total = tf.constant(0.0)
        while not monitor.epoch_finished:
            monitor.begin_steps()
            count = min(model.steps_per_execution, monitor.steps - monitor.step)
            if count == 1:
                total += train_batch(monitor.clock.next(iterator))
            else:
                total += train_batches(iterator, tf.constant(count))
            monitor.end_steps(count, total)
        monitor.end_epoch()

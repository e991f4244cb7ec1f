"""Loss and rate every few steps, for TensorBoard."""

from __future__ import annotations

from typing import Any

import keras

from schemas.config import Training
from trainer.descent.schedules import learning_rate
from trainer.job.directory import Job


class StepLog:
    """Takes the mean loss of every ``log_steps`` steps.

    The losses stay where they are, on a GPU say, until :meth:`write`, which is called when
    one is looked at anyway.

    Parameters
    ----------
    training : Training
    steps : int
        Steps of an epoch.
    job : Job
        Where they are written down.
    """

    def __init__(self, training: Training, steps: int, job: Job) -> None:
        self._every, self._steps, self._job = training.log_steps, steps, job
        self._schedule = learning_rate(training, steps * training.epochs)
        self._waiting: dict[int, Any] = {}
        self.resume(0, 0.0)

    def resume(self, step: int, loss: Any) -> None:
        """Begin after `step` of an epoch, whose losses so far sum to `loss`."""
        self._from: tuple[int, Any] = (step, loss)

    def note(self, epoch: int, step: int, loss: Any) -> None:
        """Take the sum of the losses of the first `step` steps of an epoch."""
        done, before = self._from
        if step - done >= self._every:
            self._waiting[epoch * self._steps + step] = (loss - before) / (step - done)
            self._from = (step, loss)

    def end_epoch(self, loss: Any, optimizer: keras.optimizers.Optimizer) -> None:
        """Write all; what is left of the epoch, whose losses sum to `loss`, counts in the next."""
        self.write(optimizer)
        done, before = self._from
        self._from = (done - self._steps, before - loss)

    def write(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Write down what was taken."""
        rates = {step: self._rate(step, optimizer) for step in self._waiting}
        self._job.log_steps({step: float(x) for step, x in self._waiting.items()}, rates)
        self._waiting = {}

    def _rate(self, step: int, optimizer: keras.optimizers.Optimizer) -> float:
        rate = self._schedule(step) if callable(self._schedule) else optimizer.learning_rate
        return float(keras.ops.convert_to_numpy(rate))

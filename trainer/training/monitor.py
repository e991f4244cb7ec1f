"""What every training loop reports to: progress, validation, logs, state and the end."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from schemas.common.bars import bar
from schemas.common.errors import RunError
from schemas.config import Training
from trainer.descent.optimizers import averaged
from trainer.descent.schedules import plateau_rate
from trainer.evaluation.validation import validate
from trainer.input.whole_tracks import WholeTracks
from trainer.job.directory import Job, rank
from trainer.job.state import load_state, save_state
from trainer.training.callbacks import Hooks
from trainer.training.input_clock import InputClock
from trainer.training.step_log import StepLog

_SECONDS_A_LINE = 60.0  # of progress, where no terminal shows it all the time
_SECONDS_A_BAR = 0.5


class Monitor:
    """Follows a training: a loop tells it of steps and epochs, it does all the rest.

    A loop runs until :attr:`finished`. It goes on after step :attr:`step` of the epoch
    that follows :attr:`epoch` and calls :meth:`begin_epoch`, :meth:`begin_steps`,
    :meth:`end_steps` and :meth:`end_epoch`.

    Parameters
    ----------
    model : keras.Model
        Compiled; its variables and its optimizer's are the state.
    tracks : WholeTracks, optional
        The validation tracks, scored after every epoch.
    training : Training
        The section of the configuration.
    steps, batch_size : int
        Steps of an epoch and windows of a step.
    job : Job
        Where the epochs are written down.
    callbacks : sequence of keras.callbacks.Callback
        See :func:`trainer.loop.train`.
    names : sequence of str
        The tags, in the order of the model's outputs.

    Attributes
    ----------
    epoch, step : int
        Epochs that are done, and steps of the next one.
    clock : InputClock
        A loop asks for its batches through it.
    """

    def __init__(
        self,
        model: keras.Model,
        tracks: WholeTracks | None,
        training: Training,
        steps: int,
        batch_size: int,
        job: Job,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        names: Sequence[str] = (),
    ) -> None:
        self.steps, self.epochs = steps, training.epochs
        self.epoch = self.step = 0
        self._model, self._tracks, self._training = model, tracks, training
        self._batch_size, self._job, self.clock = batch_size, job, InputClock()
        self._hooks = Hooks(callbacks, model, training.epochs, steps)
        self._names = names
        self._step_log = StepLog(training, steps, job)
        self._carried: Any = 0.0  # the epoch's summed loss before begin_epoch: after a resume
        self._loss: Any = 0.0
        self._saved = self._shown = time.monotonic()
        self._signal: int | None = None

    @property
    def position(self) -> int:
        """Steps since the start of the training."""
        return self.epoch * self.steps + self.step

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, a callback stopped it or validation got no better."""
        return self.epoch >= self.epochs or self._is_stuck() or self._hooks.stopped

    @property
    def epoch_finished(self) -> bool:
        """Whether the steps of the epoch are done, or a callback has stopped it."""
        return self.step >= self.steps or self._hooks.stopped

    def _is_stuck(self) -> bool:
        patience = self._training.early_stopping
        return patience is not None and self.epoch - self._job.best_epoch >= patience

    def begin_epoch(self) -> None:
        """Tell that an epoch begins, or what a resume has left of it."""
        self._first, self._loss = self.step, self._carried
        self.clock.reset()
        self._started = time.monotonic()
        self._hooks.begin_epoch(self.epoch)

    def begin_steps(self) -> None:
        """Tell that the next steps begin."""
        self._hooks.begin_steps(self.step)

    def end_steps(self, count: int, loss: Any) -> None:
        """Tell of steps that are done.

        Parameters
        ----------
        count : int
            Steps since the last call.
        loss : float or scalar tensor
            Sum of the losses of all steps since :meth:`begin_epoch`; looked at only
            when it is shown or saved, so that a GPU is not waited for.
        """
        self.step += count
        self._loss = self._carried + loss
        self._step_log.note(self.epoch, self.step, self._loss)
        self._hooks.end_steps(self.step - 1, self._loss, self.step)
        if self._signal is not None:
            self._leave()
        now = time.monotonic()
        if now - self._saved >= 60 * self._training.save_minutes and self.step < self.steps:
            self.save()
        if now - self._shown >= (_SECONDS_A_BAR if sys.stdout.isatty() else _SECONDS_A_LINE):
            self._show(now)

    def end_epoch(self) -> None:
        """Score the validation tracks, write down the epoch and adapt the rate."""
        loss = self._mean_loss()
        spent = max(time.monotonic() - self._started, 1e-9)
        waited = self.clock.seconds
        optimizer = self._model.optimizer
        with averaged(self._model):
            figures, per_tag = validate(self._model, self._tracks, self._names)
        values = {
            "loss": loss,
            **figures,
            "learning_rate": float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
            "examples_per_second": (self.step - self._first) * self._batch_size / spent,
            "input_wait": None if waited is None else waited / spent,
        }
        self._step_log.end_epoch(self._loss, optimizer)
        self.epoch, self.step, self._carried = self.epoch + 1, 0, 0.0
        self._job.rows.append({"epoch": self.epoch, **values})
        if self._training.schedule == "plateau":
            optimizer.learning_rate = plateau_rate(
                self._training, [rank(row) for row in self._job.rows]
            )
        self.save()  # first: the job's files can be written again from it
        self._write(per_tag)
        self._hooks.end_epoch(self.epoch - 1, self._logs())
        if self._hooks.present:
            self.save()  # again: they may have changed the rate or the weights
        shown = "  ".join(f"{k} {v:.4g}" for k, v in values.items() if v is not None)
        seconds = time.monotonic() - self._started
        print(f"{_clear()}epoch {self.epoch}/{self.epochs}  {shown}  {seconds:.0f} s", flush=True)
        if self._is_stuck() and self.epoch < self.epochs:
            print(f"not better since epoch {self._job.best_epoch}: stops early", flush=True)
        elif self._hooks.stopped and self.epoch < self.epochs:
            print("a callback has stopped the training", flush=True)

    def _write(self, per_tag: Sequence[dict[str, Any]] = ()) -> None:
        """Write the epoch down, with the weights that were validated."""
        with averaged(self._model):
            self._job.write(self._model, per_tag)

    def end(self) -> None:
        """Tell that the loop has ended."""
        self._hooks.end(self._logs())

    def _logs(self) -> dict[str, float]:
        """The figures of the last epoch that exist, as Keras' callbacks get them."""
        row = self._job.rows[-1] if self._job.rows else {}
        return {name: v for name, v in row.items() if name != "epoch" and v is not None}

    def save(self) -> None:
        """Write the state of the training, from which :meth:`resume` goes on."""
        loss = self._mean_loss() * self.step if self.step else 0.0
        self._step_log.write(self._model.optimizer)
        progress = {"steps": self.steps, "epoch": self.epoch, "step": self.step, "loss": loss}
        save_state(self._job.state, self._model, {**progress, "rows": self._job.rows})
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Go on from the saved state.

        Raises
        ------
        RunError
            If the state cannot be read or the data set has changed.
        """
        progress = load_state(self._job.state, self._model)
        if progress["steps"] != self.steps:
            raise RunError(
                f"{self._job.state} has {progress['steps']} steps an epoch, the data set "
                f"{self.steps}: it is another one, start again with --overwrite"
            )
        self.epoch, self.step = progress["epoch"], progress["step"]
        self._carried = progress["loss"]
        self._step_log.resume(self.step, self._carried)
        self._job.rows = progress["rows"]
        if self.epoch and not self.step:
            self._write()  # what the end of the epoch may have left undone
        where = f"after step {self.step} of {self.steps} of epoch {self.epoch + 1}"
        print(f"goes on {where if self.step else f'after epoch {self.epoch}'}", flush=True)
        if self.step == self.steps:  # no step is left: for model.fit that were all of them
            self.begin_epoch()
            self.end_epoch()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM save the state after the step they come in."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python gives signals to its main thread only
            return
        kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def note(number: int, frame: Any) -> None:
            if self._signal is not None:
                signal.default_int_handler(number, frame)
            self._signal = number

        for number in kept:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _leave(self) -> None:
        self.save()
        where = f"step {self.step} of {self.steps} of epoch {self.epoch + 1}"
        print(f"{_clear()}stopped after {where}; --resume goes on from there", flush=True)
        if self._signal == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _mean_loss(self) -> float:
        """Of the steps of this epoch so far."""
        loss = float(self._loss) / self.step
        if not math.isfinite(loss):
            raise RunError(
                f"the loss is {loss} in epoch {self.epoch + 1}: the training has diverged, "
                "try a lower model-training.learning_rate"
            )
        return loss

    def _show(self, now: float) -> None:
        rate = (self.step - self._first) * self._batch_size / (now - self._started)
        terminal = sys.stdout.isatty()
        text = (
            f"epoch {self.epoch + 1}/{self.epochs}  "
            + (f"[{bar(self.step / self.steps)}]  " if terminal else "")
            + f"step {self.step}/{self.steps}  "
            f"loss {float(self._loss) / self.step:.4f}  {rate:.1f} windows/s"
        )
        self._step_log.write(self._model.optimizer)
        print(f"{_clear()}{text}", end="" if terminal else "\n", flush=True)
        self._shown = now


def _clear() -> str:
    return "\r\033[K" if sys.stdout.isatty() else ""

"""A user's Keras callbacks: found by their names, and called alike by every loop."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from schemas.common.command import import_tensorflow
from schemas.common.errors import UsageError

if TYPE_CHECKING:  # --help does not wait for TensorFlow
    import keras

KERAS_CALLBACKS = ("EarlyStopping", "ReduceLROnPlateau", "TerminateOnNaN")  # no argument needed
_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


def find_callback(text: str) -> keras.callbacks.Callback:
    """The callback that a text of the command line names.

    Parameters
    ----------
    text : str
        One of `KERAS_CALLBACKS`, or ``module:name`` with the module in the working
        directory or installed: a callback, or a class or function that gives one when it
        is called without arguments.

    Raises
    ------
    UsageError
        If there is none, or it cannot be made.
    """
    import_tensorflow()
    import keras

    module, colon, name = text.partition(":")
    if text in KERAS_CALLBACKS:
        module, name = "keras.callbacks", text
    elif not (module and colon and name):
        raise UsageError(
            f"--callback {text}: allowed is module:name or one of {', '.join(KERAS_CALLBACKS)}"
        )
    if os.getcwd() not in sys.path:  # an installed command starts without it
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name)
        made = found if isinstance(found, keras.callbacks.Callback) else found()
    except Exception as error:  # it is the user's code: whatever it does, it is said in a line
        raise UsageError(
            f"--callback {text} cannot be had: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, keras.callbacks.Callback):
        raise UsageError(f"--callback {text} is no callback: allowed is one of Keras' kind")
    return made


class Hooks:
    """Calls callbacks as ``model.fit`` does, whatever the loop.

    Parameters
    ----------
    callbacks : sequence of keras.callbacks.Callback
    model : keras.Model
        Their model; ``stop_training`` is where they say that it is enough.
    epochs, steps : int
        Of the training, and of an epoch.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        epochs: int,
        steps: int,
    ) -> None:
        import keras

        model.stop_training = False
        self._model = model
        self._list = keras.callbacks.CallbackList(
            list(callbacks), model=model, epochs=epochs, steps=steps, verbose=0
        )
        # A loss that nobody looks at is not fetched from the GPU at every step.
        self._sees_batches = any(
            getattr(getattr(callback, hook), "__func__", None)
            is not getattr(keras.callbacks.Callback, hook)
            for callback in self._list.callbacks
            for hook in _BATCH_HOOKS
        )
        self._begun = False

    @property
    def present(self) -> bool:
        """Whether there is a callback at all."""
        return bool(self._list.callbacks)

    @property
    def stopped(self) -> bool:
        """Whether a callback has ended the training."""
        return bool(self._model.stop_training)

    def begin_epoch(self, epoch: int) -> None:
        """Tell that an epoch, counted from 0, begins; with the first the training does."""
        if not self._begun:
            self._begun = True
            self._list.on_train_begin()
        self._list.on_epoch_begin(epoch)

    def begin_steps(self, step: int) -> None:
        """Tell that steps of the epoch begin, the first of them being `step`, from 0."""
        if self._sees_batches:
            self._list.on_train_batch_begin(step)

    def end_steps(self, step: int, loss: Any, done: int) -> None:
        """Tell that a step has ended, and of the summed `loss` of the epoch's `done` steps."""
        if self._sees_batches:
            self._list.on_train_batch_end(step, {"loss": float(loss) / done})

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Tell that an epoch has ended, with its figures."""
        self._list.on_epoch_end(epoch, logs)

    def end(self, logs: dict[str, float]) -> None:
        """Tell that the training has ended, with the figures of its last epoch."""
        if self._begun:
            self._list.on_train_end(logs)

"""Keras' optimizers, by name and with their arguments."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from schemas.common.errors import UsageError
from schemas.config import OPTIMIZERS, Training
from trainer.descent.schedules import learning_rate

_ELSEWHERE = ("learning_rate", "name")  # model-training.learning_rate; and nobody needs it


def make_optimizer(training: Training, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a training with its schedule.

    Parameters
    ----------
    training : Training
        ``optimizer`` is a name of Keras', in any case, or an object of ``name`` and
        arguments of that class. Under 'mixed_float16' the losses are scaled, so that small
        gradients do not vanish.
    steps : int
        Steps of all epochs.

    Raises
    ------
    UsageError
        If there is none of that name, or it does not take the arguments.
    """
    given = training.optimizer
    arguments = {"name": given} if isinstance(given, str) else dict(given)
    name = arguments.pop("name")
    if name.lower() not in OPTIMIZERS:
        raise UsageError(
            f'model-training.optimizer is "{name}": allowed are {", ".join(OPTIMIZERS)}'
        )
    kind = getattr(keras.optimizers, OPTIMIZERS[name.lower()])
    _check(name, kind, arguments)
    try:
        optimizer = kind(learning_rate=learning_rate(training, steps), **arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"model-training.optimizer {name}: {error}") from error
    if training.precision == "mixed_float16":
        return LossScaling(optimizer)
    return optimizer


def _check(name: str, kind: type, arguments: dict[str, Any]) -> None:
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is not inspect.Parameter.empty and key not in _ELSEWHERE
    }
    for key, value in arguments.items():
        said = f"model-training.optimizer: {key} of {name} is {json.dumps(value)}"
        if key == "learning_rate":
            raise UsageError(f"{said}: model-training.learning_rate and schedule say that")
        if key not in known:
            raise UsageError(f"{said}: allowed are {', '.join(known)}")
        usual = known[key]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(usual, bool) and not isinstance(value, bool):
            raise UsageError(f"{said}: allowed are true and false")
        if isinstance(usual, (int, float)) and not isinstance(usual, bool) and not is_number:
            raise UsageError(f"{said}: allowed is a number")
        if usual is None and not (is_number or value is None or isinstance(value, list)):
            raise UsageError(f"{said}: allowed is a number, a list of names or null")


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Put moving averages in the place of the weights while the block lasts.

    Does nothing where the optimizer keeps none (``use_ema``).
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    kept = [keras.ops.convert_to_numpy(variable) for variable in variables]
    # The class's own: fit_loop has taken the method from the object.
    type(optimizer).finalize_variable_values(optimizer, variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)


@keras.saving.register_keras_serializable("orpheus")
class LossScaling(keras.optimizers.LossScaleOptimizer):
    """Keras' own takes a step if the gradients of the first replica are finite.

    Those of another may have overflowed and would end in every weight: all are asked.
    """

    def check_finite(self, grads: Any) -> Any:
        finite = super().check_finite(grads)
        replica = tf.distribute.get_replica_context()
        failed = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32))
        return tf.equal(failed, 0)

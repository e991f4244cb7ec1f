"""What a training is made of: the model, its start, the optimizer."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from schemas.common.errors import UsageError
from schemas.config import Config, Training
from trainer.models.registry import MODELS, build_model, model_options
from trainer.training.fine_tune import freeze
from trainer.training.schedules import learning_rate


def fill_options(config: Config) -> Config:
    """The configuration with the architecture's own options where none were given.

    Raises
    ------
    UsageError
        If no model or no optimizer has the name.
    """
    options = {
        key: value
        for key, value in model_options(config.model.name).items()
        if getattr(config.model, key, None) is None and hasattr(config.model, key)
    }
    make_optimizer(config.training, steps=1)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **options))


def make_optimizer(training: Training, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a training with its schedule.

    Parameters
    ----------
    training : Training
        ``optimizer`` is a name of Keras', in any case. Under 'mixed_float16' the losses
        are scaled, so that small gradients do not vanish.
    steps : int
        Steps of all epochs.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    optimizers = {
        key.lower(): value
        for key, value in vars(keras.optimizers).items()
        if isinstance(value, type)
        and issubclass(value, keras.optimizers.Optimizer)
        and key not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
    }
    name = training.optimizer
    if name.lower() not in optimizers:
        raise UsageError(
            f'model-training.optimizer is "{name}": allowed are {", ".join(sorted(optimizers))}'
        )
    optimizer = optimizers[name.lower()](learning_rate=learning_rate(training, steps))
    if training.precision == "mixed_float16":
        return LossScaling(optimizer)
    return optimizer


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


def make_model(
    config: Config, window: int, n_tags: int, replicas: int = 1, precision: str = "float32"
) -> keras.Model:
    """The untrained model of a resolved configuration.

    Parameters
    ----------
    config : Config
    window : int
        Samples or frames of a window.
    n_tags : int
        Outputs.
    replicas : int
        On several, batch normalisation takes its statistics over all of them: else
        each would move its own, and the saved copy would be another model than the
        evaluated one.
    precision : str
        Keras' dtype policy; the weights are float32 under each.
    """
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = build_model(
            config.model.name,
            frontend=config.frontend,
            window=window,
            n_mels=config.n_mels,
            n_tags=n_tags,
            **config.model.options,
        )
    finally:
        keras.config.set_dtype_policy(usual)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = config.training.norm_momentum
            layer.synchronized = replicas > 1
    freeze(model, config.training.freeze, MODELS[config.model.name].front_end)
    return model


def start_at_rates(model: keras.Model, rates: np.ndarray) -> None:
    """Let the untrained model give each tag its frequency, nearly whatever it hears.

    A model that starts at one half for every tag spends its first hundreds of steps on
    learning that tags are rare; small data sets do not have many more.

    Parameters
    ----------
    model : keras.Model
        With a sigmoid layer named "scores".
    rates : np.ndarray [targets]
        Share of the training tracks that have each tag.
    """
    layer = model.get_layer("scores")
    kernel, _ = layer.get_weights()
    rates = np.clip(rates, 1e-3, 1 - 1e-3)
    layer.set_weights([0.1 * kernel, np.log(rates / (1 - rates))])

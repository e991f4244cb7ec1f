"""What a training is made of: the model and its start."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from schemas.config import Config
from trainer.descent.optimizers import make_optimizer
from trainer.models.registry import MODELS, build_model, model_options
from trainer.training.fine_tune import freeze


def fill_options(config: Config) -> Config:
    """The configuration with the architecture's own options where none were given.

    Raises
    ------
    UsageError
        If no model or no optimizer has the name, or it does not take its arguments.
    """
    options = {
        key: value
        for key, value in model_options(config.model.name).items()
        if getattr(config.model, key, None) is None and hasattr(config.model, key)
    }
    make_optimizer(config.training, steps=1)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **options))


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

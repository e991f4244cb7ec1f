"""Small models for tests."""

from __future__ import annotations

import keras
import numpy as np

from schemas.audio_spec import LOG_MEL
from trainer.models.registry import build_model


def build(name="pons", frontend=LOG_MEL, window=40, n_tags=5, **options):
    return build_model(name, frontend=frontend, window=window, n_mels=96, n_tags=n_tags, **options)


def randomise(model, seed=0):
    """Random weights and normalisation statistics; gammas of either sign."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        shape, kind = variable.shape, variable.path.rsplit("/", 1)[-1]
        values = {
            "kernel": lambda s: rng.normal(0, (2 / max(1, np.prod(s[:-1]))) ** 0.5, s),
            "bias": lambda s: rng.normal(0, 0.3, s),
            "gamma": lambda s: rng.uniform(0.5, 1.5, s) * rng.choice([-1, 1], s, p=[0.3, 0.7]),
            "beta": lambda s: rng.normal(0, 0.3, s),
            "moving_mean": lambda s: rng.normal(0.4, 0.2, s),
            "moving_variance": lambda s: rng.uniform(0.3, 2, s),
        }[kind](tuple(shape))
        variable.assign(values)
    return model


def outputs(model, windows):
    both = keras.Model(model.input, [model.output, model.get_layer("embedding").output])
    return [np.asarray(each) for each in both(windows, training=False)]

"""What the models give under the JAX backend, for a test that runs under TensorFlow's.

``python -m tests.helpers.jax_models DIR``: for each case of :data:`CASES`, DIR has an ``.npz`` of
the weights and the windows, and gets one of the scores and embeddings.
"""

import os
import pathlib
import sys

import numpy as np

from schemas.audio_spec import LOG_MEL, WAVEFORM

CASES = {
    "pons-log-mel": ("pons", LOG_MEL, 60),
    "pons-waveform": ("pons", WAVEFORM, 25_000),
    "musicnn": ("musicnn", LOG_MEL, 50),
    "vgg": ("vgg", LOG_MEL, 187),
}


def build(case: str, **options):
    """The model of a case and one with the same weights that also gives the embedding."""
    import keras

    from trainer.models.registry import build_model

    name, frontend, window = CASES[case]
    model = build_model(name, frontend=frontend, window=window, n_mels=96, n_tags=20, **options)
    return model, keras.Model(model.input, [model.output, model.get_layer("embedding").output])


def main(folder: pathlib.Path) -> None:
    for case in CASES:
        given = np.load(folder / f"{case}.npz")
        model, both = build(case, initializer="zeros")  # drawing weights would be compiled too
        model.set_weights([given[f"weight{k}"] for k in range(len(model.weights))])
        scores, embeddings = both.predict_on_batch(given["windows"])
        np.savez(folder / f"{case}-jax.npz", scores=scores, embeddings=embeddings)
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    main(pathlib.Path(sys.argv[1]))

"""A model as the service sees it: a SavedModel that says itself what it is.

Nothing of the trainer is imported; TensorFlow is, but only when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from schemas.command import import_tensorflow
from schemas.errors import RunError, UsageError
from schemas.saved_model import SERVE


def load_signature(path: str, name: str = SERVE) -> Callable[[np.ndarray], dict[str, Any]]:
    """Load one signature of a SavedModel.

    Parameters
    ----------
    path : str
        Directory of the SavedModel.
    name : str
        The signature; those of our models are named in `schemas.saved_model`.

    Returns
    -------
    callable
        Takes audio, float32 [batch, samples] at the model's rate, and returns the
        outputs by name as arrays; 'tags' is a list of str.

    Raises
    ------
    UsageError
        If the SavedModel cannot be loaded or has no such signature.
    RunError
        From the callable, if the model fails on its audio.
    """
    tf = import_tensorflow()

    try:
        model = tf.saved_model.load(path)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UsageError(f"{path} cannot be loaded as a SavedModel: {error}") from error
    if name not in model.signatures:
        raise UsageError(f"{path} has no signature {name!r}, only {', '.join(model.signatures)}")

    def call(audio: np.ndarray) -> dict[str, Any]:
        try:
            # Through the model: a signature alone does not keep its variables alive.
            outputs = model.signatures[name](audio=tf.constant(audio))
        except tf.errors.OpError as error:
            raise RunError(f"the model fails: {' '.join(error.message.split())}") from error
        values = {key: value.numpy() for key, value in outputs.items()}
        values["tags"] = [tag.decode() for tag in values["tags"]]
        return values

    return call

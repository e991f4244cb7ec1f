"""A model as the service sees it: a SavedModel that says itself what it is.

Nothing of the trainer is imported; TensorFlow is, but only when a model is loaded.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np

from schemas.common.command import import_tensorflow
from schemas.common.errors import RunError, UsageError
from schemas.saved_model import SERVE, WINDOWS
from serving.engine.model import Model


def load_signature(path: str, name: str = SERVE, n_callers: int | None = None) -> Model:
    """Load one signature of a SavedModel.

    Parameters
    ----------
    path : str
        Directory of the SavedModel.
    name : str
        The signature; those of our models are named in `schemas.saved_model`.
    n_callers : int, optional
        Threads that will call it side by side: each call then keeps to one core. Has no
        effect once TensorFlow has computed something in this process.

    Returns
    -------
    callable
        Takes the signature's one input, float32 (audio [batch, samples] at the model's
        rate; what windows are is said in `schemas.saved_model`), and returns the outputs
        by name as arrays; 'tags' is a list of str.

    Raises
    ------
    UsageError
        If the SavedModel cannot be loaded or has no such signature.
    RunError
        From the callable, if the model fails on its input.
    """
    tf = import_tensorflow(without=("jax", "matplotlib", "sklearn"))
    if n_callers is not None:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(n_callers)
    try:
        model = tf.saved_model.load(path)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UsageError(f"{path} cannot be loaded as a SavedModel: {error}") from error
    if name not in model.signatures:
        advice = "; export it again with trainer.export" if name == WINDOWS else ""
        raise UsageError(
            f"{path} has no signature {name!r}, only {', '.join(model.signatures)}{advice}"
        )
    (argument,) = model.signatures[name].structured_input_signature[1]

    def call(values: np.ndarray) -> dict[str, Any]:
        try:
            # Through the model: a signature alone does not keep its variables alive.
            outputs = model.signatures[name](**{argument: tf.constant(values)})
        except tf.errors.OpError as error:
            # The operation's number differs from process to process.
            message = re.sub(r"\s*\[Op:\w+\]$", "", " ".join(error.message.split()))
            raise RunError(f"the model fails: {message}") from error
        arrays = {key: value.numpy() for key, value in outputs.items()}
        return {**arrays, "tags": [tag.decode() for tag in arrays["tags"]]}

    return call

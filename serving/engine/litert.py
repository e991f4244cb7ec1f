"""A LiteRT model as the service sees it: like `saved_model.py`, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.common.cores import n_cores
from schemas.common.errors import RunError, UsageError
from schemas.saved_model import SERVE
from serving.engine.model import Model


def load_lite_signature(path: str, name: str = SERVE) -> Model:
    """Load one signature of a LiteRT model.

    Parameters
    ----------
    path : str
        A file that the trainer exported.
    name : str
        The signature; those of our models are named in `schemas.saved_model`.

    Returns
    -------
    callable
        Takes audio, float32 [batch, samples] at the model's rate (of the signature
        'windows': windows), and returns the outputs by name as arrays; 'tags' is a list
        of str. Not for several threads at once.

    Raises
    ------
    UsageError
        If the file cannot be loaded or has no such signature, or LiteRT is not installed.
    RunError
        From the callable, if the model fails on its audio.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UsageError(
            "LiteRT models need the package ai-edge-litert: pip install ai-edge-litert"
        ) from error
    try:
        interpreter = Interpreter(path, num_threads=n_cores())
        runner = interpreter.get_signature_runner(name)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be loaded as a LiteRT model: {error}") from error
    (argument,) = runner.get_input_details()

    def call(audio: np.ndarray) -> dict[str, Any]:
        try:
            values = dict(runner(**{argument: audio}))
        except (RuntimeError, ValueError, MemoryError) as error:
            raise RunError(f"the model fails: {' '.join(str(error).split())}") from error
        scores = values["scores" if "scores" in values else "embeddings"]
        if not np.isfinite(scores).all():  # LiteRT's only way to refuse samples
            raise RunError("the model fails: the audio holds samples that are no audio")
        values["tags"] = [tag.decode() for tag in values["tags"]]
        return values

    return call

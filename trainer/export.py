"""Write a tagger as a SavedModel that stands alone, and read one back."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable

import tensorflow as tf

from schemas.audio_spec import LOG_MEL
from schemas.errors import UsageError
from schemas.saved_model import (
    EMBEDDINGS,
    FEATURES,
    METADATA,
    SERVE,
    TAGGRAM,
    ModelInfo,
    read_model_info,
)
from trainer.tagger import Tagger


def export_saved_model(tagger: Tagger, directory: str) -> None:
    """Write a SavedModel with the signatures of the tagger.

    ``serving_default``, ``taggram``, ``embeddings`` and, for log-mel models,
    ``features``; batch and length are free. What the model is stands beside it in
    ``assets.extra/orpheus.json``, see :mod:`schemas.saved_model`.

    Parameters
    ----------
    tagger : Tagger
        The model and its front end.
    directory : str
        Where to; an exported model that is already there is replaced.

    Raises
    ------
    UsageError
        If something else is there.
    """
    if os.path.lexists(directory) and not _replaceable(directory):
        raise UsageError(f"{directory} exists and is no exported model: choose another place")
    parent = os.path.dirname(os.path.abspath(directory))
    os.makedirs(parent, exist_ok=True)
    work = tempfile.mkdtemp(prefix=".export-", dir=parent)
    try:
        model = os.path.join(work, "model")
        signatures = {SERVE: tagger.serve, TAGGRAM: tagger.taggram, EMBEDDINGS: tagger.embeddings}
        if tagger.info.frontend == LOG_MEL:
            signatures[FEATURES] = tagger.features
        variables = tf.Module()
        variables.weights = tagger.weights
        tf.saved_model.save(variables, model, signatures)
        os.makedirs(os.path.join(model, os.path.dirname(METADATA)))
        with open(os.path.join(model, METADATA), "w", encoding="utf8") as stream:
            json.dump(tagger.info.to_json(), stream, indent=1, ensure_ascii=False)
        if os.path.isdir(directory):
            os.rename(directory, os.path.join(work, "old"))
        os.rename(model, directory)
    finally:
        shutil.rmtree(work)


def _replaceable(directory: str) -> bool:
    return os.path.isfile(os.path.join(directory, METADATA)) or (
        os.path.isdir(directory) and not os.listdir(directory)
    )


class LoadedTagger:
    """An exported model with the methods of :class:`trainer.tagger.Tagger`.

    Attributes
    ----------
    info : ModelInfo
        What the model is.
    serve, taggram, embeddings, features : callable
        The signatures; `features` only for log-mel models.
    """

    def __init__(self, directory: str) -> None:
        self.info: ModelInfo = read_model_info(directory)
        self._module = tf.saved_model.load(directory)  # holds the variables alive
        signatures = self._module.signatures
        self.serve = _positional(signatures[SERVE], "audio")
        self.taggram = _positional(signatures[TAGGRAM], "audio")
        self.embeddings = _positional(signatures[EMBEDDINGS], "audio")
        if FEATURES in signatures:
            self.features = _positional(signatures[FEATURES], "spectrogram")


def _positional(signature: Callable, name: str) -> Callable:
    """A signature (keywords and tensors only) as a method of one array."""
    return lambda values: signature(**{name: tf.convert_to_tensor(values, tf.float32)})


def load_tagger(directory: str) -> LoadedTagger:
    """Read an exported model.

    Parameters
    ----------
    directory : str
        A SavedModel directory written by :func:`export_saved_model`.

    Raises
    ------
    UsageError
        If it is none.
    """
    return LoadedTagger(directory)

"""A tagger as SavedModel: written, and called from its file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from schemas.audio_spec import LOG_MEL
from schemas.common.command import import_tensorflow
from schemas.common.errors import UsageError
from schemas.common.files import sync_folder, sync_tree
from schemas.common.temporary import locked_folder
from schemas.saved_model import (
    CLIPS,
    EMBEDDINGS,
    FEATURES,
    METADATA,
    SERVE,
    TAGGRAM,
    WINDOWS,
    ModelInfo,
    read_model_info,
)

if TYPE_CHECKING:  # --help does not wait for TensorFlow
    from trainer.tagger.clip_tagger import Tagger


def export_saved_model(tagger: Tagger, directory: str) -> None:
    """Write a SavedModel with the signatures of the tagger.

    ``serving_default``, ``clips``, ``taggram``, ``embeddings``, ``windows`` and, for log-mel
    models, ``features``; batch and length are free. What the model is stands beside it in
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
    check_place(directory)
    tf = import_tensorflow()
    parent = os.path.dirname(os.path.abspath(directory))
    os.makedirs(parent, exist_ok=True)
    with locked_folder(parent, ".export-") as work:
        model = os.path.join(work, "model")
        signatures = {SERVE: tagger.serve, TAGGRAM: tagger.taggram, EMBEDDINGS: tagger.embeddings}
        signatures |= {WINDOWS: tagger.windows, CLIPS: tagger.clips}
        if tagger.info.frontend == LOG_MEL:
            signatures[FEATURES] = tagger.features
        variables = tf.Module()
        variables.weights = tagger.weights
        tf.saved_model.save(variables, model, signatures)
        os.makedirs(os.path.join(model, os.path.dirname(METADATA)))
        with open(os.path.join(model, METADATA), "w", encoding="utf8") as stream:
            json.dump(tagger.info.to_json(), stream, indent=1, ensure_ascii=False)
        sync_tree(model)
        if os.path.isdir(directory):
            os.rename(directory, os.path.join(work, "old"))
        os.rename(model, directory)
        sync_folder(parent)


def check_place(directory: str) -> None:
    """A directory can be written if it is not there, empty or an exported model."""
    if not os.path.lexists(directory) or os.path.isfile(os.path.join(directory, METADATA)):
        return
    if not os.path.isdir(directory) or os.listdir(directory):
        raise UsageError(f"{directory} exists and is no exported model: choose another place")


class LoadedTagger:
    """An exported model with the methods of :class:`trainer.tagger.clip_tagger.Tagger`.

    Attributes
    ----------
    info : ModelInfo
        What the model is.
    serve, taggram, embeddings, windows, clips, features : callable
        The signatures; `features` only for log-mel models.
    """

    def __init__(self, directory: str) -> None:
        self.info: ModelInfo = read_model_info(directory)
        self._module = import_tensorflow().saved_model.load(directory)
        self.serve = self._method(SERVE, "audio")
        self.taggram = self._method(TAGGRAM, "audio")
        self.embeddings = self._method(EMBEDDINGS, "audio")
        self.windows = self._method(WINDOWS, "windows")
        if CLIPS in self._module.signatures:  # not in models of earlier versions
            self.clips = self._clips
        if FEATURES in self._module.signatures:
            self.features = self._method(FEATURES, "spectrogram")

    def _method(self, signature: str, argument: str) -> Callable:
        """A signature (keywords and tensors only) as a method of one array."""
        tf = import_tensorflow()
        module = self._module  # a signature alone does not keep its variables alive

        def call(values: Any) -> Any:
            return module.signatures[signature](
                **{argument: tf.convert_to_tensor(values, tf.float32)}
            )

        return call

    def _clips(self, audio: Any, lengths: Any) -> Any:
        tf = import_tensorflow()
        return self._module.signatures[CLIPS](
            audio=tf.convert_to_tensor(audio, tf.float32),
            lengths=tf.convert_to_tensor(lengths, tf.int32),
        )


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

"""``python -m trainer.export``: write a tagger as a SavedModel that stands alone, and for LiteRT.

From Python also the way back: :func:`load_tagger`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from schemas.audio_spec import LOG_MEL
from schemas.common.command import ArgumentParser, import_tensorflow, run_command
from schemas.common.errors import UsageError
from schemas.config import read_config
from schemas.saved_model import (
    EMBEDDINGS,
    FEATURES,
    METADATA,
    SERVE,
    TAGGRAM,
    WINDOWS,
    ModelInfo,
    lite_path,
    read_model_info,
)
from trainer.job.directory import BEST, CHECKPOINTS, CONFIG
from trainer.tagger.litert import check_lite_place, export_lite
from trainer.training.fine_tune import inherited_licence

if TYPE_CHECKING:  # --help does not wait for TensorFlow
    from trainer.tagger.clip_tagger import Tagger

_SUFFIX = ".keras"


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.export",
        description="Write a checkpoint of a training as a SavedModel, raw audio in, tags out, and "
        "beside it as OUTPUT.tflite for LiteRT.",
    )
    options.add_argument("--job_dir", required=True, help="directory that trainer.task wrote")
    options.add_argument(
        "--checkpoint", metavar="NAME", default=BEST, help="as in JOB_DIR/checkpoints: epoch-07"
    )
    options.add_argument(
        "--output", required=True, help="directory to write; an exported model there is replaced"
    )
    options.add_argument(
        "--licence",
        help="terms of use of the weights, kept inside the model; by default those that the "
        "job's own export has",
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Read the checkpoint and export it."""
    options = parser().parse_args(argv)
    checkpoint = find_checkpoint(options.job_dir, options.checkpoint)
    config = read_config(os.path.join(options.job_dir, CONFIG))
    _check_place(options.output)
    check_lite_place(lite_path(options.output))
    import_tensorflow()
    from trainer.tagger.clip_tagger import config_tagger, read_checkpoint

    licence = options.licence
    if licence is None:
        licence = inherited_licence(options.job_dir)
    tagger = config_tagger(read_checkpoint(checkpoint), config, licence)
    export_saved_model(tagger, options.output)
    lite = export_lite(options.output)
    print(f"exported {checkpoint} to {options.output} and {lite}")
    return 0


def find_checkpoint(job_dir: str, name: str) -> str:
    """Path of a checkpoint of a job.

    Parameters
    ----------
    job_dir : str
        Directory that trainer.task wrote.
    name : str
        'best', 'epoch-07', …

    Raises
    ------
    UsageError
        If there is none of that name; says which there are.
    """
    folder = os.path.join(job_dir, CHECKPOINTS)
    files = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    names = [file.removesuffix(_SUFFIX) for file in files if file.endswith(_SUFFIX)]
    names = [name for name in names if not name.startswith(".")]
    if not names:
        raise UsageError(f"{job_dir} holds no checkpoints; trainer.task writes them")
    if name not in names:
        raise UsageError(f"{job_dir} has no checkpoint {name!r}: there are {', '.join(names)}")
    return os.path.join(folder, name + _SUFFIX)


def export_saved_model(tagger: Tagger, directory: str) -> None:
    """Write a SavedModel with the signatures of the tagger.

    ``serving_default``, ``taggram``, ``embeddings``, ``windows`` and, for log-mel models,
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
    _check_place(directory)
    tf = import_tensorflow()
    parent = os.path.dirname(os.path.abspath(directory))
    os.makedirs(parent, exist_ok=True)
    work = tempfile.mkdtemp(prefix=".export-", dir=parent)
    try:
        model = os.path.join(work, "model")
        signatures = {SERVE: tagger.serve, TAGGRAM: tagger.taggram, EMBEDDINGS: tagger.embeddings}
        signatures[WINDOWS] = tagger.windows
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


def _check_place(directory: str) -> None:
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
    serve, taggram, embeddings, windows, features : callable
        The signatures; `features` only for log-mel models.
    """

    def __init__(self, directory: str) -> None:
        self.info: ModelInfo = read_model_info(directory)
        self._module = import_tensorflow().saved_model.load(directory)
        self.serve = self._method(SERVE, "audio")
        self.taggram = self._method(TAGGRAM, "audio")
        self.embeddings = self._method(EMBEDDINGS, "audio")
        self.windows = self._method(WINDOWS, "windows")
        if FEATURES in self._module.signatures:
            self.features = self._method(FEATURES, "spectrogram")

    def _method(self, signature: str, argument: str) -> Callable:
        """A signature (keywords and tensors only) as a method of one array."""
        tf = import_tensorflow()
        module = self._module  # a signature alone does not keep its variables alive

        def call(values):
            return module.signatures[signature](
                **{argument: tf.convert_to_tensor(values, tf.float32)}
            )

        return call


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


if __name__ == "__main__":
    run_command(main)

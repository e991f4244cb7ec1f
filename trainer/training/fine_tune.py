"""Fine-tuning: a training that starts from the weights of one that has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from schemas.audio_spec import WAVEFORM, AudioSpec
from schemas.common.errors import UsageError
from schemas.config import Config, read_config
from schemas.saved_model import find_saved_model, read_model_info
from schemas.tag_choice import select_tags
from trainer.job.directory import BEST, CONFIG, checkpoint_file

if TYPE_CHECKING:  # settings are checked before TensorFlow's long import
    import keras

FREE = ("dropout", "initializer")  # options of a model that do not change its weights' shapes


def initial_settings(job_dir: str) -> dict[str, dict[str, Any]]:
    """What a configuration starts from that goes on from a job: its model and window.

    Parameters
    ----------
    job_dir : str
        As trainer.import_pretrained or trainer.task leaves it.

    Raises
    ------
    UsageError
        If there is no such job, or it has no checkpoint.
    """
    file = os.path.join(job_dir, CONFIG)
    if not os.path.isfile(file) or not os.path.isfile(checkpoint_file(job_dir, BEST)):
        raise UsageError(
            f"--init_from: {job_dir} holds no finished training; trainer.import_pretrained and "
            "trainer.task write one"
        )
    begun = read_config(file)
    return {
        "model": begun.to_json()["model"],
        "model-training": {
            "init_from": job_dir,
            "window_seconds": begun.training.window_seconds,
        },
    }


def check_initial(config: Config) -> None:
    """See that the weights of ``model-training.init_from`` fit a filled-in configuration.

    Raises
    ------
    UsageError
        If the model or the data set's signal front end is another one.
    """
    job_dir = config.training.init_from
    if job_dir is None:
        if config.training.freeze:
            raise UsageError(
                "model-training.freeze keeps the weights of --init_from, which is missing"
            )
        return
    initial_settings(job_dir)
    begun = read_config(os.path.join(job_dir, CONFIG))
    values, needed = config.to_json()["model"], begun.to_json()["model"]
    for key in needed:
        if key not in FREE and values[key] not in (None, needed[key]):
            raise UsageError(
                f"model.{key} is {json.dumps(values[key])}: allowed with --init_from {job_dir} "
                f"is what it has, {json.dumps(needed[key])}"
            )
    shared = ["sample_rate"]
    if begun.model.frontend != WAVEFORM:
        shared += ["n_mels", "n_fft", "hop_length", "compression"]
    here, there = config.tfrecords.spec, begun.tfrecords.spec
    for name in shared:
        if getattr(here, name) != getattr(there, name):
            raise UsageError(
                f"the data set has {name} {getattr(here, name)}, {job_dir} "
                f"{getattr(there, name)}: build it with {_build_options(there, shared)}"
            )


def _build_options(spec: AudioSpec, names: list[str]) -> str:
    return " ".join(f"--{name} {getattr(spec, name)}" for name in names)


def read_initial(config: Config) -> keras.Model | None:
    """The model whose weights a training starts from; None where it starts from none."""
    from trainer.tagger.clip_tagger import read_checkpoint

    job_dir = config.training.init_from
    return read_checkpoint(checkpoint_file(job_dir, BEST)) if job_dir else None


def same_outputs(config: Config) -> list[int] | None:
    """For each tag that is learnt the output of ``model-training.init_from`` that stands for it.

    Returns
    -------
    list of int or None
        None where it starts from no job, or the tags of that one are not the same.
    """
    job_dir = config.training.init_from
    if job_dir is None:
        return None
    begun = read_config(os.path.join(job_dir, CONFIG))
    theirs, _ = select_tags(begun.tags, begun.tfrecords.vocabulary)
    ours, _ = select_tags(config.tags, config.tfrecords.vocabulary)
    if sorted(ours) != sorted(theirs):
        return None
    return [theirs.index(name) for name in ours]


def take_over(
    model: keras.Model, initial: keras.Model, outputs: Sequence[int] | None = None
) -> None:
    """Give a model the weights of another one.

    Parameters
    ----------
    model, initial : keras.Model
    outputs : sequence of int, optional
        The outputs of `initial` that those of `model` stand for; by default the output layer
        stays as it is.

    Raises
    ------
    UsageError
        If a layer is missing there or has another shape.
    """
    for layer in _weighted(model):
        if layer.name == "scores" and outputs is None:
            continue
        try:
            weights = initial.get_layer(layer.name).get_weights()
            if layer.name == "scores":
                weights = [weight[..., outputs] for weight in weights]
            layer.set_weights(weights)
        except ValueError as error:
            raise UsageError(
                f"the weights of --init_from do not fit the layer {layer.name}: {error}"
            ) from error


def freeze(model: keras.Model, part: str | None, front_end: tuple[str, ...]) -> None:
    """Keep layers, and the statistics of their normalisation, as they are.

    Parameters
    ----------
    model : keras.Model
    part : {'front_end', 'embedding', None}
        The front end, all layers but the output, none.
    front_end : tuple of str
        What the names of the layers of the model's front end begin with.

    Raises
    ------
    UsageError
        If the model has no front end of its own.
    """
    if part == "front_end" and not front_end:
        raise UsageError(
            f"model-training.freeze is {part}: the layers of {model.name} are all alike, so "
            "allowed is embedding or null"
        )
    for layer in _weighted(model) if part else ():
        if layer.name != "scores" and (part == "embedding" or layer.name.startswith(front_end)):
            layer.trainable = False


def inherited_licence(job_dir: str | None) -> str:
    """The terms that a job's exported model stands under; whatever is made of it does too."""
    if job_dir is None:
        return ""
    try:
        return read_model_info(find_saved_model(job_dir)).licence
    except UsageError:
        return ""


def _weighted(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.weights]

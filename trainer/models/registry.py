"""The registry of models: a name, a builder, the front ends that it takes."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import keras

from schemas.audio_spec import AUDIO_FORMATS, LOG_MEL, WAVEFORM
from schemas.common.errors import UsageError
from trainer.models.musicnn import musicnn, vgg
from trainer.models.pons import pons


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A builder of ``scores = build(inputs, n_tags, **options)`` and its front ends.

    The builder names the layer before the output's dropout "embedding" and the output
    itself, which is a dense layer with a sigmoid, "scores". `front_end` is
    what the names of the layers begin with that look at the input, if the architecture
    tells them from the others.
    """

    build: Callable[..., Any]
    frontends: tuple[str, ...] = (LOG_MEL,)
    front_end: tuple[str, ...] = ()


MODELS = {
    "pons": Architecture(pons, AUDIO_FORMATS, ("wave_", "timbre_", "temporal_")),
    "musicnn": Architecture(musicnn, front_end=("input_norm", "timbre_", "temporal_")),
    "vgg": Architecture(vgg),
}


def model_options(name: str) -> dict[str, Any]:
    """Options of a model and their defaults, in the order of its builder.

    Raises
    ------
    UsageError
        If no model has the name.
    """
    parameters = inspect.signature(_architecture(name).build).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def build_model(
    name: str, *, frontend: str, window: int | None, n_mels: int, n_tags: int, **options: Any
) -> keras.Model:
    """Build a model that scores windows.

    Parameters
    ----------
    name : {'pons', 'musicnn', 'vgg'}
        The architecture.
    frontend : {'waveform', 'log-mel-spectrogram'}
        What the windows are made of.
    window : int or None
        Samples (waveform) or frames (log-mel) in a window; None for any length,
        where the architecture allows it (all but vgg).
    n_mels : int
        Bands of the spectrogram; not used by the waveform front end.
    n_tags : int
        Number of outputs.
    **options
        Options of the architecture, see :func:`model_options`.

    Returns
    -------
    keras.Model
        ``[batch, window]`` or ``[batch, window, n_mels]`` float32 to scores
        ``[batch, n_tags]`` float32 in 0 to 1. The layer named "embedding" gives
        the features under the output, ``[batch, n_dense]``.

    Raises
    ------
    UsageError
        If the name, the front end, an option or the window does not fit, or the
        architecture names its layers otherwise than :class:`Architecture` asks.
    """
    architecture = _architecture(name)
    _check_options(name, frontend, options)
    shape = (window,) if frontend == WAVEFORM else (window, n_mels)
    inputs = keras.Input(shape, name="window", dtype="float32")
    try:
        scores = architecture.build(inputs, n_tags, **options)
    except (ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        if "output size would be" in str(error):
            reason = "the window is too short"
        raise UsageError(
            f"no {name} model for windows of shape {list(shape)} with {options or 'its defaults'}: "
            f"{reason}"
        ) from error
    model = keras.Model(inputs, scores, name=name)
    missing = {"embedding", "scores"} - {layer.name for layer in model.layers}
    if missing:
        raise UsageError(f"the model {name} has no layer of the name {min(missing)}: give it one")
    return model


def _check_options(name: str, frontend: str, options: Iterable[str]) -> None:
    allowed = _architecture(name).frontends
    if frontend not in allowed:
        raise UsageError(
            f"the model {name} has no front end {frontend!r}: allowed are {', '.join(allowed)}"
        )
    known = model_options(name)
    for option in options:
        if option not in known:
            raise UsageError(
                f"the model {name} has no option {option!r}: "
                f"allowed are {', '.join(known) or 'none'}"
            )


def _architecture(name: str) -> Architecture:
    if name not in MODELS:
        raise UsageError(f"there is no model {name!r}: allowed are {', '.join(MODELS)}")
    return MODELS[name]

"""What a SavedModel of ours says about itself: the contract of trainer and service.

``DIRECTORY/assets.extra/orpheus.json`` holds it (``assets.extra`` is the place that
the SavedModel format leaves to its users), readable without TensorFlow. A LiteRT model,
``DIRECTORY.tflite``, has the same file in a ZIP archive at its end, where the format
keeps what goes with a model.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
from typing import Any

from schemas.audio_spec import AudioSpec
from schemas.common.errors import UsageError
from schemas.common.text import parse_json

DESCRIPTION = "orpheus.json"
METADATA = os.path.join("assets.extra", DESCRIPTION)
LITE = ".tflite"

SERVE, TAGGRAM, EMBEDDINGS = "serving_default", "taggram", "embeddings"
# WINDOWS takes windows that the caller has cut, of any number of tracks: float32 [batch, window]
# samples or [batch, window, n_mels] frames of whole clips' spectrograms.
FEATURES, WINDOWS = "features", "windows"
# CLIPS takes audio and the length of each clip in it, int32 [batch].
CLIPS = "clips"


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A tagger without its weights.

    Attributes
    ----------
    labels : list of str
        Tag names in the order of the scores.
    spec : AudioSpec
        The signal front end.
    frontend : {'waveform', 'log-mel-spectrogram'}
        What the model's windows are made of.
    window : int
        Samples (waveform) or frames (log-mel) of a window.
    model : dict
        How the model was made: a configuration in the form of :mod:`schemas.config`
        for those of trainer.task.
    licence : str
        Under what terms the weights may be used; empty if nothing was said.
    thresholds : list of float, optional
        For each label the score from which on a clip has it, learnt on validation tracks.
    """

    labels: list[str]
    spec: AudioSpec
    frontend: str
    window: int
    model: dict[str, Any]
    licence: str = ""
    thresholds: list[float] | None = None

    def __post_init__(self) -> None:
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.labels)} labels")

    @property
    def hop(self) -> int:
        """Samples from one step of a window to the next: of a frame, or 1 in a waveform."""
        return self.spec.hop(self.frontend)

    @property
    def min_samples(self) -> int:
        """Samples that fill one window."""
        return self.spec.min_samples(self.frontend, self.window)

    @property
    def window_seconds(self) -> float:
        """Length of a window in s."""
        return self.window * self.hop / self.spec.sample_rate

    def to_json(self) -> dict[str, Any]:
        """The description as a dictionary of JSON values."""
        values = {**dataclasses.asdict(self), "spec": self.spec.to_json()}
        if self.thresholds is None:
            del values["thresholds"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ModelInfo:
        """The description of a dictionary written by :meth:`to_json`."""
        return cls(**{**values, "spec": AudioSpec.from_json(values["spec"])})


def find_saved_model(path: str) -> str:
    """The SavedModel that a path means: itself, or the highest number in it or its ``export/``.

    Raises
    ------
    UsageError
        If there is none.
    """
    for parent in (path, os.path.join(path, "export")):
        if os.path.isfile(os.path.join(parent, METADATA)):
            return parent
        names = os.listdir(parent) if os.path.isdir(parent) else []
        for version in sorted((name for name in names if name.isdecimal()), key=int, reverse=True):
            if os.path.isfile(os.path.join(parent, version, METADATA)):
                return os.path.join(parent, version)
    if path.endswith(LITE):
        raise UsageError(f"{path} is a LiteRT model: serving.lite, record and web take those")
    raise UsageError(f"{path} holds no exported model; trainer.task writes one to JOB_DIR/export/1")


def read_model_info(directory: str) -> ModelInfo:
    """Read what a SavedModel directory says about itself.

    Raises
    ------
    UsageError
        If it is no SavedModel written by this project.
    """
    file = os.path.join(directory, METADATA)
    try:
        with open(file, encoding="utf8") as stream:
            return ModelInfo.from_json(parse_json(stream.read()))
    except OSError as error:
        raise UsageError(
            f"{directory} is no exported model ({METADATA}: {error.strerror}); "
            "trainer.task writes one to JOB_DIR/export/1"
        ) from error
    except (UsageError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} does not describe a model: {error}") from error


def find_lite_model(path: str) -> str:
    """The LiteRT model that a path means: a file itself, or the one beside a SavedModel.

    Parameters
    ----------
    path : str
        A file, or a directory as :func:`find_saved_model` takes it.

    Raises
    ------
    UsageError
        If there is none.
    """
    if not os.path.isdir(path):
        if os.path.exists(path):
            return path
        raise UsageError(f"{path} does not exist; trainer.task writes JOB_DIR/export/1{LITE}")
    file = lite_path(find_saved_model(path))
    if os.path.isfile(file):
        return file
    raise UsageError(f"{file} does not exist: trainer.export writes it with the SavedModel")


def lite_path(directory: str) -> str:
    """Where the LiteRT model of an exported SavedModel lies: beside it."""
    return os.path.normpath(directory) + LITE


def read_lite_info(path: str) -> ModelInfo:
    """Read what a LiteRT model says about itself.

    Raises
    ------
    UsageError
        If it is no LiteRT model written by this project.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return ModelInfo.from_json(parse_json(archive.read(DESCRIPTION)))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, UsageError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is no LiteRT model of ours; trainer.task writes one to JOB_DIR/export/1{LITE}"
        ) from error

"""``dataset.json``: what a data set is, read by the trainer and by whoever goes on with it.

``data`` is the same for any runner, any number of workers and after any kill;
``run`` says how it came about.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from schemas.audio_spec import LOG_MEL, PCM_FULL_SCALE, AudioSpec
from schemas.common.errors import UsageError

MANIFEST = "dataset.json"
PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set directory as its manifest describes it.

    Attributes
    ----------
    path : str
        The directory.
    audio_format : {'waveform', 'log-mel-spectrogram'}
        What the ``audio`` feature holds.
    spec : AudioSpec
        The signal front end.
    vocabulary : list of str
        Tag names in the order of the multi-hot vector.
    parts : dict
        Part name to ``{'records': int, 'shards': [{'name', 'records', 'sha256'}, ...]}``.
    data, run : dict
        The two halves of the manifest, whole.
    """

    path: str
    audio_format: str
    spec: AudioSpec
    vocabulary: list[str]
    parts: dict[str, Any]
    data: dict[str, Any]
    run: dict[str, Any]

    def shards(self, part: str) -> list[str]:
        """Paths of the shards of a part, in order; an empty list for an empty part."""
        return [os.path.join(self.path, shard["name"]) for shard in self.parts[part]["shards"]]

    def records(self, part: str) -> int:
        """Number of tracks in a part."""
        return int(self.parts[part]["records"])


def audio_layout(audio_format: str, spec: AudioSpec) -> dict[str, Any]:
    """How the bytes of the ``audio`` feature are to be read."""
    if audio_format == LOG_MEL:
        return {"dtype": "float32", "byte_order": "little", "shape": ["frames", spec.n_mels]}
    return {
        **{"dtype": "int16", "byte_order": "little", "shape": ["samples"]},
        "full_scale": PCM_FULL_SCALE,
    }


def parse_manifest(text: str, path: str) -> Dataset:
    """Read the text of a manifest.

    Raises
    ------
    UsageError
        If it is not one of ours.
    """
    try:
        manifest = json.loads(text)
        data = manifest["data"]
        return Dataset(
            path=path,
            audio_format=data["audio_format"],
            spec=AudioSpec.from_json(data["audio_spec"]),
            vocabulary=[row["tag"] for row in data["vocabulary"]],
            parts=data["parts"],
            data=data,
            run=manifest["run"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{os.path.join(path, MANIFEST)} is not a data set's manifest: {error}"
        ) from error


def read_dataset(path: str) -> Dataset:
    """Read the manifest of a data set directory on this machine's file system.

    Raises
    ------
    UsageError
        If the directory holds no finished data set.
    """
    file = os.path.join(path, MANIFEST)
    try:
        with open(file, encoding="utf8") as stream:
            text = stream.read()
    except OSError as error:
        raise UsageError(
            f"{path} holds no finished data set ({MANIFEST}: {error.strerror}); "
            "beam_pipelines.build writes one"
        ) from error
    return parse_manifest(text, path)

"""``dataset.json``: what a data set is, read by the trainer and by whoever goes on with it.

``data`` is the same for any runner, any number of workers and after any kill;
``run`` says how it came about.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from typing import Any

from schemas.audio_spec import AUDIO_FORMATS, LOG_MEL, PCM_FULL_SCALE, AudioSpec
from schemas.common.errors import UsageError
from schemas.common.files import locked
from schemas.common.text import parse_json

MANIFEST = "dataset.json"
PARTS = ("train", "validation", "test")
# A shard's file, in the folder of its part: the only names under which one is read or deleted.
SHARD = re.compile(rf"({'|'.join(AUDIO_FORMATS)})-[0-9]{{5,}}-of-[0-9]{{5,}}\.tfrecord")


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
        If it is not one of ours, or names a shard elsewhere than in the folder of its part.
    """
    try:
        manifest = parse_json(text)
        data = manifest["data"]
        for part in PARTS:
            for shard in data["parts"][part]["shards"]:
                _check_name(shard["name"], part)
        return Dataset(
            path=path,
            audio_format=data["audio_format"],
            spec=AudioSpec.from_json(data["audio_spec"]),
            vocabulary=[row["tag"] for row in data["vocabulary"]],
            parts=data["parts"],
            data=data,
            run=manifest["run"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{os.path.join(path, MANIFEST)} is not a data set's manifest: {error}"
        ) from error


def _check_name(name: Any, part: str) -> None:
    folder, _, file = name.partition("/")
    if folder != part or not SHARD.fullmatch(file):
        raise ValueError(f"the shard {name!r} is no {part}/FORMAT-00000-of-00001.tfrecord")


def refuse_links(dataset: Dataset) -> None:
    """See that a data set's folders and shards lie under its directory.

    Raises
    ------
    UsageError
        Naming a link that leads elsewhere.
    """
    for part in PARTS:
        for path in (os.path.join(dataset.path, part), *dataset.shards(part)):
            if os.path.islink(path):
                raise UsageError(f"{path} is a link: a data set's files must lie in its directory")


def being_read(path: str) -> contextlib.AbstractContextManager[None]:
    """Keep builds from replacing a data set of this machine while the block lasts.

    Raises
    ------
    UsageError
        If a build is writing it.
    """
    if not os.path.isdir(path):  # read_dataset says what is wrong with it
        return contextlib.nullcontext()
    return locked(path, f"{path} is being written by a build: wait for its end", shared=True)


def read_dataset(path: str) -> Dataset:
    """Read the manifest of a data set directory on this machine's file system.

    Raises
    ------
    UsageError
        If the directory holds no finished data set, or one whose files lie elsewhere.
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
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not a data set's manifest: it is no text in UTF-8") from error
    dataset = parse_manifest(text, path)
    refuse_links(dataset)
    return dataset

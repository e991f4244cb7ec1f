"""Whole tracks of a data set scored by a model, be it exported or a checkpoint."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.common.command import import_tensorflow
from schemas.common.errors import UsageError
from schemas.config import parse_config, read_config
from schemas.manifest import Dataset
from schemas.saved_model import ModelInfo, find_saved_model, read_model_info
from trainer.job.directory import CONFIG, find_checkpoint
from trainer.tagger.saved_model import load_tagger

_SECONDS_A_LINE = 60


@dataclasses.dataclass(frozen=True)
class FoundModel:
    """A model that is there, its weights perhaps not read yet.

    Attributes
    ----------
    path : str
        The SavedModel's directory or the checkpoint's file.
    info : ModelInfo
        What it is.
    load : callable
        Gives the tagger.
    """

    path: str
    info: ModelInfo
    load: Callable[[], Any]


def find_model(path: str, checkpoint: str | None = None) -> FoundModel:
    """The model that is meant by a path.

    Parameters
    ----------
    path : str
        A job directory, its ``export/`` or a SavedModel in it.
    checkpoint : str, optional
        'best', 'epoch-07', ...: a checkpoint of the job directory in place of its export.

    Raises
    ------
    UsageError
        If there is none.
    """
    if checkpoint is None:
        path = find_saved_model(path)
        return FoundModel(path, read_model_info(path), functools.partial(load_tagger, path))
    file = find_checkpoint(path, checkpoint)
    config = read_config(os.path.join(path, CONFIG))
    import_tensorflow()
    from trainer.tagger.clip_tagger import config_tagger, read_checkpoint

    tagger = config_tagger(read_checkpoint(file), config)
    return FoundModel(file, tagger.info, lambda: tagger)


@dataclasses.dataclass(frozen=True)
class Scored:
    """Tracks, their tags and what a model gives for them.

    Attributes
    ----------
    tids : list of str
        In the order of the shards.
    parts : list of {'train', 'validation', 'test'}
        Where in the data set each track is.
    labels : list of str
        The model's tags.
    truth : np.ndarray, float32 [tracks, labels]
        0 and 1.
    scores : np.ndarray, float32 [tracks, labels]
        The mean over a track's windows, as the service gives it.
    known : list of str
        The labels that the data set has; of the others truth says nothing.
    thresholds : list of float, optional
        Of the labels, if the model has learnt them.
    """

    tids: list[str]
    parts: list[str]
    labels: list[str]
    truth: np.ndarray
    scores: np.ndarray
    known: list[str]
    thresholds: list[float] | None = None

    def columns(self, tags: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Truth and scores of some of the labels, each [tracks, tags]."""
        chosen = [self.labels.index(tag) for tag in tags]
        return self.truth[:, chosen], self.scores[:, chosen]


def label_columns(info: ModelInfo, dataset: Dataset) -> list[int]:
    """For each tag of a data set the output of a model that stands for it, -1 for none.

    Tags that were merged for the training count for the tag that they were merged to.

    Raises
    ------
    UsageError
        If the model knows none of the data set's tags.
    """
    merge = parse_config({"tags": info.model.get("tags", {})}).tags.merge
    groups = {tag: group[0] for group in merge for tag in group}
    number = {label: k for k, label in enumerate(info.labels)}
    columns = [number.get(groups.get(tag, tag), -1) for tag in dataset.vocabulary]
    if max(columns, default=-1) < 0:
        raise UsageError(f"the model knows none of the tags of {dataset.path}")
    return columns


def check_fit(info: ModelInfo, dataset: Dataset) -> None:
    """See that a model can look at the records of a data set.

    Raises
    ------
    UsageError
        If it needs another front end.
    """
    if dataset.audio_format == LOG_MEL:
        if info.frontend == WAVEFORM:
            raise UsageError(f"{dataset.path} holds {LOG_MEL}s: the model needs a {WAVEFORM}")
        if info.spec != dataset.spec:
            raise UsageError(
                f"{dataset.path} holds spectrograms of {dataset.spec}: the model needs {info.spec}"
            )
    elif info.spec.sample_rate != dataset.spec.sample_rate:
        raise UsageError(
            f"{dataset.path} holds audio at {dataset.spec.sample_rate} Hz: "
            f"the model needs {info.spec.sample_rate} Hz"
        )


def score_tracks(
    dataset: Dataset, parts: Sequence[str], model: FoundModel, chosen: Collection[str] | None = None
) -> Scored:
    """Score whole tracks of a data set.

    Parameters
    ----------
    dataset : Dataset
    parts : sequence of {'train', 'validation', 'test'}
        The parts to read.
    model : FoundModel
    chosen : collection of str, optional
        Only the tracks with these ids; all by default.

    Raises
    ------
    UsageError
        If the model does not fit the data set.
    RunError
        If a shard cannot be read.
    """
    check_fit(model.info, dataset)
    labels, columns = model.info.labels, label_columns(model.info, dataset)
    tagger = model.load()
    score = tagger.features if dataset.audio_format == LOG_MEL else tagger.serve
    rows = [
        (part, tid, tags, score(clip[None])["scores"][0].numpy())
        for part, tid, clip, tags in _tracks(dataset, parts, labels, columns)
        if chosen is None or tid in chosen
    ]
    shape = (len(rows), len(labels))
    return Scored(
        tids=[tid for _, tid, _, _ in rows],
        parts=[part for part, _, _, _ in rows],
        labels=labels,
        truth=np.array([tags > 0 for _, _, tags, _ in rows], np.float32).reshape(shape),
        scores=np.array([scores for *_, scores in rows], np.float32).reshape(shape),
        known=[labels[k] for k in sorted(set(columns) - {-1})],
        thresholds=model.info.thresholds,
    )


def _tracks(
    dataset: Dataset, parts: Sequence[str], labels: list[str], columns: list[int]
) -> Iterator[tuple[str, str, Any, np.ndarray]]:
    """Part, id, clip (float32 tensor) and targets of each track; says how far it is."""
    tf = import_tensorflow()
    from trainer.input.records import read_tracks, shard_error, to_float
    from trainer.input.source import Source

    records = sum(dataset.records(part) for part in parts)
    read, said = 0, time.monotonic()
    for part in parts:
        source = Source(
            shards=dataset.shards(part),
            records=dataset.records(part),
            audio_format=dataset.audio_format,
            spec=dataset.spec,
            frontend=dataset.audio_format,
            window=1,  # the model pads short clips itself
            names=labels,
            columns=columns,
        )
        try:
            for tid, clip, tags in read_tracks(source).prefetch(tf.data.AUTOTUNE):
                yield part, tid.numpy().decode(), to_float(clip), tags.numpy()
                read += 1
                if time.monotonic() - said > _SECONDS_A_LINE:
                    said = time.monotonic()
                    print(f"scored {read:,} of {records:,} tracks", file=sys.stderr)
        except tf.errors.OpError as error:
            raise shard_error(source.shards, error) from error

"""From Python: datasets for training, validation and test from shards of one's own choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from schemas.common.errors import UsageError
from schemas.config import Config, fill, parse_config
from schemas.manifest import PARTS, Dataset
from trainer.input.batches import training_batches
from trainer.input.source import make_source
from trainer.input.whole_tracks import WholeTracks, whole_tracks

_WINDOWS_A_BATCH = 32  # of whole tracks


def datasets(
    shards: Sequence[str],
    spec: Dataset,
    split: Sequence[float] = (1, 1, 0),
    which: Sequence[bool] = (True, True, True),
    *,
    config: Config | None = None,
    with_tags: list[str] | None = None,
    without_tags: list[str] | None = None,
    merge_tags: list[list[str]] | None = None,
    with_tids: list[str] | str | None = None,
    without_tids: list[str] | str | None = None,
) -> tuple[tf.data.Dataset | WholeTracks | None, ...]:
    """Datasets as :func:`trainer.loop.train` takes them, as urop2019's ``generate_datasets``.

    Parameters
    ----------
    shards : sequence of str
        Paths of TFRecord files, of any parts and data sets that `spec` describes.
    spec : Dataset
        What the records hold, from :func:`schemas.manifest.read_dataset`: format, front
        end and vocabulary (the most frequent tag first).
    split : three numbers
        Shares of the shards for training, validation and test, say (8, 1, 1). The
        shards are taken in the order of their paths; each part with a share gets one
        at least. Tracks of one artist may come into several parts that way: the parts
        that ``beam_pipelines.build`` made keep them together.
    which : three bools
        The parts to return.
    config : Config, optional
        Windows, batches, order, epochs: those of ``model-training``; the defaults
        where there is none.
    with_tags, without_tags, merge_tags, with_tids, without_tids : optional
        In place of what the configuration says: ``with``, ``without`` and ``merge`` of
        its section ``tags`` and those keys of ``model-training``; ``top`` counts only
        where `with_tags` is not given. :func:`trainer.loop.train` takes over what was
        chosen here, and its job writes it down. Tracks that have none of the tags stay, as
        examples of what has none (urop2019 left them out).

    Returns
    -------
    tuple
        For each part asked for, or None if its share is 0: for training a
        tf.data.Dataset of (windows, tags), see :func:`trainer.input.batches.training_batches`;
        for validation and test :class:`trainer.input.whole_tracks.WholeTracks`.

    Raises
    ------
    UsageError
        If there are fewer shards than parts, one is missing, `which` is no three bools,
        or a tag, an id or the window does not fit.
    RunError
        If a shard is damaged.
    """
    if len(which) != len(PARTS):
        raise UsageError(f"which is {tuple(which)}: allowed are {len(PARTS)} bools")
    tags = {"with": with_tags, "without": without_tags, "merge": merge_tags}
    tids = {"with_tids": with_tids, "without_tids": without_tids}
    config = _override(fill(config or Config(), spec), {"tags": tags, "model-training": tids})
    result: list[tf.data.Dataset | WholeTracks | None] = []
    for part, files, wanted in zip(PARTS, split_shards(shards, split), which, strict=True):
        if not wanted:
            continue
        source = make_source(spec, files, config) if files else None
        if source is None:
            result.append(None)
            continue
        made: tf.data.Dataset | WholeTracks
        if part == "train":
            made = training_batches(source, config)
        else:
            made = whole_tracks(source, _WINDOWS_A_BATCH)
        made.made_with = config  # for trainer.loop.train
        result.append(made)
    return tuple(result)


def _override(config: Config, given: dict[str, dict[str, Any]]) -> Config:
    values = config.to_json()
    if given["tags"]["with"] is not None:
        values["tags"]["top"] = None
    for section, settings in given.items():
        values[section] |= {key: value for key, value in settings.items() if value is not None}
    return parse_config(values, "datasets")


def split_shards(shards: Sequence[str], split: Sequence[float]) -> list[list[str]]:
    """Deal shards to parts in the order of their paths.

    Parameters
    ----------
    shards : sequence of str
    split : sequence of float
        Shares of the parts, 0 or more.

    Returns
    -------
    list of list of str
        For each part its shards, neighbours in order: one at least if its share is more
        than 0, and as near to the share as whole shards come.

    Raises
    ------
    UsageError
        If the shares are no such numbers, a shard is named twice or there are too few.
    """
    parts = [k for k, share in enumerate(split) if share > 0]
    if len(split) != len(PARTS) or min(split) < 0 or not parts:
        raise UsageError(
            f"split is {tuple(split)}: allowed are {len(PARTS)} numbers from 0, not all of them 0"
        )
    names = sorted(set(shards))
    if len(names) < len(shards):
        raise UsageError("shards name a file twice: allowed is each once")
    if len(names) < len(parts):
        raise UsageError(
            f"split is {tuple(split)}: allowed with {len(names)} shards are as many parts at most"
        )
    numbers = [int(share > 0) for share in split]
    for _ in range(len(names) - len(parts)):
        lacks = [
            share / sum(split) * len(names) - n for share, n in zip(split, numbers, strict=True)
        ]
        numbers[lacks.index(max(lacks))] += 1
    ends = [sum(numbers[: k + 1]) for k in range(len(split))]
    return [names[end - number : end] for end, number in zip(ends, numbers, strict=True)]

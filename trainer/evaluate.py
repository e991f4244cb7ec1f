"""``python -m trainer.evaluate``: how well a model tags the whole tracks of a part."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence

import numpy as np

from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.command import ArgumentParser, import_tensorflow, run_command
from schemas.config import parse_config
from schemas.errors import UsageError
from schemas.manifest import PARTS, Dataset, read_dataset
from schemas.saved_model import ModelInfo, find_saved_model, read_model_info
from trainer.job import write_text
from trainer.metrics import report, table

_SECONDS_A_LINE = 60


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.evaluate",
        description="Score whole tracks, windows averaged, and compare with their tags.",
    )
    options.add_argument(
        "--dataset", required=True, help="directory that beam_pipelines.build wrote"
    )
    options.add_argument(
        "--model", required=True, help="a job directory, its export/ or a SavedModel in it"
    )
    options.add_argument("--split", choices=PARTS, default="test", help="the part to score")
    options.add_argument("--output", metavar="FILE.json", help="also write the figures there")
    options.add_argument(
        "--scores",
        metavar="FILE",
        help="also write each track's scores there: track_id and a column a tag; "
        "parquet if the name ends so, else CSV",
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Score, print the table, write what was asked for."""
    options = parser().parse_args(argv)
    dataset = read_dataset(options.dataset)
    model = find_saved_model(options.model)
    info = read_model_info(model)
    columns = label_columns(info, dataset)
    _check(info, dataset, options.split)
    for path in (options.output, options.scores):
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise UsageError(f"{path}: there is no such directory")
    tids, truth, scores = score_tracks(dataset, options.split, model, info, columns)
    known = sorted(set(columns) - {-1})
    tags = [info.labels[k] for k in known]
    result = report(truth[:, known], scores[:, known], tags)
    print(f"{options.split} part of {options.dataset} by {model}")
    print(table(result))
    if len(tags) < len(info.labels):
        print(f"{len(info.labels) - len(tags)} of the model's tags are not in the data set")
    if options.output:
        facts = {"dataset": options.dataset, "split": options.split, "model": model}
        write_text(options.output, json.dumps({**facts, **result}, indent=2) + "\n")
    if options.scores:
        _write_scores(options.scores, tids, scores, info.labels)
    return 0


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


def _check(info: ModelInfo, dataset: Dataset, part: str) -> None:
    if not dataset.records(part):
        raise UsageError(f"{dataset.path} has no {part} tracks")
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
    dataset: Dataset, part: str, model: str, info: ModelInfo, columns: list[int]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Scores of the whole tracks of a part by an exported model.

    Parameters
    ----------
    dataset : Dataset
    part : {'train', 'validation', 'test'}
    model : str
        Directory of the SavedModel.
    info : ModelInfo
        What it says of itself.
    columns : list of int
        See :func:`label_columns`.

    Returns
    -------
    tids : list of str
    truth : np.ndarray, float32 [tracks, labels]
        0 and 1.
    scores : np.ndarray, float32 [tracks, labels]
        The mean over a track's windows, as the service gives it.

    Raises
    ------
    RunError
        If a shard cannot be read.
    """
    tf = import_tensorflow()
    from trainer.export import load_tagger
    from trainer.input import Source, damage, read_tracks, to_float

    tagger = load_tagger(model)
    score = tagger.features if dataset.audio_format == LOG_MEL else tagger.serve
    source = Source(
        shards=dataset.shards(part),
        records=dataset.records(part),
        audio_format=dataset.audio_format,
        spec=dataset.spec,
        frontend=dataset.audio_format,
        window=1,  # the model pads short clips itself
        names=info.labels,
        columns=columns,
    )
    tids, truth, scores = [], [], []
    said = time.monotonic()
    try:
        for tid, clip, tags in read_tracks(source).prefetch(tf.data.AUTOTUNE):
            tids.append(tid.numpy().decode())
            truth.append(tags.numpy() > 0)
            scores.append(score(to_float(clip)[None])["scores"][0].numpy())
            if time.monotonic() - said > _SECONDS_A_LINE:
                said = time.monotonic()
                print(f"scored {len(tids):,} of {source.records:,} tracks", file=sys.stderr)
    except tf.errors.OpError as error:
        raise damage(source.shards, error) from error
    return tids, np.array(truth, np.float32), np.array(scores)


def _write_scores(path: str, tids: list[str], scores: np.ndarray, labels: list[str]) -> None:
    import pandas as pd

    frame = pd.DataFrame(scores, pd.Index(tids, name="track_id"), labels).reset_index()
    partial = f"{path}.partial"
    if path.endswith(".parquet"):
        frame.to_parquet(partial, index=False)
    else:
        frame.to_csv(partial, index=False, lineterminator="\n")
    os.replace(partial, path)


if __name__ == "__main__":
    run_command(main)

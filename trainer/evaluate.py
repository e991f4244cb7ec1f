"""``python -m trainer.evaluate``: how well a model tags the whole tracks of a part."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import UsageError
from schemas.common.files import replacing, write_text
from schemas.manifest import PARTS, Dataset, being_read, read_dataset
from schemas.split_file import parse_split
from trainer.evaluation.bootstrap import RESAMPLES
from trainer.evaluation.compare import compare, figures
from trainer.evaluation.decisions import decision_table
from trainer.evaluation.figures import (
    check_file,
    check_place,
    plot_calibration,
    plot_tags,
    save_figure,
)
from trainer.evaluation.metrics import comparison_table, table
from trainer.evaluation.notes import skill_notes
from trainer.evaluation.scoring import Scored, check_fit, find_model, label_columns, score_tracks


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
    options.add_argument(
        "--checkpoint",
        metavar="NAME",
        help="score that checkpoint of the job directory in place of its export: epoch-07",
    )
    options.add_argument("--split", choices=PARTS, default="test", help="the part to score")
    options.add_argument(
        "--split_file",
        metavar="FILE.csv",
        help="a published split, columns track_id and split: its part is scored, wherever in the "
        "data set the tracks are",
    )
    options.add_argument(
        "--compare",
        metavar="MODEL",
        help="also score another model on the same tracks, and how sure the difference is",
    )
    options.add_argument(
        "--resamples",
        metavar="N",
        type=int,
        default=RESAMPLES,
        help="times that the tracks are drawn again for the 95 %% intervals; 0: no intervals",
    )
    options.add_argument("--output", metavar="FILE.json", help="also write the figures there")
    options.add_argument(
        "--plot", metavar="FILE.png", help="also draw each tag's areas over its number of tracks"
    )
    options.add_argument(
        "--calibration",
        metavar="FILE.png",
        help="also draw how often tags are true, by their scores",
    )
    options.add_argument(
        "--scores",
        metavar="FILE",
        help="also write each track's scores there: track_id and a column a tag; "
        "parquet if the name ends so, else CSV",
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Score, print the tables, write what was asked for."""
    options = parser().parse_args(argv)
    if options.resamples < 0:
        raise UsageError(f"--resamples is {options.resamples}: allowed is a number from 0")
    for path in (options.plot, options.calibration):
        if path:
            check_place(path)
    for path in (options.output, options.scores):
        if path:
            check_file(path)
    with being_read(options.dataset):
        return _evaluate(options)


def _evaluate(options: argparse.Namespace) -> int:
    dataset = read_dataset(options.dataset)
    models = [find_model(options.model, options.checkpoint)]
    if options.compare:
        models.append(find_model(options.compare))
    parts, chosen = _choose(dataset, options.split, options.split_file)
    for model in models:  # before the first of them takes its time
        check_fit(model.info, dataset)
        label_columns(model.info, dataset)
    scored, *others = (score_tracks(dataset, parts, model, chosen) for model in models)
    if not scored.tids:
        raise UsageError(f"{options.split_file} names no {options.split} track of {dataset.path}")
    result = {"dataset": options.dataset, "split": options.split, "model": models[0].path}
    print(f"{options.split} part of {options.dataset} by {models[0].path}")
    if chosen is not None:
        result |= _say_split(options.split_file, chosen, scored)
    result |= figures(scored, options.resamples)
    print(table(result))
    print(f"\n{decision_table(result['decisions'])}")
    if models[0].info.thresholds is None:
        print("the model has no thresholds of its own; trainer.export --dataset learns them")
    if result["calibration"]["ece"] is not None:
        print(f"expected calibration error {result['calibration']['ece']:.4f}")
    if len(scored.known) < len(scored.labels):
        missing = len(scored.labels) - len(scored.known)
        print(f"{missing} of the model's tags are not in the data set")
    for note in skill_notes(options.split, *scored.columns(scored.known)):
        print(f"note: {note}")
    for other, model in zip(others, models[1:], strict=True):
        result["comparison"] = {
            "model": model.path,
            **compare(scored, other, options.resamples),
        }
        print(f"\ncompared with {model.path}\n{comparison_table(result['comparison'])}")
    _write(options, result, scored)
    return 0


def _choose(
    dataset: Dataset, part: str, split_file: str | None
) -> tuple[Sequence[str], set[str] | None]:
    """The parts to read, and of them the tracks that a split file puts into `part`."""
    if split_file:
        try:
            with open(split_file, encoding="utf8") as stream:
                split = parse_split(stream.read(), split_file)
        except OSError as error:
            raise UsageError(f"{split_file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{split_file} is no text in UTF-8") from error
        return PARTS, {track for track, home in split.items() if home == part}
    if not dataset.records(part):
        raise UsageError(f"{dataset.path} has no {part} tracks")
    return [part], None


def _say_split(file: str, chosen: set[str], scored: Scored) -> dict[str, Any]:
    found = {part: scored.parts.count(part) for part in PARTS}
    print(
        f"{len(scored.tids):,} of the {len(chosen):,} tracks of {file} are in the data set, "
        f"{found['train']:,} of them in its train part"
    )
    return {"split_file": {"file": file, "tracks": len(chosen), "found": found}}


def _write(options: argparse.Namespace, result: dict[str, Any], scored: Scored) -> None:
    if options.output:
        write_text(options.output, json.dumps(result, indent=2) + "\n")
    if options.scores:
        _write_scores(options.scores, scored.tids, scored.scores, scored.labels)
    if options.plot:
        save_figure(plot_tags(result), options.plot)
    if options.calibration:
        save_figure(plot_calibration(result["calibration"]), options.calibration)


def _write_scores(path: str, tids: list[str], scores: np.ndarray, labels: list[str]) -> None:
    import pandas as pd

    frame = pd.DataFrame(scores, pd.Index(tids, name="track_id"), labels).reset_index()
    with replacing(path) as stream:
        if path.endswith(".parquet"):
            frame.to_parquet(stream, index=False)
        else:
            frame.to_csv(stream, index=False, lineterminator="\n")


if __name__ == "__main__":
    run_command(main)

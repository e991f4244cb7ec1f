"""``python -m trainer.export``: write a tagger as a SavedModel that stands alone, and for LiteRT.

From Python also the way back: :func:`load_tagger`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from schemas.common.arguments import share
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import UsageError
from schemas.manifest import read_dataset
from schemas.saved_model import find_saved_model, lite_path, read_model_info
from trainer.evaluation.scoring import FoundModel, find_model, score_tracks
from trainer.evaluation.thresholds import learn_thresholds
from trainer.job.directory import BEST
from trainer.tagger.litert import check_lite_place, export_lite
from trainer.tagger.saved_model import check_place, export_saved_model
from trainer.training.fine_tune import inherited_licence


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
        "--dataset",
        metavar="DIR",
        help="learn the thresholds of the tags on its validation tracks; by default those of the "
        "job's own export go with the checkpoint best",
    )
    options.add_argument(
        "--wanted_precision",
        type=share,
        help="with --dataset: thresholds that decide so precisely, in place of the best F1",
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
    if options.wanted_precision is not None and not options.dataset:
        raise UsageError("--wanted_precision is for thresholds that --dataset learns: name one")
    check_place(options.output)
    check_lite_place(lite_path(options.output))
    model = find_model(options.job_dir, options.checkpoint)
    info, thresholds = model.info, None
    if options.dataset:
        thresholds = _learn(model, options.dataset, options.wanted_precision)
    elif options.checkpoint == BEST:
        thresholds = _inherited(options.job_dir)
    licence = options.licence
    if licence is None:
        licence = inherited_licence(options.job_dir)
    tagger = model.load()
    tagger.info = dataclasses.replace(info, licence=licence, thresholds=thresholds)
    export_saved_model(tagger, options.output)
    lite = export_lite(options.output)
    print(f"exported {model.path} to {options.output} and {lite}")
    return 0


def _learn(model: FoundModel, path: str, precision: float | None) -> list[float]:
    dataset = read_dataset(path)
    if not dataset.records("validation"):
        raise UsageError(f"{path} has no validation tracks: no thresholds can be learnt on it")
    scored = score_tracks(dataset, ["validation"], model)
    return learn_thresholds(scored.truth, scored.scores, precision)


def _inherited(job_dir: str) -> list[float] | None:
    """The thresholds of a job's own export, if it is there and has some."""
    try:
        return read_model_info(find_saved_model(job_dir)).thresholds
    except UsageError:
        return None


if __name__ == "__main__":
    run_command(main)

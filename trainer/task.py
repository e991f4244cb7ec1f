"""``python -m trainer.task``: train a tagger on a data set and export it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from schemas.audio_spec import AUDIO_FORMATS
from schemas.command import ArgumentParser, import_tensorflow, run_command
from schemas.config import Config, describe, fill, read_config, select_tags
from schemas.errors import UsageError
from schemas.manifest import Dataset, read_dataset
from trainer.job import EXPORT, clear_job, job_parts

_WINDOWS_A_BATCH = 32  # of the validation tracks
_TRACKS_FOR_RATES = 5000  # more would not change where the scores start


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults shown, the list of keys left as it is."""


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.task",
        description="Train a tagger on random windows of the training tracks, on all GPUs or the\n"
        "CPU. JOB_DIR gets config.json, epochs.csv, metrics.json, TensorBoard logs/, checkpoints/\n"
        "and the SavedModel of the best epoch in export/1.",
        epilog=f"keys for --config and --set, with their defaults:\n{describe()}",
        formatter_class=_Help,
    )
    options.add_argument(
        "--dataset", required=True, help="directory that beam_pipelines.build wrote"
    )
    options.add_argument("--job_dir", required=True, help="where the training leaves its results")
    options.add_argument("--config", help="a JSON file of settings; see the keys below")
    options.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="settings that win over the file: section.key, or the key alone if only one has it",
    )
    options.add_argument("--epochs", type=int, help="as --set model-training.epochs")
    options.add_argument(
        "--frontend",
        choices=AUDIO_FORMATS,
        help="as --set model.frontend; by default what the data set holds",
    )
    options.add_argument(
        "--overwrite", action="store_true", help="replace the job that JOB_DIR already holds"
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Train, write the job directory and export."""
    options = parser().parse_args(argv)
    settings = list(options.set)
    if options.epochs is not None:
        settings.append(f"model-training.epochs={options.epochs}")
    if options.frontend:
        settings.append(f"model.frontend={options.frontend}")
    config = read_config(options.config, settings)
    dataset = read_dataset(options.dataset)
    config = fill(config, dataset)
    select_tags(config.tags, dataset.vocabulary)
    if not dataset.records("train"):
        raise UsageError(f"{options.dataset} has no training tracks")
    _check_job_dir(options.job_dir, options.overwrite)
    run(config, dataset, options.job_dir)
    return 0


def _check_job_dir(job_dir: str, overwrite: bool) -> None:
    if os.path.lexists(job_dir) and not os.path.isdir(job_dir):
        raise UsageError(f"{job_dir} is a file: choose a directory")
    if job_parts(job_dir) and not overwrite:
        raise UsageError(f"{job_dir} already holds a job: choose another, or --overwrite it")


def run(config: Config, dataset: Dataset, job_dir: str) -> None:
    """Train under a filled-in configuration and export the best epoch's model.

    Parameters
    ----------
    config : Config
    dataset : Dataset
    job_dir : str
        A job that is there already is replaced.

    Raises
    ------
    UsageError
        If the model, the optimizer or the window does not fit; nothing is written then.
    RunError
        If a shard cannot be read or the training diverges.
    """
    tf = import_tensorflow()
    from trainer.export import export_saved_model
    from trainer.input import damage, part_source, read_tags, training_batches, whole_tracks
    from trainer.loop import fill_options, make_model, train
    from trainer.tagger import Tagger

    config = fill_options(config)
    source = part_source(dataset, "train", config)
    validation = None
    if dataset.records("validation"):
        validation = part_source(dataset, "validation", config)
    make_model(config, source.window, len(source.names))  # what does not fit is said here
    strategy = tf.distribute.MirroredStrategy(tf.config.list_logical_devices("GPU") or ["/cpu:0"])
    clear_job(job_dir)
    try:
        tracks = validation and whole_tracks(validation, _WINDOWS_A_BATCH)
        _, tags = read_tags(source, _TRACKS_FOR_RATES)
        batches = training_batches(source, config)
        model = train(batches, tracks, config, strategy, job_dir, tags.mean(axis=0))
    except tf.errors.OpError as error:
        shards = [*source.shards, *dataset.shards("validation")]
        raise damage(shards, error) from error
    tagger = Tagger(
        model, source.spec, source.frontend, source.window, source.names, config.to_json()
    )
    export = os.path.join(job_dir, EXPORT, "1")
    export_saved_model(tagger, export)
    print(f"exported to {export}")


if __name__ == "__main__":
    run_command(main)

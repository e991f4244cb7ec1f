"""``python -m trainer.task``: train a tagger on a data set and export it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from schemas.common.command import ArgumentParser, import_tensorflow, run_command
from schemas.common.errors import UsageError
from schemas.config import OPEN_SCHEDULES, Config, describe
from schemas.manifest import Dataset, being_read
from trainer.evaluation.notes import skill_notes, tag_notes, window_notes
from trainer.evaluation.thresholds import learn_thresholds
from trainer.job.directory import (
    CONFIG,
    EXPORT,
    check_same,
    clear_job,
    has_ended,
    job_parts,
    lock_job,
    lost_file,
)
from trainer.tagger.litert import export_lite
from trainer.training.callbacks import KERAS_CALLBACKS, find_callback
from trainer.training.fine_tune import (
    inherited_licence,
    read_initial,
    same_outputs,
    take_over,
)
from trainer.training.options import RawHelp, add_config_options, read_options

if TYPE_CHECKING:  # --help does not wait for TensorFlow
    import keras
    import tensorflow as tf

    from trainer.input.source import Source
    from trainer.input.whole_tracks import WholeTracks

_WINDOWS_A_BATCH = 32  # of the validation tracks
_TRACKS_TO_LOOK_AT = 5000  # more would not change where the scores start


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.task",
        description="Train a tagger on random windows of the training tracks, on all GPUs or the\n"
        "CPU. JOB_DIR gets config.json, epochs.csv, metrics.json, TensorBoard logs/, checkpoints/\n"
        "and the best epoch's SavedModel in export/1, for LiteRT in export/1.tflite.",
        epilog=f"keys for --config and --set, with their defaults:\n{describe()}",
        formatter_class=RawHelp,
    )
    add_config_options(options)
    options.add_argument("--job_dir", required=True, help="where the training leaves its results")
    options.add_argument("--epochs", type=int, help="as --set model-training.epochs")
    _add_run_options(options)
    return options


def _add_run_options(options: ArgumentParser) -> None:
    """How the training runs, whatever it learns."""
    options.add_argument(
        "--loop",
        choices=("fit", "custom"),
        default="fit",
        help="model.fit, or the gradient tape of trainer/training/custom_loop.py; the results are "
        "the same",
    )
    options.add_argument(
        "--callback",
        metavar="MODULE:NAME",
        action="append",
        default=[],
        help="a Keras callback that sees every epoch's figures, or a class or function that gives "
        f"one; several: say it again. Keras' own by their names: {', '.join(KERAS_CALLBACKS)}",
    )
    options.add_argument(
        "--gpus", metavar="0,1", help="train on these GPUs only; by default on all, or the CPU"
    )
    options.add_argument(
        "--resume",
        action="store_true",
        help="go on with the job in JOB_DIR where it was stopped; a new one if there is none. With "
        f"more --epochs also one that has ended, if its schedule is {' or '.join(OPEN_SCHEDULES)}",
    )
    options.add_argument(
        "--overwrite", action="store_true", help="replace the job that JOB_DIR already holds"
    )


def main(argv: Sequence[str]) -> int:
    """Train, write the job directory and export."""
    options = parser().parse_args(argv)
    epochs = [] if options.epochs is None else [f"model-training.epochs={options.epochs}"]
    with being_read(options.dataset):
        config, dataset = read_options(options, *epochs)
        init_from = config.training.init_from
        _check_job_dir(options.job_dir, options.overwrite, options.resume, init_from)
        callbacks = [find_callback(text) for text in options.callback]
        run(config, dataset, options.job_dir, options.loop, options.gpus, options.resume, callbacks)
    return 0


def _check_job_dir(job_dir: str, overwrite: bool, resume: bool, init_from: str | None) -> None:
    if overwrite and resume:
        raise UsageError("--overwrite and --resume: allowed is one of them")
    if init_from and os.path.realpath(init_from) == os.path.realpath(job_dir):
        raise UsageError(f"{job_dir} is also --init_from: choose another directory")
    if os.path.lexists(job_dir) and not os.path.isdir(job_dir):
        raise UsageError(f"{job_dir} is a file: choose a directory")
    if job_parts(job_dir) and not overwrite and not resume:
        raise UsageError(
            f"{job_dir} already holds a job: choose another, --resume it or --overwrite it"
        )
    lost = lost_file(job_dir)
    if resume and lost and job_parts(job_dir):
        raise UsageError(
            f"{lost} is missing or empty: --resume cannot go on without it, choose another "
            "directory or start again with --overwrite"
        )


def run(
    config: Config,
    dataset: Dataset,
    job_dir: str,
    loop: str = "fit",
    gpus: str | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train under a filled-in configuration and export the best epoch's model.

    Parameters
    ----------
    config : Config
    dataset : Dataset
    job_dir : str
        A job that is there already is replaced, or goes on.
    loop : {'fit', 'custom'}
        See :func:`trainer.training.run.run_training`.
    gpus : str, optional
        See :func:`trainer.training.devices.make_strategy`.
    resume : bool
        Go on with the job where it was stopped, if there is one.
    callbacks : sequence of keras.callbacks.Callback
        See :func:`trainer.loop.train`.

    Raises
    ------
    UsageError
        If the model, the optimizer, the window or the job do not fit; nothing is
        written then.
    RunError
        If a shard cannot be read or the training diverges.
    """
    tf = import_tensorflow()
    from trainer.input.records import shard_error
    from trainer.input.source import part_source
    from trainer.input.whole_tracks import whole_tracks
    from trainer.training.assemble import fill_options, make_model
    from trainer.training.devices import make_strategy
    from trainer.training.run import best_model

    strategy = make_strategy(gpus)
    config = fill_options(config)
    source = part_source(dataset, "train", config)
    validation = None
    if dataset.records("validation"):
        validation = part_source(dataset, "validation", config)
    initial = read_initial(config)
    model = make_model(config, source.window, len(source.names))  # what does not fit is said here
    outputs = same_outputs(config)
    if initial is not None:
        take_over(model, initial, outputs)
    if outputs is not None:
        print(f"the tags are those of {config.training.init_from}: its output layer is kept")
    resume = resume and os.path.isfile(os.path.join(job_dir, CONFIG))
    if resume:
        check_same(config, job_dir)
    try:
        with lock_job(job_dir):
            tracks = None if validation is None else whole_tracks(validation, _WINDOWS_A_BATCH)
            if resume and has_ended(config, job_dir):
                print("the training has ended already")
                model = best_model(config, source.window, len(source.names), job_dir)
            else:
                if not resume:
                    clear_job(job_dir)
                how = {
                    "initial": initial,
                    "loop": loop,
                    "resume": resume,
                    "callbacks": callbacks,
                }
                model = _train(config, source, tracks, strategy, job_dir, how)
            _export(model, config, tracks, job_dir)
    except tf.errors.OpError as error:
        shards = source.shards + (validation.shards if validation else [])
        raise shard_error(shards, error) from error


def _train(
    config: Config,
    source: Source,
    tracks: WholeTracks | None,
    strategy: tf.distribute.Strategy,
    job_dir: str,
    options: dict[str, Any],
) -> keras.Model:
    """Say what the data set lacks, and train; the best model."""
    from trainer.input.batches import training_batches
    from trainer.input.records import needed_length, survey
    from trainer.training.run import run_training

    tags, lengths = survey(source, _TRACKS_TO_LOOK_AT)
    notes = tag_notes("train", source.names, tags, source.records)
    notes += window_notes(config.training.window_seconds, lengths, needed_length(source))
    if tracks is None:
        notes.append(
            "there are no validation tracks: the last epoch counts as the best, and no thresholds "
            "are learnt"
        )
    else:
        notes += tag_notes("validation", source.names, tracks.truth, len(tracks.tids))
    _say(notes)
    return run_training(
        lambda step: training_batches(source, config, step),
        tracks,
        config,
        strategy,
        job_dir,
        rates=tags.mean(axis=0),
        **options,
    )


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"note: {note}", flush=True)


def _export(model: keras.Model, config: Config, tracks: WholeTracks | None, job_dir: str) -> None:
    """Write a job's model as SavedModel and for LiteRT; say if it has learnt nothing."""
    from trainer.evaluation.validation import track_scores
    from trainer.tagger.clip_tagger import config_tagger
    from trainer.tagger.saved_model import export_saved_model

    thresholds = None
    if tracks is not None:
        scores = track_scores(model, tracks)
        _say(skill_notes("validation", tracks.truth, scores))
        thresholds = learn_thresholds(tracks.truth, scores, config.training.wanted_precision)
    licence = inherited_licence(config.training.init_from)
    tagger = config_tagger(model, config, licence, thresholds)
    export = os.path.join(job_dir, EXPORT, "1")
    export_saved_model(tagger, export)
    print(f"exported to {export} and {export_lite(export)}")


if __name__ == "__main__":
    run_command(main)

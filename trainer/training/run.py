"""A training from beginning to end, by either of the two loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from schemas.common.errors import UsageError
from schemas.config import Config
from schemas.tag_choice import select_tags
from trainer.descent.losses import make_loss
from trainer.descent.optimizers import make_optimizer
from trainer.descent.tag_weights import tag_weights
from trainer.input.whole_tracks import WholeTracks
from trainer.job.directory import BEST, Job, checkpoint_file
from trainer.training.assemble import make_model, start_at_rates
from trainer.training.custom_loop import custom_loop
from trainer.training.fine_tune import same_outputs, take_over
from trainer.training.fit_loop import fit_loop
from trainer.training.monitor import Monitor

LOOPS = {"fit": fit_loop, "custom": custom_loop}


def run_training(
    batches: Callable[[int], tf.data.Dataset],
    tracks: WholeTracks | None,
    config: Config,
    strategy: tf.distribute.Strategy,
    job_dir: str,
    *,
    rates: np.ndarray | None = None,
    initial: keras.Model | None = None,
    loop: str = "fit",
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Train a model and write down every epoch in the job directory.

    Parameters
    ----------
    batches : callable
        Takes a number of steps and gives the batches of windows and tags after them, of all
        epochs; see :func:`trainer.input.batches.training_batches`.
    tracks : WholeTracks, optional
        The validation tracks, scored after every epoch.
    config, strategy, job_dir, rates, initial, loop, resume, callbacks
        As for :func:`trainer.loop.train`, where also the result and the errors stand.
    """
    training = config.training
    windows, tags = batches(0).element_spec
    steps = _steps(batches(0), config)
    replicas = strategy.num_replicas_in_sync
    names = _check(config, steps, windows.shape[0], tags.shape[1], replicas, tracks)
    weights = tag_weights(training.tag_weights, names, config.tfrecords.vocabulary, rates)
    keras.utils.set_random_seed(training.seed)
    with strategy.scope():
        model = compiled_model(
            config, windows.shape[1], tags.shape[1], steps, replicas, rates, initial, weights
        )
    job = Job(job_dir, config)
    monitor = Monitor(model, tracks, training, steps, windows.shape[0], job, callbacks, names)
    if resume and job.has_state:
        monitor.resume()

    def distributed(step: int) -> tf.distribute.DistributedDataset:
        return strategy.experimental_distribute_dataset(batches(step))

    with monitor.signals():
        LOOPS[loop](model, distributed, strategy, monitor)
        monitor.end()
    job.finish()
    print(f"best epoch: {job.best_epoch}")
    return best_model(config, windows.shape[1], tags.shape[1], job_dir)


def compiled_model(
    config: Config,
    window: int,
    n_tags: int,
    steps: int,
    replicas: int,
    rates: np.ndarray | None,
    initial: keras.Model | None,
    weights: np.ndarray | None,
) -> keras.Model:
    """The model as a training starts, with its optimizer's variables.

    Parameters
    ----------
    config : Config
    window, n_tags, replicas : int
        As for :func:`trainer.training.assemble.make_model`.
    steps : int
        Of an epoch.
    rates, initial
        As for :func:`trainer.loop.train`.
    weights : np.ndarray, float [tags], optional
        See :func:`trainer.descent.tag_weights.tag_weights`.
    """
    training = config.training
    model = make_model(config, window, n_tags, replicas, training.precision)
    if rates is not None:
        start_at_rates(model, rates)
    if initial is not None:
        take_over(model, initial, same_outputs(config))
    model.compile(
        make_optimizer(training, steps * training.epochs),
        make_loss(training.loss, weights),
        jit_compile=training.jit_compile,
        steps_per_execution=min(training.steps_per_execution, steps),
        auto_scale_loss=False,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def best_model(config: Config, window: int, n_tags: int, job_dir: str) -> keras.Model:
    """The model of a job's best epoch, in float32 and outside of any strategy.

    Parameters
    ----------
    config : Config
    window, n_tags : int
        As for :func:`trainer.training.assemble.make_model`.
    job_dir : str
        Of a training that has ended.
    """
    model = make_model(config, window, n_tags)
    model.load_weights(checkpoint_file(job_dir, BEST))
    return model


def _steps(batches: tf.data.Dataset, config: Config) -> int:
    """Steps of an epoch, from the number of all batches."""
    total, epochs = int(batches.cardinality()), config.training.epochs
    if total < epochs or total % epochs:
        raise UsageError(
            f"the training dataset has {total} batches for {epochs} epochs: allowed is a known "
            "number, the same for each epoch"
        )
    return total // epochs


def _check(
    config: Config,
    steps: int,
    batch_size: int,
    n_tags: int,
    replicas: int,
    tracks: WholeTracks | None,
) -> list[str]:
    """The tags that are learnt, if all fits."""
    training = config.training
    names, _ = select_tags(config.tags, config.tfrecords.vocabulary)
    if len(names) != n_tags:
        raise UsageError(
            f"the training dataset has {n_tags} tags, the configuration's section tags chooses "
            f"{len(names)}: allowed is the same choice in both, for the job is known by it"
        )
    if batch_size % replicas:
        raise UsageError(
            f"model-training.batch_size is {batch_size}: allowed is a multiple of the "
            f"{replicas} devices"
        )
    if steps % min(training.steps_per_execution, steps):
        raise UsageError(
            f"model-training.steps_per_execution is {training.steps_per_execution}: allowed is a "
            f"number that divides the {steps} steps of an epoch"
        )
    if tracks is None and (training.early_stopping or training.schedule == "plateau"):
        raise UsageError(
            "model-training.early_stopping and the schedule plateau watch the validation "
            "tracks: allowed are data sets that have some"
        )
    return names

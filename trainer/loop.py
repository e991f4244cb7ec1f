"""Training from Python, on data sets of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from schemas.common.errors import UsageError
from schemas.config import Config
from trainer.input.whole_tracks import WholeTracks, window_tracks
from trainer.training.run import run_training


def train(
    train_dataset: tf.data.Dataset | Callable[[int], tf.data.Dataset],
    validation_dataset: WholeTracks | tf.data.Dataset | None,
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
    train_dataset : tf.data.Dataset or callable
        Batches of windows and tags for all epochs, see
        :func:`trainer.input.batches.training_batches`; or a function that takes a number of
        steps and gives the batches after them, where that is quicker than to skip them.
    validation_dataset : WholeTracks or tf.data.Dataset, optional
        The validation tracks, scored after every epoch; of a dataset of windows and tags
        each window counts as a track.
    config : Config
        The resolved configuration. Of datasets of :func:`trainer.datasets.datasets` the tags,
        tracks and facts count that they were made with; they need not be said again.
    strategy : tf.distribute.Strategy
        Where the replicas live.
    job_dir : str
        Gets what :class:`trainer.job.directory.Job` writes.
    rates : np.ndarray [targets], optional
        Where the scores start, see :func:`trainer.training.assemble.start_at_rates`.
    initial : keras.Model, optional
        Whose weights the training starts from, see :func:`trainer.training.fine_tune.take_over`.
    loop : {'fit', 'custom'}
        ``model.fit`` or a gradient tape.
    resume : bool
        Go on from the state in `job_dir`, if there is one.
    callbacks : sequence of keras.callbacks.Callback
        Called by either loop as ``model.fit`` does it. At the end of an epoch their logs
        have what ``epochs.csv`` has of it (``loss``, ``val_loss``, ``val_macro_pr_auc`` …)
        and the epoch is written down already; ``model.stop_training`` ends the training,
        in the middle of an epoch too. What a callback remembers is not in the state: after
        a resume it begins anew.

    Returns
    -------
    keras.Model
        The model of the best epoch, in float32 and outside of the strategy.

    Raises
    ------
    UsageError
        If the configuration does not fit the datasets or the strategy; nothing is
        written then.
    RunError
        If the training diverges, or the state does not fit.
    """
    if isinstance(train_dataset, tf.distribute.DistributedDataset):
        raise UsageError(
            "the training dataset is distributed: allowed is what was distributed, for train "
            "does that itself"
        )
    batches = train_dataset if callable(train_dataset) else train_dataset.skip
    tracks = validation_dataset
    for made in (tracks, train_dataset):
        config = _as_made(config, getattr(made, "made_with", None))
    if isinstance(tracks, tf.data.Dataset):
        tracks = window_tracks(tracks)
    return run_training(
        batches,
        tracks,
        config,
        strategy,
        job_dir,
        rates=rates,
        initial=initial,
        loop=loop,
        resume=resume,
        callbacks=callbacks,
    )


def _as_made(config: Config, made: Config | None) -> Config:
    """The configuration with what a dataset was made with."""
    if made is None:
        return config
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, frontend=made.model.frontend),
        training=dataclasses.replace(
            config.training,
            with_tids=made.training.with_tids,
            without_tids=made.training.without_tids,
        ),
        tags=made.tags,
        tfrecords=made.tfrecords,
    )

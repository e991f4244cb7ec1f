"""A data set of tones and trainings on it."""

from __future__ import annotations

import os
import signal
import time

import keras
import numpy as np
import tensorflow as tf

from schemas.config import fill, read_config
from schemas.manifest import read_dataset
from trainer.input.batches import training_batches
from trainer.input.records import read_tags
from trainer.input.source import part_source
from trainer.input.whole_tracks import whole_tracks
from trainer.loop import train
from trainer.models.layers import tag_scores
from trainer.training.assemble import fill_options
from trainer.training.devices import make_strategy

SETTINGS = ["window_seconds=1", "n_filters=1", "n_dense=8", "batch_size=8", "learning_rate=0.003"]
STEPS = 5  # an epoch of forty tracks
UNEQUAL = ("examples_per_second", "input_wait")
OWN = ["name=own", "n_filters=null", "n_dense=null", "dropout=null"]


def train_tones(
    data,
    job_dir,
    *settings,
    loop="fit",
    resume=False,
    at=None,
    delay=0.0,
    initial=None,
    callbacks=(),
):
    """Train a tiny model; Ctrl-C is pressed when the batch of step `at` is made."""
    dataset = read_dataset(data)
    config = fill_options(fill(read_config(None, [*SETTINGS, "epochs=3", *settings]), dataset))
    source = part_source(dataset, "train", config)

    def watch(number, windows):
        time.sleep(delay)
        if number == at:
            os.kill(os.getpid(), signal.SIGINT)
        return windows

    def batches(step):
        def watched(number, batch):
            windows = tf.numpy_function(watch, [number + step, batch[0]], tf.float32)
            return tf.ensure_shape(windows, batch[0].shape), batch[1]

        found = training_batches(source, config, step)
        counted = tf.data.experimental.assert_cardinality(found.cardinality())
        return found.enumerate().map(watched).apply(counted)

    tracks = whole_tracks(part_source(dataset, "validation", config), 4)
    rates = read_tags(source)[1].mean(axis=0)
    model = train(
        batches, tracks, config, make_strategy(), str(job_dir),
        rates=rates, initial=initial, loop=loop, resume=resume, callbacks=callbacks,
    )  # fmt: skip
    return curve(job_dir), [weight.numpy() for weight in model.weights]


def curve(job_dir):
    """Loss, validation and rate of each epoch."""
    lines = (job_dir / "epochs.csv").read_text().splitlines()
    wanted = [k for k, key in enumerate(lines[0].split(",")) if key not in UNEQUAL]
    return np.array([[float(row.split(",")[k]) for k in wanted] for row in lines[1:]])


def own(inputs, n_tags):
    """A model of a user's: its decibels overflow half precision, its weights are kept small."""
    x = keras.layers.GlobalAveragePooling1D()(inputs)
    x = keras.layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.1), name="embedding")(x)
    return tag_scores(x, n_tags, "he_normal")

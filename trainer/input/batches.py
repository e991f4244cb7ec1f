"""From the shards of a data set to the windows that a model sees.

The order of the tracks and the place of every training window are functions of the
seed, the epoch and the position in it: nothing has to be saved to go on where a run
was stopped, and two runs with the same seed see the same windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from schemas.audio_spec import WAVEFORM
from schemas.config import CENTRED, Config, Training
from trainer.input.records import (
    decode_clip,
    parse_record,
    read_tags,
    read_tracks,
    record_reader,
    stored_cut,
    stored_length,
    to_float,
)
from trainer.input.source import Source


def steps_per_epoch(source: Source, training: Training) -> int:
    """Training steps that see each track once; fewer tracks than a batch make one step.

    A multiple of ``steps_per_execution``, unless there are fewer.
    """
    steps = max(source.records // training.batch_size, 1)
    return steps - steps % min(training.steps_per_execution, steps)


def training_batches(source: Source, config: Config, first_step: int = 0) -> tf.data.Dataset:
    """Shuffled batches of one window a track, for all epochs.

    A clip of exactly one window is taken whole, a shorter one is padded at its end as
    evaluation and service do (see :func:`trainer.input.windows.pad_clips`); where a window
    lies in a longer one, :func:`window_start` says. Windows are drawn before they are
    shuffled, so that the buffer holds windows and not clips. What is left of an epoch
    after its last whole batch is dropped; the next epoch's order leaves out others.

    Parameters
    ----------
    source : Source
    config : Config
        epochs, batch_size, seed, window, shuffle_buffer and shuffle_labels of its training.
    first_step : int
        Begin with this step, counted from 0 over all epochs. The same as ``skip``, but
        epochs before it are not read and windows before it are not decoded.

    Returns
    -------
    tf.data.Dataset of (windows, tags)
        float32 [batch, window] or [batch, window, n_mels] and float32 [batch, targets];
        ``epochs * steps_per_epoch - first_step`` of them.
    """
    training = config.training
    steps = steps_per_epoch(source, training)
    deal = _dealt_tags(source, training.seed) if training.shuffle_labels else None
    kept = read_tracks(source).cache() if source.cached else None
    read = record_reader(source) if kept is None else lambda shards: kept
    start, done = divmod(first_step, steps)

    def epochs(first: int, end: int, done: int = 0) -> tf.data.Dataset:
        return tf.data.Dataset.range(first, end).flat_map(
            lambda number: _epoch(source, training, number, done, read, deal)
        )

    batches = epochs(start + bool(done), training.epochs)
    if done:
        batches = epochs(start, start + 1, done).concatenate(batches)
    batches = batches.map(lambda windows, tags: (to_float(windows), tags))
    rest = max(training.epochs * steps - first_step, 0)
    return batches.prefetch(tf.data.AUTOTUNE).apply(tf.data.experimental.assert_cardinality(rest))


def _epoch(
    source: Source, training: Training, number: Any, done: Any, read: Any, deal: Any
) -> tf.data.Dataset:
    """The batches of an epoch after the first `done`, still int16 where the records are."""
    tf.random.set_seed(1)  # of this graph: shuffle() would mix the program's seed in
    batch = min(training.batch_size, source.records)
    buffer = min(training.shuffle_buffer, source.records)
    key = tf.random.experimental.stateless_fold_in(
        tf.constant([training.seed, 0], tf.int64), number
    )
    # Folding leaves the first half of a key as it was: one of the epoch's own for shuffle().
    mix = tf.random.stateless_uniform([], key, minval=None, maxval=None, dtype=tf.int64)

    def cut(position: tf.Tensor, track: Any) -> Any:
        place = tf.random.experimental.stateless_fold_in(key, position)
        tid, window, tags = _window_of(track, source, training.window, place)
        return window, deal(tid) if deal else tags

    if done:  # a place in the order depends on the position alone, whatever is shuffled
        positions = tf.data.Dataset.range(source.records).shuffle(buffer, seed=mix)
        past = positions.take(done * batch).batch(done * batch).get_single_element()
        past = tf.scatter_nd(past[:, None], tf.ones_like(past), [source.records]) > 0

    def cut_what_is_to_come(position: tf.Tensor, track: Any) -> Any:
        if not done:
            return cut(position, track)
        blank = _blank(source)
        return tf.cond(past[position], lambda: blank, lambda: cut(position, track))

    order = tf.random.experimental.stateless_shuffle(tf.constant(source.shards), key)
    tracks = read(order).enumerate()
    windows = tracks.map(cut_what_is_to_come, num_parallel_calls=tf.data.AUTOTUNE)
    windows = windows.shuffle(buffer, seed=mix).skip(done * batch)
    steps = steps_per_epoch(source, training)
    return windows.batch(batch, drop_remainder=True).take(steps - done)


def _window_of(track: Any, source: Source, kind: str, seed: tf.Tensor) -> Any:
    """Id, window and targets of a track: of its record, or of its cached clip."""
    tid, clip, tags = track if source.cached else parse_record(track, source)
    if not source.cached and source.frontend == source.audio_format:
        start = window_start(stored_length(clip, source), source.window, kind, seed)
        clip = decode_clip(stored_cut(clip, source, start), source)  # no more than is seen
    else:
        clip = clip if source.cached else decode_clip(clip, source)
        start = window_start(tf.shape(clip)[0], source.window, kind, seed)
        clip = clip[start : start + source.window]
    return tid, tf.ensure_shape(clip, [source.window, *clip.shape[1:]]), tags


def _blank(source: Source) -> tuple[tf.Tensor, tf.Tensor]:
    """Stands for a window that nobody will see."""
    is_audio = source.frontend == WAVEFORM
    shape = [source.window] if is_audio else [source.window, source.spec.n_mels]
    dtype = tf.int16 if is_audio else tf.float32
    return tf.zeros(shape, dtype), tf.zeros([len(source.names)], tf.float32)


def window_start(
    length: tf.Tensor | int, window: int, kind: str, seed: tf.Tensor | None = None
) -> tf.Tensor:
    """Where a training window begins in a clip.

    Parameters
    ----------
    length : int or tf.Tensor, int32 scalar
        Samples or frames of the clip.
    window : int
        Samples or frames of the window.
    kind : {'random', 'centred'}
        Every start from the first to the last equally likely; or as much before the
        window as after it, and one more after it where that does not come out even.
    seed : tf.Tensor, int [2], optional
        Decides a random start.

    Returns
    -------
    tf.Tensor, int32 scalar
        0 where the clip is not longer than the window.
    """
    spare = tf.maximum(length - window, 0)
    if kind == CENTRED:
        return spare // 2
    return tf.random.stateless_uniform([], seed, maxval=spare + 1, dtype=tf.int32)


def _dealt_tags(source: Source, seed: int) -> Any:
    """A function of tid that gives the tags of another track: each row once, none its own."""
    tids, tags = read_tags(source)
    circle = np.random.default_rng(seed).permutation(len(tids))
    dealt = np.empty_like(tags)
    dealt[circle] = tags[np.roll(circle, 1)]
    numbers = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(tids), tf.range(len(tids))), -1
    )
    table = tf.constant(dealt)
    return lambda tid: tf.gather(table, numbers.lookup(tid))

"""From the shards of a data set to the windows that a model sees.

The order of the tracks and the place of every training window are functions of the
seed, the epoch and the position in it: nothing has to be saved to go on where a run
was stopped, and two runs with the same seed see the same windows.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.config import Config, select_tags
from schemas.errors import RunError, UsageError
from schemas.example import AUDIO, TAGS, TID
from schemas.manifest import Dataset
from trainer.frontend import clip_floor, log_mel
from trainer.windows import cut_windows, least_samples, pad_clips

_FULL_SCALE = 32768.0
_OPEN_SHARDS = 16  # read side by side, so that neighbours in a batch come from several


@dataclasses.dataclass(frozen=True)
class Source:
    """The shards of one part and what is to be made of their records.

    Attributes
    ----------
    shards : list of str
        Paths of the TFRecord files, in order.
    records : int
        Tracks in them.
    audio_format : {'waveform', 'log-mel-spectrogram'}
        What they hold.
    spec : AudioSpec
        The signal front end.
    frontend : {'waveform', 'log-mel-spectrogram'}
        What the model looks at.
    window : int
        Samples (waveform) or frames (log-mel) of a window.
    names : list of str
        The tags that are learnt, in the order of the targets.
    columns : list of int
        For each tag of the records the target that it counts for, or -1.
    cache_gib : float
        Spectrograms that are made here stay in memory if they take at most this.
    """

    shards: list[str]
    records: int
    audio_format: str
    spec: AudioSpec
    frontend: str
    window: int
    names: list[str]
    columns: list[int]
    cache_gib: float = 0.0

    @property
    def cached(self) -> bool:
        """Whether the tracks stay in memory once their spectrograms are made."""
        if self.frontend == self.audio_format:
            return False  # reading costs next to nothing, and the system caches files
        samples = sum(os.path.getsize(shard) for shard in self.shards) / 2
        size = samples / self.spec.hop_length * self.spec.n_mels * 4
        return size <= self.cache_gib * 2**30


def part_source(dataset: Dataset, part: str, config: Config) -> Source:
    """The source of a part of a data set under a filled-in configuration.

    Raises
    ------
    UsageError
        If a shard is missing, or the tags or the window do not fit.
    """
    spec, frontend = dataset.spec, config.model.frontend
    for shard in dataset.shards(part):
        if not os.path.isfile(shard):
            raise UsageError(f"{shard} is missing: the data set is damaged, build it again")
    names, columns = select_tags(config.tags, dataset.vocabulary)
    seconds = config.training.window_seconds
    window = (spec.window_samples if frontend == WAVEFORM else spec.window_frames)(seconds)
    if window < 1:
        raise UsageError(f"model-training.window_seconds is {seconds}: that is less than a frame")
    return Source(
        shards=dataset.shards(part),
        records=dataset.records(part),
        audio_format=dataset.audio_format,
        spec=spec,
        frontend=frontend,
        window=window,
        names=names,
        columns=columns,
        cache_gib=config.training.cache_gib,
    )


def read_tracks(source: Source) -> tf.data.Dataset:
    """Whole clips as the front end sees them, shards side by side in a fixed order.

    Parameters
    ----------
    source : Source

    Returns
    -------
    tf.data.Dataset of (tid, clip, tags)
        tid string; clip int16 [samples] (waveform; full scale 32768) or float32
        [frames, n_mels] (log-mel; of the whole clip, so with its floor), padded to
        one window as evaluation and service do; tags float32 [targets].
    """
    records = _records(tf.constant(source.shards))
    return records.map(lambda record: _track(record, source), num_parallel_calls=tf.data.AUTOTUNE)


def read_tags(source: Source, limit: int = -1) -> tuple[list[bytes], np.ndarray]:
    """Ids and targets of the tracks alone, in the order of :func:`read_tracks`.

    Parameters
    ----------
    source : Source
    limit : int
        Read only so many tracks; all by default.

    Returns
    -------
    tids : list of bytes
    tags : np.ndarray, float32 [tracks, targets]
    """

    def parse(record):
        row = tf.io.parse_single_example(record, _features(source, TID, TAGS))
        return row[TID], _targets(row[TAGS], source)

    records = _records(tf.constant(source.shards)).take(limit)
    rows = list(records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    tags = np.array([tags for _, tags in rows], np.float32)
    return [tid for tid, _ in rows], tags.reshape(-1, len(source.names))


def _records(shards: tf.Tensor) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(shards).interleave(
        tf.data.TFRecordDataset,
        cycle_length=_OPEN_SHARDS,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _features(source: Source, *names: str) -> dict[str, tf.io.FixedLenFeature]:
    features = {
        TID: tf.io.FixedLenFeature([], tf.string),
        AUDIO: tf.io.FixedLenFeature([], tf.string),
        TAGS: tf.io.FixedLenFeature([len(source.columns)], tf.int64),
    }
    return {name: features[name] for name in names}


def _track(record: tf.Tensor, source: Source) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    row = tf.io.parse_single_example(record, _features(source, TID, AUDIO, TAGS))
    return row[TID], _clip(row[AUDIO], source), _targets(row[TAGS], source)


def _targets(tags: tf.Tensor, source: Source) -> tf.Tensor:
    """A record's tags as float32 [targets]; tags that were merged count as one."""
    merged = tf.math.unsorted_segment_max(tags, source.columns, len(source.names))
    return tf.cast(tf.maximum(merged, 0), tf.float32)


def _clip(data: tf.Tensor, source: Source) -> tf.Tensor:
    """The bytes of a record as samples or as frames, a window long at least."""
    spec = source.spec
    if source.audio_format == LOG_MEL:
        frames = tf.reshape(tf.io.decode_raw(data, tf.float32), [1, -1, spec.n_mels])
        return pad_clips(frames, source.window, clip_floor(frames, spec))[0]
    samples = tf.io.decode_raw(data, tf.int16)[None]
    samples = pad_clips(samples, least_samples(source.frontend, source.window, spec), 0)
    if source.frontend == WAVEFORM:
        return samples[0]
    return log_mel(to_float(samples), spec)[0]


def steps_per_epoch(source: Source, batch_size: int) -> int:
    """Training steps that see each track once; fewer tracks than a batch make one step."""
    return max(source.records // batch_size, 1)


def training_batches(source: Source, config: Config, first_step: int = 0) -> tf.data.Dataset:
    """Shuffled batches of one random window a track, for all epochs.

    Every start is equally likely, the last included; a clip of exactly one window is
    taken whole, a shorter one is padded. Windows are drawn before they are shuffled,
    so that the buffer holds windows and not clips. What is left of an epoch after its
    last whole batch is dropped; the next epoch's order leaves out others.

    Parameters
    ----------
    source : Source
    config : Config
        epochs, batch_size, seed, shuffle_buffer and shuffle_labels of its training.
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
    steps = steps_per_epoch(source, training.batch_size)
    deal = _dealt_tags(source, training.seed) if training.shuffle_labels else None
    kept = read_tracks(source).cache() if source.cached else None
    start, done = divmod(first_step, steps)

    def epochs(first, end, done=0):
        return tf.data.Dataset.range(first, end).flat_map(
            lambda number: _epoch(source, training, number, done, kept, deal)
        )

    batches = epochs(start + bool(done), training.epochs)
    if done:
        batches = epochs(start, start + 1, done).concatenate(batches)
    batches = batches.map(lambda windows, tags: (to_float(windows), tags))
    rest = max(training.epochs * steps - first_step, 0)
    return batches.prefetch(tf.data.AUTOTUNE).apply(tf.data.experimental.assert_cardinality(rest))


def _epoch(source, training, number, done, kept, deal) -> tf.data.Dataset:
    """The batches of an epoch after the first `done`, still int16 where the records are."""
    tf.random.set_seed(1)  # of this graph: shuffle() would mix the program's seed in
    batch = min(training.batch_size, source.records)
    buffer = min(training.shuffle_buffer, source.records)
    key = tf.random.experimental.stateless_fold_in(
        tf.constant([training.seed, 0], tf.int64), number
    )

    def cut(position, track):
        tid, clip, tags = track if kept else _track(track, source)
        place = tf.random.experimental.stateless_fold_in(key, position)
        return random_window(clip, source.window, place), deal(tid) if deal else tags

    if done:  # a place in the order depends on the position alone, whatever is shuffled
        positions = tf.data.Dataset.range(source.records).shuffle(buffer, seed=key[0])
        past = positions.take(done * batch).batch(done * batch).get_single_element()

    def cut_what_is_to_come(position, track):
        if not done:
            return cut(position, track)
        blank = _blank(source)
        return tf.cond(tf.reduce_any(past == position), lambda: blank, lambda: cut(position, track))

    order = tf.random.experimental.stateless_shuffle(tf.constant(source.shards), key)
    tracks = kept or _records(order)
    windows = tracks.enumerate().map(cut_what_is_to_come, num_parallel_calls=tf.data.AUTOTUNE)
    windows = windows.shuffle(buffer, seed=key[0]).skip(done * batch)
    return windows.batch(batch, drop_remainder=True)


def _blank(source: Source) -> tuple[tf.Tensor, tf.Tensor]:
    """Stands for a window that nobody will see."""
    is_audio = source.frontend == WAVEFORM
    shape = [source.window] if is_audio else [source.window, source.spec.n_mels]
    dtype = tf.int16 if is_audio else tf.float32
    return tf.zeros(shape, dtype), tf.zeros([len(source.names)], tf.float32)


def random_window(clip: tf.Tensor, window: int, seed: tf.Tensor) -> tf.Tensor:
    """A window of a clip, every start from the first to the last equally likely.

    Parameters
    ----------
    clip : tf.Tensor [length, ...]
        At least a window long.
    window : int
        Samples or frames.
    seed : tf.Tensor, int [2]
        Decides the start.

    Returns
    -------
    tf.Tensor [window, ...]
    """
    starts = tf.shape(clip)[0] - window + 1
    start = tf.random.stateless_uniform([], seed, maxval=starts, dtype=tf.int32)
    cut = clip[start : start + window]
    return tf.ensure_shape(cut, [window, *clip.shape[1:]])


def to_float(clips: tf.Tensor) -> tf.Tensor:
    """Samples as fractions of the full scale; spectrograms as they are.

    Done as late as can be: int16 is half the memory.
    """
    return tf.cast(clips, tf.float32) / _FULL_SCALE if clips.dtype == tf.int16 else clips


def _dealt_tags(source: Source, seed: int):
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


def damage(shards: Sequence[str], error: tf.errors.OpError) -> RunError:
    """What to say when reading failed: TensorFlow does not tell which file it was in."""
    for shard in shards if isinstance(error, tf.errors.DataLossError) else ():
        try:
            collections.deque(tf.data.TFRecordDataset(shard), maxlen=0)
        except tf.errors.DataLossError as found:
            reason = re.sub(r"{{.*?}}|\[Op:.*", "", found.message).strip()
            return RunError(f"{shard} is damaged ({reason}): build the data set again")
    return RunError(f"TensorFlow failed: {error.message}")


@dataclasses.dataclass(frozen=True)
class WholeTracks:
    """The windows of whole tracks and what they belong to.

    Attributes
    ----------
    tids : list of str
    truth : np.ndarray, bool [tracks, targets]
    counts : np.ndarray, int [tracks]
        Windows of each track.
    windows : tf.data.Dataset of float32 [batch, window, ...]
        All windows, track after track.
    """

    tids: list[str]
    truth: np.ndarray
    counts: np.ndarray
    windows: tf.data.Dataset

    def average(self, scores: np.ndarray) -> np.ndarray:
        """Scores of windows [windows, targets] as means over each track [tracks, targets]."""
        firsts = np.cumsum(self.counts) - self.counts
        return np.add.reduceat(scores, firsts, axis=0) / self.counts[:, None]


def whole_tracks(source: Source, batch_size: int) -> WholeTracks:
    """All windows of each track, as :func:`trainer.windows.cut_windows` cuts them.

    Parameters
    ----------
    source : Source
    batch_size : int
        Windows in a batch; the last one has what is left.
    """
    tracks = read_tracks(source)
    tracks = tracks.cache() if source.cached else tracks
    tids, truth, counts = [], [], []
    lengths = tracks.map(lambda tid, clip, tags: (tid, tf.shape(clip)[0], tags))
    for tid, length, tags in lengths.as_numpy_iterator():
        tids.append(tid.decode())
        counts.append(math.ceil(length / source.window))
        truth.append(tags > 0)
    windows = tracks.flat_map(
        lambda tid, clip, tags: tf.data.Dataset.from_tensor_slices(
            cut_windows(clip[None], source.window)[0]
        )
    )
    return WholeTracks(
        tids,
        np.array(truth, bool).reshape(len(tids), len(source.names)),
        np.array(counts, np.int64),
        windows.batch(batch_size).map(to_float).prefetch(tf.data.AUTOTUNE),
    )

"""The records of shards, and what is to be made of them."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from schemas.audio_spec import LOG_MEL, PCM_FULL_SCALE, WAVEFORM
from schemas.common.cores import n_cores
from schemas.common.errors import RunError
from schemas.example import AUDIO, TAGS, TID
from trainer.input.log_mel import clip_floor, log_mel
from trainer.input.source import Source
from trainer.input.windows import pad_clips

_FEW_CORES = 2


def record_reader(source: Source) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """A function of the shards' order that gives the serialised records to be read."""
    # Records that were read ahead leave the processor's cache: that takes a third more time,
    # which is only made up for where cores have nothing else to do. The order is the same.
    parallel = tf.data.AUTOTUNE if n_cores() > _FEW_CORES else None
    keep: Callable[[tf.Tensor], tf.Tensor] | None = None
    if source.tids is not None:
        numbers = tf.lookup.KeyValueTensorInitializer(source.tids, tf.range(len(source.tids)))
        table = tf.lookup.StaticHashTable(numbers, -1)

        def is_chosen(record: tf.Tensor) -> tf.Tensor:
            row = tf.io.parse_single_example(record, _features(source, TID))
            return table.lookup(row[TID]) >= 0

        keep = is_chosen

    def read(shards: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.Dataset.from_tensor_slices(shards).interleave(
            tf.data.TFRecordDataset,
            cycle_length=min(source.interleave, len(source.shards)),
            num_parallel_calls=parallel,
        )
        return records.filter(keep) if keep else records

    return read


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

    def track(record: tf.Tensor) -> Any:
        tid, data, tags = parse_record(record, source)
        return tid, decode_clip(data, source), tags

    records = record_reader(source)(tf.constant(source.shards))
    return records.map(track, num_parallel_calls=tf.data.AUTOTUNE)


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

    def parse(record: tf.Tensor) -> Any:
        row = tf.io.parse_single_example(record, _features(source, TID, TAGS))
        return row[TID], _targets(row[TAGS], source)

    records = record_reader(source)(tf.constant(source.shards)).take(limit)
    rows = list(records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    tags = np.array([tags for _, tags in rows], np.float32)
    return [tid for tid, _ in rows], tags.reshape(-1, len(source.names))


def survey(source: Source, limit: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """Targets and lengths of the tracks, in the order of :func:`read_tracks`, undecoded.

    Parameters
    ----------
    source : Source
    limit : int
        Read only so many tracks; all by default.

    Returns
    -------
    tags : np.ndarray, float32 [tracks, targets]
    lengths : np.ndarray, int64 [tracks]
        In samples or frames, as the records have them.
    """

    def parse(record: tf.Tensor) -> Any:
        _, data, tags = parse_record(record, source)
        return tags, stored_length(data, source)

    records = record_reader(source)(tf.constant(source.shards)).take(limit)
    rows = list(records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    tags = np.array([tags for tags, _ in rows], np.float32).reshape(-1, len(source.names))
    return tags, np.array([length for _, length in rows], np.int64)


def needed_length(source: Source) -> int:
    """The stored length that fills a window."""
    if source.audio_format == LOG_MEL:
        return source.window
    return source.spec.min_samples(source.frontend, source.window)


def _features(source: Source, *names: str) -> dict[str, tf.io.FixedLenFeature]:
    features = {
        TID: tf.io.FixedLenFeature([], tf.string),
        AUDIO: tf.io.FixedLenFeature([], tf.string),
        TAGS: tf.io.FixedLenFeature([len(source.columns)], tf.int64),
    }
    return {name: features[name] for name in names}


def parse_record(record: tf.Tensor, source: Source) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Id, bytes of the audio and targets (float32 [targets]) of a serialised record."""
    row = tf.io.parse_single_example(record, _features(source, TID, AUDIO, TAGS))
    return row[TID], row[AUDIO], _targets(row[TAGS], source)


def _targets(tags: tf.Tensor, source: Source) -> tf.Tensor:
    """A record's tags as float32 [targets]; tags that were merged count as one."""
    merged = tf.math.unsorted_segment_max(tags, source.columns, len(source.names))
    return tf.cast(tf.maximum(merged, 0), tf.float32)


def stored_length(data: tf.Tensor, source: Source) -> tf.Tensor:
    """Samples or frames in the bytes of a record."""
    return tf.strings.length(data) // _stored_size(source)


def stored_cut(data: tf.Tensor, source: Source, start: tf.Tensor) -> tf.Tensor:
    """The bytes of a window from `start` on, or what is left of them there."""
    size = _stored_size(source)
    return tf.strings.substr(data, start * size, source.window * size)


def _stored_size(source: Source) -> int:
    """Bytes of a sample or frame."""
    return 2 if source.audio_format == WAVEFORM else 4 * source.spec.n_mels


def decode_clip(data: tf.Tensor, source: Source) -> tf.Tensor:
    """The bytes of a record as samples or as frames, a window long at least."""
    spec = source.spec
    if source.audio_format == LOG_MEL:
        frames = tf.reshape(tf.io.decode_raw(data, tf.float32), [1, -1, spec.n_mels])
        return pad_clips(frames, source.window, clip_floor(frames, spec))[0]
    samples = tf.io.decode_raw(data, tf.int16)[None]
    samples = pad_clips(samples, needed_length(source), 0)
    if source.frontend == WAVEFORM:
        return samples[0]
    return log_mel(to_float(samples), spec)[0]


def to_float(clips: tf.Tensor) -> tf.Tensor:
    """Samples as fractions of the full scale; spectrograms as they are.

    Done as late as can be: int16 is half the memory.
    """
    return tf.cast(clips, tf.float32) / PCM_FULL_SCALE if clips.dtype == tf.int16 else clips


def shard_error(shards: Sequence[str], error: tf.errors.OpError) -> RunError:
    """What to say when reading failed: TensorFlow does not tell which file it was in."""
    for shard in shards if isinstance(error, tf.errors.DataLossError) else ():
        try:
            collections.deque(tf.data.TFRecordDataset(shard), maxlen=0)
        except tf.errors.DataLossError as found:
            reason = re.sub(r"{{.*?}}|\[Op:.*", "", found.message).strip()
            return RunError(f"{shard} is damaged ({reason}): build the data set again")
    return RunError(f"TensorFlow failed: {error.message}")

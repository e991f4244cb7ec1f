"""The records of shards, and what is to be made of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import RunError, UsageError
from schemas.config import Config, select_tags
from schemas.example import AUDIO, TAGS, TID, read_tids
from schemas.manifest import Dataset
from trainer.input.log_mel import clip_floor, log_mel
from trainer.input.windows import least_samples, pad_clips

_FULL_SCALE = 32768.0
_FEW_CORES = 2


@dataclasses.dataclass(frozen=True)
class Source:
    """The shards of one part and what is to be made of their records.

    Attributes
    ----------
    shards : list of str
        Paths of the TFRecord files, in order.
    records : int
        Tracks that are read of them.
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
    tids : list of str, optional
        The tracks that are read; all by default.
    interleave : int
        Shards read side by side, so that neighbours in a batch come from several.
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
    tids: list[str] | None = None
    interleave: int = 16

    @property
    def cached(self) -> bool:
        """Whether the tracks stay in memory once their spectrograms are made."""
        if self.frontend == self.audio_format:
            return False  # reading costs next to nothing, and the system caches files
        samples = sum(os.path.getsize(shard) for shard in self.shards) / 2
        size = samples / self.spec.hop_length * self.spec.n_mels * 4
        return size <= self.cache_gib * 2**30


def make_source(
    dataset: Dataset, shards: Sequence[str], config: Config, records: int | None = None
) -> Source:
    """A source for shards with the records that a data set's manifest describes.

    Parameters
    ----------
    dataset : Dataset
        Says what the records hold.
    shards : sequence of str
        Paths of the files; they need not be the data set's own.
    config : Config
        Filled in for `dataset`, see :func:`schemas.config.fill`.
    records : int, optional
        Tracks in the shards, if that is known; they are counted otherwise.

    Raises
    ------
    UsageError
        If a shard is missing, the tags or the window do not fit or no track is left.
    RunError
        If a shard is damaged, as far as that is seen without reading the audio.
    """
    spec, training, frontend = dataset.spec, config.training, config.model.frontend
    for shard in shards:
        if not os.path.isfile(shard):
            raise UsageError(f"{shard} is missing: the data set is damaged, build it again")
    names, columns = select_tags(config.tags, dataset.vocabulary)
    seconds = training.window_seconds
    window = (spec.window_samples if frontend == WAVEFORM else spec.window_frames)(seconds)
    if window < 1:
        raise UsageError(f"model-training.window_seconds is {seconds}: that is less than a frame")
    tids = select_tracks(shards, training.with_tids, training.without_tids)
    if tids is not None:
        records = len(tids)
    elif records is None:
        records = sum(len(shard_tids(shard)) for shard in shards)
    return Source(
        shards=list(shards),
        records=records,
        audio_format=dataset.audio_format,
        spec=spec,
        frontend=frontend,
        window=window,
        names=names,
        columns=columns,
        cache_gib=training.cache_gib,
        tids=tids,
        interleave=training.interleave,
    )


def select_tracks(
    shards: Sequence[str], with_tids: list[str] | str | None, without_tids: list[str] | str | None
) -> list[str] | None:
    """The ids that two lists leave of the shards' tracks, or None where there is no list.

    Parameters
    ----------
    shards : sequence of str
    with_tids, without_tids : list of str or str, optional
        Only these, and none of those: ids, or a file of them (:func:`listed_tids`).
        An id that no shard holds has no effect.

    Raises
    ------
    UsageError
        If a file cannot be read, or no track is left.
    """
    if with_tids is None and without_tids is None:
        return None
    chosen = None if with_tids is None else listed_tids(with_tids, "with_tids")
    refused = listed_tids(without_tids or [], "without_tids")
    tids = [tid for shard in shards for tid in shard_tids(shard)]
    left = [tid for tid in tids if (chosen is None or tid in chosen) and tid not in refused]
    if not left:
        where = os.path.dirname(shards[0]) if shards else "no shards"
        raise UsageError(
            f"model-training.with_tids and without_tids leave none of the {len(tids):,} tracks "
            f"in {where}: allowed are lists that leave one"
        )
    return left


def listed_tids(given: list[str] | str, key: str) -> frozenset[str]:
    """Ids given as a list, or as a file with one a line.

    Of a line with commas the first field counts; a heading ``track_id`` or ``tid`` and
    empty lines do not.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    if not isinstance(given, str):
        return frozenset(given)
    try:
        with open(given, encoding="utf8") as stream:
            lines = [line.partition(",")[0].strip().strip('"') for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UsageError(f"model-training.{key}: {given} cannot be read: {reason}") from error
    return frozenset(lines) - {"", "track_id", "tid"}


def shard_tids(shard: str) -> list[str]:
    """Ids of a shard's tracks in order, read without their audio.

    Raises
    ------
    RunError
        If the shard is damaged.
    """
    try:
        return list(read_tids(shard))
    except ValueError as error:
        raise RunError(f"{shard} is damaged ({error}): build the data set again") from error


def record_reader(source: Source) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """A function of the shards' order that gives the serialised records to be read."""
    # Records that were read ahead leave the processor's cache: that takes a third more time,
    # which is only made up for where cores have nothing else to do. The order is the same.
    parallel = tf.data.AUTOTUNE if _cores() > _FEW_CORES else None
    keep = None
    if source.tids is not None:
        numbers = tf.lookup.KeyValueTensorInitializer(source.tids, tf.range(len(source.tids)))
        table = tf.lookup.StaticHashTable(numbers, -1)

        def keep(record):
            row = tf.io.parse_single_example(record, _features(source, TID))
            return table.lookup(row[TID]) >= 0

    def read(shards):
        records = tf.data.Dataset.from_tensor_slices(shards).interleave(
            tf.data.TFRecordDataset,
            cycle_length=min(source.interleave, len(source.shards)),
            num_parallel_calls=parallel,
        )
        return records.filter(keep) if keep else records

    return read


def _cores() -> int:
    """Processors that this program may use; macOS does not tell, so all."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


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

    def track(record):
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

    def parse(record):
        row = tf.io.parse_single_example(record, _features(source, TID, TAGS))
        return row[TID], _targets(row[TAGS], source)

    records = record_reader(source)(tf.constant(source.shards)).take(limit)
    rows = list(records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    tags = np.array([tags for _, tags in rows], np.float32)
    return [tid for tid, _ in rows], tags.reshape(-1, len(source.names))


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
    samples = pad_clips(samples, least_samples(source.frontend, source.window, spec), 0)
    if source.frontend == WAVEFORM:
        return samples[0]
    return log_mel(to_float(samples), spec)[0]


def to_float(clips: tf.Tensor) -> tf.Tensor:
    """Samples as fractions of the full scale; spectrograms as they are.

    Done as late as can be: int16 is half the memory.
    """
    return tf.cast(clips, tf.float32) / _FULL_SCALE if clips.dtype == tf.int16 else clips

"""Write: one element a shard; the worker decodes its songs and commits file and side table.

A shard is finished when it and its side table stand under their final names and
agree on its size. Both come into being by a rename, the side table last.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystem import BeamIOError
from apache_beam.metrics import Metrics
from threadpoolctl import threadpool_limits

from beam_pipelines.audio import decode, headers, spectrogram
from beam_pipelines.audio.decode import Clip
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.silence import SilenceMeter
from beam_pipelines.dataset import layout, rules, sharding
from beam_pipelines.dataset.layout import read_side, side_path
from beam_pipelines.dataset.rules import Candidate
from beam_pipelines.runtime import sealed, storage
from beam_pipelines.runtime.patience import error_name
from beam_pipelines.runtime.preflight import check_sight
from beam_pipelines.scanning.excerpt import Excerpt
from beam_pipelines.scanning.filters import Limits, failed_filter, failure_detail
from beam_pipelines.scanning.losses import changed_error
from beam_pipelines.scanning.measure import measured_columns
from beam_pipelines.scanning.trial import in_hand, refuse_crashing
from schemas.audio_spec import LOG_MEL, AudioSpec
from schemas.example import encode_example, tfrecord
from schemas.rejects import Reason, Reject


@dataclasses.dataclass(frozen=True)
class WriteSettings:
    """What the workers need to know.

    Attributes
    ----------
    audio_dir, output, work : str
        Root of the audio, the data set's directory, its work folder.
    audio_format : {'waveform', 'log-mel-spectrogram'}
        What is stored.
    spec : AudioSpec
        The signal front end.
    limits : Limits
        The audio filters.
    vocabulary : tuple of str
        Tags by number.
    must_see : tuple of str
        Files that a worker must be able to read before it begins.
    stop_at_change : bool
        Whether a file that has changed since it was listed ends the run.
    deaths : int
        How often the process of this work has died of a signal.
    excerpt : Excerpt or None
        The part of a recording that is stored; all of it by default.
    """

    audio_dir: str
    output: str
    work: str
    audio_format: str
    spec: AudioSpec
    limits: Limits
    vocabulary: tuple[str, ...]
    must_see: tuple[str, ...]
    stop_at_change: bool = False
    deaths: int = 0
    excerpt: Excerpt | None = None


class Moments:
    """Sums of the stored features, per band (a waveform has one), in float64."""

    def __init__(self, bands: int) -> None:
        self.count, self.total, self.squares = 0, np.zeros(bands), np.zeros(bands)

    def add(self, features: np.ndarray) -> None:
        """Add float32 [n, bands]."""
        wide = features.astype(np.float64)
        self.count += len(wide)
        self.total += wide.sum(axis=0)
        self.squares += np.einsum("ij,ij->j", wide, wide)

    def to_json(self) -> dict[str, Any]:
        """The sums as JSON values."""
        return {
            "count": self.count,
            "total": self.total.tolist(),
            "squares": self.squares.tolist(),
        }


def describe_track(
    copy: Candidate,
    clip: Clip,
    probe: headers.Probe,
    shard: str,
    vocabulary: Sequence[str],
) -> dict[str, Any]:
    """The row of ``tracks.parquet`` of a track that was written."""
    row = copy._asdict()
    row.update(measured_columns(clip, probe))
    row["shard"] = shard
    row["tags"] = [vocabulary[number] for number in copy.tags]
    return row


class Failure(Exception):
    """A copy that cannot be written, and why."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class WriteShard(beam.DoFn):
    """Decode, filter, resample and write the songs of one shard."""

    def __init__(self, settings: WriteSettings) -> None:
        self.settings = settings
        self.is_suspect = False  # the shard in hand: its clips are tried first

    def setup(self) -> None:
        # One thread a clip: a pool inside each worker thread would fight over the cores.
        self.pool = threadpool_limits(1)
        silence = np.zeros(self.settings.spec.n_fft, np.float32)
        if self.settings.audio_format == LOG_MEL:
            spectrogram.log_mel(silence, self.settings.spec)  # builds the filters once a process

    def teardown(self) -> None:
        self.pool.restore_original_limits()

    def process(self, element: dict[str, Any]) -> Iterator[str]:
        settings, shard = self.settings, layout.Shard(**element)
        check_sight(settings.must_see)
        if read_side(settings.output, settings.work, shard) is not None:
            return
        path = storage.join(settings.output, shard.name)
        side = Side(shard.name, settings)
        storage.make_folder(storage.join(settings.output, shard.part))
        marker = storage.join(settings.work, f"begun-{shard.key}")
        with in_hand(marker, settings.deaths) as self.is_suspect, storage.replacing(path) as stream:
            for _, copies in sharding.read_plan(settings.work, shard.key):
                record = self._first_that_passes(copies, side)
                if record is not None:
                    side.count_bytes(record)
                    stream.write(record)
        sealed.write_json(side_path(settings.work, shard.key), side.to_json())
        Metrics.counter("write", "shards").inc()
        Metrics.counter("write", "tracks").inc(len(side.tracks))
        Metrics.counter("write", "rejects").inc(len(side.rejects))
        yield shard.name

    def _first_that_passes(self, copies: list[Candidate], side: Side) -> bytes | None:
        for i, copy in enumerate(copies):
            try:
                record = self.record(copy, side)
            except Failure as failure:
                side.reject(copy, failure.reason, failure.detail)
                continue
            for other in copies[i + 1 :]:
                side.reject(other, Reason.DUPLICATE_OF, copy.track_id)
            return record
        return None

    def record(self, copy: Candidate, side: Side) -> bytes:
        """The record of a copy that passes; its row and its moments go to `side`.

        Raises
        ------
        Failure
            If the copy cannot be written.
        """
        settings = self.settings
        try:
            data, _ = storage.read_clip(storage.join(settings.audio_dir, copy.path))
        except (OSError, BeamIOError) as error:
            raise Failure(Reason.UNREADABLE, error_name(error)) from error
        if len(data) != copy.size:
            detail = f"{len(data)} bytes, listed were {copy.size}"
            if settings.stop_at_change:
                raise changed_error(copy.path, detail)
            raise Failure(Reason.CHANGED, detail)
        try:
            headers.check_label(copy.path, data)
            if self.is_suspect:
                refuse_crashing(data)
            clip = decode.load_clip(data, settings.spec)
        except AudioError as error:
            raise Failure(error.reason, error.detail) from error
        hearing, stats, limits = clip.hearing, clip.stats, settings.limits
        if stats.is_silent:
            raise Failure(Reason.SILENT, f"{hearing.duration:.2f} s without sound")
        reason = failed_filter(len(data), stats, limits, hearing.cut_short)
        if reason is not None:
            raise Failure(reason, failure_detail(reason, stats, limits, hearing.cut_short))
        if settings.excerpt is not None:
            clip = _cut(clip, settings.excerpt, settings.spec.sample_rate)
        if settings.audio_format == LOG_MEL:
            features = stored = spectrogram.log_mel(clip.samples, settings.spec)
        else:
            features, stored = clip.samples[:, np.newaxis], clip.pcm
        side.moments.add(features)
        side.tracks.append(
            describe_track(copy, clip, headers.probe(data), side.shard, settings.vocabulary)
        )
        audio = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
        return self.tagged(copy, audio)

    def tagged(self, copy: Candidate, audio: bytes) -> bytes:
        """The record of a copy's stored audio and its tags."""
        multi_hot = np.zeros(len(self.settings.vocabulary), int)
        multi_hot[copy.tags] = 1
        return tfrecord(encode_example(copy.track_id, audio, multi_hot.tolist()))


def _cut(clip: Clip, excerpt: Excerpt, rate: int) -> Clip:
    """The excerpt of a clip, whose measures stay those of the whole file."""
    part = dataclasses.replace(clip, pcm=excerpt.cut(clip.pcm, rate))
    meter = SilenceMeter()
    meter.add(part.samples)
    if meter.read(rate).is_silent:
        seconds = len(part.pcm) / rate
        raise Failure(Reason.SILENT, f"{seconds:.2f} s at its {excerpt.place} without sound")
    return part


class Side:
    """What a shard leaves beside itself."""

    def __init__(self, shard: str, settings: WriteSettings) -> None:
        self.shard = shard
        self.tracks: list[dict[str, Any]] = []
        self.rejects: list[Reject] = []
        self.bytes, self.digest = 0, hashlib.sha256()
        self.moments = Moments(settings.spec.n_mels if settings.audio_format == LOG_MEL else 1)

    def reject(self, copy: Candidate, reason: Reason, detail: str) -> None:
        self.rejects += rules.reject_pair(copy, copy.path, reason, detail)

    def count_bytes(self, record: bytes) -> None:
        self.bytes += len(record)
        self.digest.update(record)

    def to_json(self) -> dict[str, Any]:
        return {
            "shard": self.shard,
            "records": len(self.tracks),
            "bytes": self.bytes,
            "sha256": self.digest.hexdigest(),
            "moments": self.moments.to_json(),
            "tracks": self.tracks,
            "rejects": [reject.row() for reject in self.rejects],
        }


def write_shards(
    pipeline: beam.Pipeline, shards: Sequence[layout.Shard], writer: WriteShard
) -> None:
    """Put the steps of the writing into a pipeline.

    Parameters
    ----------
    pipeline : beam.Pipeline
        Runs when its context ends.
    shards : sequence of Shard
        Those that are to be written.
    writer : WriteShard
        Writes one.
    """
    _ = (
        pipeline
        | "Shards" >> beam.Create(sharding.describe(shards))
        | "Spread the shards" >> beam.Reshuffle()
        | "Decode, filter, write" >> beam.ParDo(writer)
    )

"""What is measured of one file: its row in a table, or the reason why it has none."""

from __future__ import annotations

import dataclasses
from typing import Any

from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.audio.decode import AudioError, decode, to_mono
from beam_pipelines.audio.filters import Limits, failed_filter, failure_detail
from beam_pipelines.audio.headers import Probe, check_label, probe
from beam_pipelines.audio.silence import SilenceStats, measure_silence
from beam_pipelines.runtime import storage
from beam_pipelines.scanning.listing import AudioFile, parse_7digitalid
from schemas.rejects import FILE, Reason, Reject


def measured_columns(
    duration: float, channels: int, rate: int, stats: SilenceStats, headers: Probe
) -> dict[str, Any]:
    """The columns that both ``tracks.parquet`` and a scan have.

    Parameters
    ----------
    duration : float
        Length of what was decoded in s.
    channels, rate : int
        Channels and Hz of what was decoded.
    stats : SilenceStats
    headers : Probe

    Returns
    -------
    dict
        ``probe_duration`` to ``silence_detail`` of :data:`schemas.tables.SCAN`.
    """
    columns: dict[str, Any] = {
        f"probe_{name}": value for name, value in dataclasses.asdict(headers).items()
    }
    columns.update(duration=duration, channels=channels, sample_rate=rate)
    columns.update(dataclasses.asdict(stats))
    del columns["is_silent"]
    return columns


def measure_file(audio_dir: str, file: AudioFile, limits: Limits) -> dict[str, Any] | Reject:
    """Decode one listed file and judge it.

    What its name or its size rules out is not decoded.

    Parameters
    ----------
    audio_dir : str
        Root of the audio.
    file : AudioFile
        What the listing says of it.
    limits : Limits
        The audio filters.

    Returns
    -------
    dict or Reject
        A row of :data:`schemas.tables.SCAN`, or the reason why there is none.
    """
    number = parse_7digitalid(file.path)

    def reject(reason: Reason, detail: str = "") -> Reject:
        return Reject(FILE, file.path, None, number, reason, detail)

    if number is None:
        return reject(Reason.BAD_NAME)
    if file.size and (reason := failed_filter(file.size, None, limits)):
        return reject(reason, failure_detail(reason, None, limits))
    try:
        data = storage.read_bytes(storage.join(audio_dir, file.path))
        check_label(file.path, data)
        samples, rate = decode(data)
    except (OSError, BeamIOError) as error:
        return reject(Reason.UNREADABLE, type(error).__name__)
    except AudioError as error:
        return reject(error.reason, error.detail)
    stats = measure_silence(to_mono(samples), rate)
    duration = len(samples) / rate
    if stats.is_silent:
        return reject(Reason.SILENT, f"{duration:.2f} s without sound")
    if reason := failed_filter(file.size, stats, limits):
        return reject(reason, failure_detail(reason, stats, limits))
    columns = measured_columns(duration, samples.shape[1], rate, stats, probe(data))
    return {
        "path": file.path,
        "track_7digitalid": number,
        "size": file.size,
        "mtime": file.mtime,
        **columns,
    }

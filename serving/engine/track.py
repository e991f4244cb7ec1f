"""Windows of a file of any length, in bounded memory.

A file is decoded in blocks, and what its windows are cut from is kept in memory or, above
a limit, in a temporary file: 16-bit samples, or log-mel frames without the floor under the
clip's maximum, which is known when the last block has been seen. So a file of any length has
the windows of the whole-clip rule: the samples are those of
:func:`beam_pipelines.audio.decode.load_clip`, the frames those of ``log_mel`` within 1e-4 dB.

Neither Beam nor TensorFlow is imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import stat
import tempfile
import weakref
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from beam_pipelines.audio.decode import from_pcm16, pcm_blocks
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.hear import Mono, hear
from beam_pipelines.audio.silence import SilenceMeter
from beam_pipelines.audio.spectrogram import mel_levels
from schemas.audio_spec import LOG_MEL, AudioSpec
from schemas.rejects import Reason
from schemas.saved_model import ModelInfo
from serving.output.result import Warned

IN_MEMORY = 1 << 25  # bytes of a track above which a temporary file takes over


@dataclasses.dataclass(frozen=True)
class Track:
    """A decoded file, ready to be cut into windows.

    Attributes
    ----------
    starts : np.ndarray, int64 [windows]
        First sample or frame of each window.
    window : int
        Samples or frames of a window.
    seconds : np.ndarray, float64 [windows]
        The same starts in s.
    warnings : tuple of Warned
        What a user should know of the tags.
    duration : float
        Length of the audio in s, without those zeros.
    """

    starts: np.ndarray
    window: int
    seconds: np.ndarray
    warnings: tuple[Warned, ...]
    duration: float
    _kept: Spool
    _floor: np.float32 | None

    def __len__(self) -> int:
        return len(self.starts)

    def windows(self, begin: int, end: int) -> np.ndarray:
        """Windows `begin` to `end`: float32 [n, window] or [n, window, n_mels]."""
        cut = [self._kept.read(start, self.window) for start in self.starts[begin:end]]
        windows = np.stack(cut)
        if windows.dtype == np.int16:
            return from_pcm16(windows)
        return windows if self._floor is None else np.maximum(windows, self._floor)


class Spool:
    """Rows that are appended, then read: in memory, or above `limit` bytes in a file."""

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._limit = limit
        self._parts: list[np.ndarray] = []
        self._file: BinaryIO | None = None
        self._bytes = self.length = 0

    def append(self, rows: np.ndarray) -> None:
        """Add rows [n, ...], all of one dtype and width."""
        self._dtype, self._width = rows.dtype, rows.shape[1:]
        self._bytes += rows.nbytes
        self.length += len(rows)
        self._parts.append(rows)
        if self._file is None and self._bytes > self._limit:
            self._file = tempfile.TemporaryFile(prefix="orpheus-")  # noqa: SIM115  lives as long
            weakref.finalize(self, self._file.close)
        if self._file is not None:
            for part in self._parts:
                self._file.write(np.ascontiguousarray(part).data)
            self._parts = []

    def read(self, start: int, count: int) -> np.ndarray:
        """Rows [count, ...] from `start`."""
        if self._file is None:
            if len(self._parts) > 1:
                self._parts = [np.concatenate(self._parts)]
            return self._parts[0][start : start + count]
        row = int(np.prod(self._width, dtype=int))
        self._file.seek(int(start) * row * self._dtype.itemsize)
        data = self._file.read(count * row * self._dtype.itemsize)
        return np.frombuffer(data, self._dtype).reshape(-1, *self._width)


def load_track(
    source: str | io.BytesIO, info: ModelInfo, max_seconds: float | None = None
) -> Track:
    """Decode a file as :func:`beam_pipelines.audio.decode.load_clip` does, in blocks.

    Parameters
    ----------
    source : str or io.BytesIO
        A file on this machine, or its content.
    info : ModelInfo
        The model that the windows are for.
    max_seconds : float, optional
        Longest audio that is wanted, in s.

    Returns
    -------
    Track

    Raises
    ------
    AudioError
        As load_clip does; TOO_LONG as soon as more than `max_seconds` have been decoded.
    OSError
        If the file cannot be read.
    """
    with contextlib.ExitStack() as stack:
        stream: BinaryIO
        if isinstance(source, io.BytesIO):
            stream = source
        else:
            stream = stack.enter_context(open(source, "rb", buffering=0))
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):  # read but once: a pipe
                stream = io.BytesIO(stream.read())
        if stream.seek(0, os.SEEK_END) == 0:
            raise AudioError(Reason.EMPTY_FILE)

        def take(blocks: Mono) -> tuple[Track, SilenceMeter]:
            meter = SilenceMeter()
            return _keep(pcm_blocks(blocks, info.spec.sample_rate, meter), info), meter

        (track, meter), hearing = hear(stream, take, np.inf if max_seconds is None else max_seconds)
    found = {
        Warned.PADDED: track.duration < info.min_samples / info.spec.sample_rate,
        Warned.SILENT: meter.read(hearing.rate).is_silent,
        Warned.CUT_SHORT: hearing.cut_short > 0,
        Warned.ONE_CHANNEL: hearing.only_channel is not None,
    }
    return dataclasses.replace(track, warnings=tuple(w for w, is_so in found.items() if is_so))


def window_starts(length: int, window: int) -> np.ndarray:
    """Starts of the windows that cover a clip: 0, W, 2W, …, the last one aligned to the end.

    Parameters
    ----------
    length : int
        Samples or frames of the clip, at least one window.
    window : int
        Samples or frames of a window.

    Returns
    -------
    np.ndarray, int64 [ceil(length / window)]
    """
    return np.minimum(np.arange(-(-length // window)) * window, length - window)


def _keep(blocks: Iterator[np.ndarray], info: ModelInfo) -> Track:
    """Spool a file's samples, or their spectrogram, and plan its windows."""
    spec, window = info.spec, info.window
    is_log_mel = info.frontend == LOG_MEL
    least = info.min_samples
    length = 0

    def padded() -> Iterator[np.ndarray]:
        nonlocal length
        for block in blocks:
            length += len(block)
            yield block
        if length < least:
            yield np.zeros(least - length, np.int16)

    kept, highest = Spool(), -np.inf
    for rows in _frames(padded(), spec) if is_log_mel else padded():
        kept.append(rows)
        if is_log_mel and rows.size:
            highest = max(highest, rows.max())
    has_floor = is_log_mel and spec.compression == "db"
    floor = np.float32(highest) - np.float32(spec.top_db) if has_floor else None
    starts = window_starts(kept.length, window)
    seconds = starts * info.hop / spec.sample_rate
    duration = length / spec.sample_rate
    return Track(starts, window, seconds, (), duration, kept, floor)


def _frames(blocks: Iterator[np.ndarray], spec: AudioSpec) -> Iterator[np.ndarray]:
    """Log-mel frames, float32 [n, n_mels], of a clip that comes in blocks of int16."""
    hop, n_fft = spec.hop_length, spec.n_fft
    signal = np.zeros(n_fft // 2, np.float32)  # frames are centred: zeros before the clip
    n_samples = n_made = 0
    for block in blocks:
        n_samples += len(block)
        signal = np.concatenate([signal, from_pcm16(block)])
        n = (len(signal) - n_fft) // hop + 1
        if n > 0:
            yield mel_levels(signal[: (n - 1) * hop + n_fft], spec)
            signal = signal[n * hop :]
            n_made += n
    n = spec.n_frames(n_samples) - n_made
    if n > 0:
        end = np.zeros((n - 1) * hop + n_fft, np.float32)
        signal = signal[: len(end)]
        end[: len(signal)] = signal
        yield mel_levels(end, spec)

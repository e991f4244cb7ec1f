"""Where a clip sounds, and the four filters on it; pure functions on arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from schemas.audio_spec import PCM_FULL_SCALE

# What rounding to the stored 16 bits, or dither, leaves of nothing is under one step
# (-90.3 dBFS). Digital silence and antiphase stereo decode to 0; a clip at -70 dB under a
# normal one has frames of -86 dBFS, and is quiet but not silent.
SILENT_RMS = 1 / PCM_FULL_SCALE

_TOP_DB = 60.0
_FRAME, _HOP = 2048, 512


@dataclasses.dataclass(frozen=True)
class SilenceStats:
    """Where a clip sounds; all times in s from its start.

    Attributes
    ----------
    audio_start, audio_end : float
        Start of the first and end of the last sounding interval; 0 in a silent clip.
    effective_clip_length : float
        ``audio_end - audio_start``.
    mid_silence_length : float
        Sum of the silences between sounding intervals.
    max_silence_length : float
        The longest of them; 0 if there is none.
    non_silence_length : float
        ``effective_clip_length - mid_silence_length``.
    silence_percentage : float
        ``mid_silence_length / effective_clip_length * 100``; 0 in a silent clip.
    silence_detail : tuple of (float, float)
        Start and end of each silence between sounding intervals.
    is_silent : bool
        No frame reaches the absolute level :data:`SILENT_RMS`.
    """

    audio_start: float
    audio_end: float
    effective_clip_length: float
    mid_silence_length: float
    max_silence_length: float
    non_silence_length: float
    silence_percentage: float
    silence_detail: tuple[tuple[float, float], ...]
    is_silent: bool


class SilenceMeter:
    """Silence statistics of a clip that comes in blocks.

    A frame (2048 samples, hop 512, centred, zeros outside) sounds when its RMS is within
    60 dB of the loudest frame's. The clip itself must reach :data:`SILENT_RMS` first.

    Notes
    -----
    The intervals are those of ``librosa.effects.split(mono, top_db=60)`` in clips whose
    loudest frame is over -40 dBFS. In quieter ones librosa's lower bound of -100 dBFS
    swallows the threshold and all counts as sounding.
    """

    def __init__(self) -> None:
        self._energies: list[np.ndarray] = []  # sums of squares of one hop each
        self._rest = np.zeros(0, np.float32)
        self._n_samples = 0

    def add(self, mono: np.ndarray) -> None:
        """Add the next block, float32 [n]."""
        self._n_samples += len(mono)
        if len(self._rest):
            mono = np.concatenate([self._rest, mono])
        whole = len(mono) // _HOP
        hops = mono[: whole * _HOP].reshape(whole, _HOP)
        self._energies.append(np.einsum("ij,ij->i", hops, hops))
        self._rest = mono[whole * _HOP :]

    def read(self, rate: int) -> SilenceStats:
        """The statistics of what was added, at so many Hz."""
        energy = self._frame_energy()
        loudest = float(energy.max(initial=0))
        if loudest < SILENT_RMS**2 * _FRAME:
            return SilenceStats(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (), True)
        sounding = np.zeros(len(energy) + 2, bool)
        sounding[1:-1] = energy > loudest * 10 ** (-_TOP_DB / 10)
        edges = np.flatnonzero(sounding[1:] != sounding[:-1])
        seconds = [float(edge) for edge in np.minimum(edges * _HOP, self._n_samples) / rate]
        return _describe(seconds)

    def _frame_energy(self) -> np.ndarray:
        """Sum of squares of each centred frame, float32 [1 + n // 512].

        Frames are sums of four hops, so that each sample is squared once and no frame is
        copied; the padding of half a frame is two hops of zeros at each end.
        """
        whole = self._n_samples // _HOP
        hops = np.zeros(-(-self._n_samples // _HOP) + 5, np.float32)
        if whole:
            hops[2 : 2 + whole] = np.concatenate(self._energies)
        if len(self._rest):
            hops[2 + whole] = np.dot(self._rest, self._rest)
        sums = hops[:-3] + hops[1:-2] + hops[2:-1] + hops[3:]
        return sums[: 1 + whole]


def _describe(seconds: Sequence[float]) -> SilenceStats:
    """From the times at which sound begins and ends."""
    start, end = seconds[0], seconds[-1]
    gaps = tuple(zip(seconds[1:-1:2], seconds[2:-1:2], strict=True))
    lengths = [stop - begin for begin, stop in gaps]
    effective, mid = end - start, sum(lengths)
    return SilenceStats(
        audio_start=start,
        audio_end=end,
        effective_clip_length=effective,
        mid_silence_length=float(mid),
        max_silence_length=max(lengths, default=0.0),
        non_silence_length=effective - mid,
        silence_percentage=mid / effective * 100,
        silence_detail=gaps,
        is_silent=False,
    )

"""Where a clip sounds, and the four filters on it; pure functions on arrays."""

from __future__ import annotations

import dataclasses

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


def measure_silence(mono: np.ndarray, rate: int) -> SilenceStats:
    """Silence statistics of a clip.

    A frame (2048 samples, hop 512, centred, zeros outside) sounds when its RMS is within
    60 dB of the loudest frame's. The clip itself must reach :data:`SILENT_RMS` first.

    Parameters
    ----------
    mono : np.ndarray, float32 [n]
    rate : int
        Hz.

    Returns
    -------
    SilenceStats

    Notes
    -----
    The intervals are those of ``librosa.effects.split(mono, top_db=60)`` in clips whose
    loudest frame is over -40 dBFS. In quieter ones librosa's lower bound of -100 dBFS
    swallows the threshold and all counts as sounding.
    """
    energy = _frame_energy(mono)
    loudest = float(energy.max(initial=0))
    if loudest < SILENT_RMS**2 * _FRAME:
        return SilenceStats(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (), True)
    sounding = np.zeros(len(energy) + 2, bool)
    sounding[1:-1] = energy > loudest * 10 ** (-_TOP_DB / 10)
    edges = np.flatnonzero(sounding[1:] != sounding[:-1])
    seconds = [float(edge) for edge in np.minimum(edges * _HOP, len(mono)) / rate]
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


def _frame_energy(mono: np.ndarray) -> np.ndarray:
    """Sum of squares of each centred frame, float32 [1 + n // 512].

    Frames are sums of four blocks of one hop, so that each sample is squared once and no
    frame is copied; the padding of half a frame is two blocks of zeros at each end.
    """
    n_blocks = -(-len(mono) // _HOP)
    whole = len(mono) // _HOP
    blocks = np.zeros(n_blocks + 5, np.float32)
    body = mono[: whole * _HOP].reshape(whole, _HOP)
    blocks[2 : 2 + whole] = np.einsum("ij,ij->i", body, body)
    if n_blocks > whole:
        blocks[2 + whole] = np.dot(mono[whole * _HOP :], mono[whole * _HOP :])
    sums = blocks[:-3] + blocks[1:-2] + blocks[2:-1] + blocks[3:]
    return sums[: 1 + whole]

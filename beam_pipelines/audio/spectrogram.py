"""Log-mel spectrograms; pure functions on arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.audio_spec import AudioSpec, mel_filters

_FRAMES_AT_ONCE = 512


def log_mel(samples: np.ndarray, spec: AudioSpec) -> np.ndarray:
    """Log-mel spectrogram of a whole clip.

    Parameters
    ----------
    samples : np.ndarray, float32 [n]
        At the spec's rate, full scale 1.
    spec : AudioSpec

    Returns
    -------
    np.ndarray, float32 [1 + n // hop_length, n_mels]
        dB re 1 with a floor under the clip's maximum, or log10(10000 S + 1).
    """
    n_frames = spec.n_frames(len(samples))
    padded = np.zeros((n_frames - 1) * spec.hop_length + spec.n_fft, np.float32)
    half = spec.n_fft // 2
    padded[half : half + len(samples)] = samples[: len(padded) - half]
    levels = mel_levels(padded, spec)
    if spec.compression == "log10":
        return levels
    result: np.ndarray = np.maximum(levels, levels.max() - np.float32(spec.top_db))
    return result


def mel_levels(signal: np.ndarray, spec: AudioSpec) -> np.ndarray:
    """Log-mel frames of a piece of a signal, without the floor under a clip's maximum.

    Parameters
    ----------
    signal : np.ndarray, float32 [n_fft + n * hop_length]
        At the spec's rate; the first frame looks at its first `n_fft` samples.
    spec : AudioSpec

    Returns
    -------
    np.ndarray, float32 [n + 1, n_mels]
        dB re 1, or log10(10000 S + 1).
    """
    rfft = _rfft()
    filters = mel_filters(spec).T
    window = _hann(spec.n_fft)
    frames = np.lib.stride_tricks.sliding_window_view(signal, spec.n_fft)[:: spec.hop_length]
    mel = np.empty((len(frames), spec.n_mels), np.float32)
    for begin in range(0, len(frames), _FRAMES_AT_ONCE):  # small enough for the cache
        end = begin + _FRAMES_AT_ONCE
        spectrum = rfft(frames[begin:end] * window)
        mel[begin:end] = (spectrum.real**2 + spectrum.imag**2) @ filters
    if spec.compression == "log10":
        result: np.ndarray = np.log10(np.float32(10000) * mel + np.float32(1))
        return result
    return np.float32(10) * np.log10(np.maximum(mel, np.float32(spec.amin)))


def _rfft() -> Callable[[np.ndarray], np.ndarray]:
    """SciPy's transform takes a third of the time; the lite player does without SciPy."""
    try:
        from scipy.fft import rfft
    except ImportError:
        from numpy.fft import rfft
    result: Callable[[np.ndarray], np.ndarray] = rfft
    return result


def _hann(n: int) -> np.ndarray:
    """Periodic Hann window; scipy.signal has one, but takes most of a second to import."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)

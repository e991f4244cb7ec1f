"""Sounds, and their bytes as audio files."""

import io

import numpy as np
import soundfile


def encode(samples, rate=22050, kind="WAV", subtype=None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


def tone(seconds=2.0, rate=22050, channels=1, level=0.3) -> np.ndarray:
    """Sine waves of another pitch in each channel, float32 [samples, channels]."""
    time = np.arange(int(seconds * rate)) / rate
    pitches = 220 * 1.5 ** np.arange(channels)
    return (level * np.sin(2 * np.pi * time[:, None] * pitches)).astype(np.float32)

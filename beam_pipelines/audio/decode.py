"""From the bytes of a file to samples.

Pure functions on bytes and arrays; neither Beam nor TensorFlow is imported, and of the rest
only NumPy, soundfile and soxr are needed, so that the lite player can afford it.
:func:`load_clip` is the one way in which the writer and the service come by samples, so that
what is stored is what is served.
"""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import soxr

from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.hear import hear
from schemas.audio_spec import PCM_FULL_SCALE, AudioSpec
from schemas.rejects import Reason


@dataclasses.dataclass(frozen=True)
class Clip:
    """One decoded file.

    Attributes
    ----------
    pcm : np.ndarray, int16 [samples]
        Mono signal at the spec's rate, as it is stored (full scale 32768).
    mono : np.ndarray, float32 [n]
        Mono signal at the file's own rate, for the silence statistics.
    rate : int
        The file's own rate in Hz.
    channels : int
        Channels in the file.
    """

    pcm: np.ndarray
    mono: np.ndarray
    rate: int
    channels: int

    @property
    def samples(self) -> np.ndarray:
        """float32 [samples] at the spec's rate: the stored samples, full scale 1."""
        return from_pcm16(self.pcm)

    @property
    def duration(self) -> float:
        """Length of what was decoded in s."""
        return len(self.mono) / self.rate


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """Decode a file whole, see :func:`beam_pipelines.audio.hear.hear`.

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    np.ndarray, float32 [samples, channels]
        Full scale 1.
    int
        Sample rate in Hz.

    Raises
    ------
    AudioError
        EMPTY_FILE, UNDECODABLE or NO_SAMPLES.
    """
    if not data:
        raise AudioError(Reason.EMPTY_FILE)
    samples, rate = hear(io.BytesIO(data), -1, next)
    if not len(samples):
        raise AudioError(Reason.NO_SAMPLES)
    return samples, rate


def to_mono(samples: np.ndarray) -> np.ndarray:
    """Mean of the channels.

    Parameters
    ----------
    samples : np.ndarray, float32 [n, channels]

    Returns
    -------
    np.ndarray, float32 [n]
    """
    if samples.shape[1] == 1:
        return samples[:, 0]
    if samples.shape[1] == 2:  # a tenth of the time of mean, the same values
        mono: np.ndarray = (samples[:, 0] + samples[:, 1]) * np.float32(0.5)
        return mono
    return np.asarray(samples.mean(axis=1, dtype=np.float32))


def resample(mono: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Resample with soxr's high quality.

    Parameters
    ----------
    mono : np.ndarray, float32 [n]
    rate, target : int
        Rates in Hz; the signal itself comes back where they are equal.

    Returns
    -------
    np.ndarray, float32 [about n * target / rate]
    """
    if rate == target:
        return mono
    result: np.ndarray = soxr.resample(mono, rate, target, quality="HQ")
    return result


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Round to 16 bits, clipping what is over full scale.

    Parameters
    ----------
    samples : np.ndarray, float32 [n]
        Full scale 1.

    Returns
    -------
    np.ndarray, int16 [n]
        Full scale 32768.
    """
    scaled = np.rint(samples * np.float32(PCM_FULL_SCALE))
    return np.clip(scaled, -PCM_FULL_SCALE, PCM_FULL_SCALE - 1, out=scaled).astype(np.int16)


def from_pcm16(pcm: np.ndarray) -> np.ndarray:
    """Samples of full scale 1, float32 [n], from 16-bit ones."""
    return pcm.astype(np.float32) * np.float32(1 / PCM_FULL_SCALE)


def load_clip(data: bytes, spec: AudioSpec) -> Clip:
    """Decode a file, mix it down, resample it once and round it to 16 bits.

    Parameters
    ----------
    data : bytes
        A whole file.
    spec : AudioSpec
        Gives the rate.

    Returns
    -------
    Clip

    Raises
    ------
    AudioError
        As :func:`decode`; also NO_SAMPLES where nothing is left at the spec's rate.
    """
    samples, rate = decode(data)
    mono = to_mono(samples)
    pcm = to_pcm16(resample(mono, rate, spec.sample_rate))
    if not len(pcm):
        raise AudioError(Reason.NO_SAMPLES, f"{len(mono)} samples at {rate} Hz")
    return Clip(pcm, mono, rate, samples.shape[1])

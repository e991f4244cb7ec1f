"""From the bytes of a file to samples.

Pure functions on bytes and arrays; neither Beam nor TensorFlow is imported, and of the rest
only NumPy, soundfile and soxr are needed, so that the lite player can afford it.
:func:`load_clip` is the one way in which the writer and the service come by samples, so that
what is stored is what is served.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator

import numpy as np
import soxr

from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.hear import Hearing, Mono, hear
from beam_pipelines.audio.silence import SilenceMeter, SilenceStats
from schemas.audio_spec import PCM_FULL_SCALE, AudioSpec
from schemas.rejects import Reason


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is known of one decoded file beside its samples.

    Attributes
    ----------
    hearing : Hearing
        Decoder, rate, channels and length.
    stats : SilenceStats
        Where it sounds, at the file's own rate.
    """

    hearing: Hearing
    stats: SilenceStats


@dataclasses.dataclass(frozen=True)
class Clip(Measured):
    """One decoded file.

    Attributes
    ----------
    pcm : np.ndarray, int16 [samples]
        Mono signal at the spec's rate, as it is stored (full scale 32768).
    """

    pcm: np.ndarray

    @property
    def samples(self) -> np.ndarray:
        """float32 [samples] at the spec's rate: the stored samples, full scale 1."""
        return from_pcm16(self.pcm)


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


def pcm_blocks(blocks: Mono, sample_rate: int, meter: SilenceMeter) -> Iterator[np.ndarray]:
    """Resample a recording that comes in blocks, and measure its silences on the way.

    Parameters
    ----------
    blocks : iterator of (np.ndarray, int)
        As :func:`beam_pipelines.audio.hear.hear` gives them.
    sample_rate : int
        Hz that is wanted.
    meter : SilenceMeter
        Is given the blocks as they are.

    Yields
    ------
    np.ndarray, int16 [n]
        Samples as :func:`load_clip` has them.

    Raises
    ------
    AudioError
        NO_SAMPLES where there are none at the wanted rate.
    """
    resampler = None
    n_read = n_made = 0
    for mono, rate in blocks:
        meter.add(mono)
        n_read += len(mono)
        if rate != sample_rate:
            resampler = resampler or soxr.ResampleStream(rate, sample_rate, 1, quality="HQ")
            mono = resampler.resample_chunk(mono)
        n_made += len(mono)
        yield to_pcm16(mono)
    if resampler is not None:
        mono = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        n_made += len(mono)
        yield to_pcm16(mono)
    if not n_made:
        raise AudioError(Reason.NO_SAMPLES, f"{n_read} samples at {rate} Hz" if n_read else "")


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
        EMPTY_FILE, UNDECODABLE or NO_SAMPLES.
    """

    def take(blocks: Mono) -> tuple[np.ndarray, SilenceMeter]:
        meter, pcm = SilenceMeter(), bytearray()  # which grows in place: a list would be copied
        for block in pcm_blocks(blocks, spec.sample_rate, meter):
            pcm += block.data
        return np.frombuffer(pcm, np.int16), meter

    (pcm, meter), hearing = hear(_stream(data), take)
    return Clip(hearing, meter.read(hearing.rate), pcm)


def measure(data: bytes) -> Measured:
    """Decode a file and measure it, keeping none of its samples.

    Parameters
    ----------
    data : bytes
        A whole file.

    Raises
    ------
    AudioError
        EMPTY_FILE, UNDECODABLE or NO_SAMPLES.
    """

    def take(blocks: Mono) -> SilenceMeter:
        meter = SilenceMeter()
        for mono, _ in blocks:
            meter.add(mono)
        return meter

    meter, hearing = hear(_stream(data), take)
    return Measured(hearing, meter.read(hearing.rate))


def _stream(data: bytes) -> io.BytesIO:
    if not data:
        raise AudioError(Reason.EMPTY_FILE)
    return io.BytesIO(data)

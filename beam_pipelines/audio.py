"""From a file's bytes to samples, silence statistics and spectrograms.

Pure functions on bytes and arrays; neither Beam nor TensorFlow is imported, and librosa
only for the constants of the mel filters. :func:`load_clip` is the one way in which the
writer and the service come by samples, so that what is stored is what is served.
"""

from __future__ import annotations

import dataclasses
import io

import mutagen
import numpy as np
import scipy.fft
import scipy.signal
import soundfile
import soxr

from beam_pipelines.mpeg import intact_frames
from schemas.audio_spec import AudioSpec, mel_filters
from schemas.rejects import Reason

PCM_FULL_SCALE = 32768
# What rounding to the stored 16 bits, or dither, leaves of nothing is under one step
# (-90.3 dBFS). Digital silence and antiphase stereo decode to 0; a clip at -70 dB under a
# normal one has frames of -86 dBFS, and is quiet but not silent.
SILENT_RMS = 1 / PCM_FULL_SCALE

_TOP_DB = 60.0
_FRAME, _HOP = 2048, 512
_SAMPLE_RATES = range(1000, 1_000_001)
_LARGEST_SAMPLE = 1e6
_FRAMES_AT_ONCE = 512


class AudioError(Exception):
    """A file that gives no samples.

    Attributes
    ----------
    reason : Reason
        EMPTY_FILE, UNDECODABLE or NO_SAMPLES.
    detail : str
        What the decoder says; the same for the same bytes.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail

    def __reduce__(self):
        return AudioError, (self.reason, self.detail)


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


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a file's headers say; None where they say nothing.

    Attributes
    ----------
    duration : float or None
        Length in s. May come from a LAME header, which outlives a truncation.
    channels, sample_rate, bit_rate : int or None
        Channels, Hz and bit/s.
    """

    duration: float | None = None
    channels: int | None = None
    sample_rate: int | None = None
    bit_rate: int | None = None


@dataclasses.dataclass(frozen=True)
class Limits:
    """The four audio filters; each is off at 0.

    Attributes
    ----------
    min_file_size : int
        Bytes; a file must be larger.
    min_effective_length : float
        Shortest ``effective_clip_length`` in s, inclusive.
    max_total_silence : float
        Longest ``mid_silence_length`` in s, inclusive.
    max_silence : float
        Longest ``max_silence_length`` in s, inclusive.
    """

    min_file_size: int = 0
    min_effective_length: float = 0.0
    max_total_silence: float = 0.0
    max_silence: float = 0.0


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """Decode any format that libsndfile reads.

    A damaged MP3 stream is decoded from its intact frames.

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
    try:
        samples, rate = _read(data)
    except AudioError:
        frames = intact_frames(data)
        if not frames or frames == data:
            raise
        samples, rate = _read(frames)
    if not len(samples):
        raise AudioError(Reason.NO_SAMPLES)
    if rate not in _SAMPLE_RATES:
        raise AudioError(Reason.UNDECODABLE, f"sample rate of {rate} Hz")
    return samples, rate


def _read(data: bytes) -> tuple[np.ndarray, int]:
    try:
        file = soundfile.SoundFile(io.BytesIO(data))
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(Reason.UNDECODABLE, "no format that libsndfile reads") from error
    with file:
        rate, subtype = file.samplerate, file.subtype
        try:
            samples = file.read(dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(Reason.UNDECODABLE, error.error_string.strip()) from error
        except (RuntimeError, MemoryError, ValueError) as error:
            raise AudioError(Reason.UNDECODABLE, f"{file.frames} samples claimed") from error
    # `not <` so that NaN fails too.
    if subtype in ("FLOAT", "DOUBLE") and not np.abs(samples).max(initial=0) < _LARGEST_SAMPLE:
        raise AudioError(Reason.UNDECODABLE, "samples that are no audio levels")
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
        return (samples[:, 0] + samples[:, 1]) * np.float32(0.5)
    return samples.mean(axis=1, dtype=np.float32)


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
    return soxr.resample(mono, rate, target, quality="HQ")


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


def silence(mono: np.ndarray, rate: int) -> SilenceStats:
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
    filters = mel_filters(spec).T
    window = scipy.signal.get_window("hann", spec.n_fft).astype(np.float32)
    n_frames = spec.n_frames(len(samples))
    padded = np.zeros((n_frames - 1) * spec.hop_length + spec.n_fft, np.float32)
    half = spec.n_fft // 2
    padded[half : half + len(samples)] = samples[: len(padded) - half]
    frames = np.lib.stride_tricks.sliding_window_view(padded, spec.n_fft)[:: spec.hop_length]
    mel = np.empty((n_frames, spec.n_mels), np.float32)
    for begin in range(0, n_frames, _FRAMES_AT_ONCE):  # small enough for the cache
        end = begin + _FRAMES_AT_ONCE
        spectrum = scipy.fft.rfft(frames[begin:end] * window)
        mel[begin:end] = (spectrum.real**2 + spectrum.imag**2) @ filters
    if spec.compression == "log10":
        return np.log10(np.float32(10000) * mel + np.float32(1))
    decibels = np.float32(10) * np.log10(np.maximum(mel, np.float32(spec.amin)))
    return np.maximum(decibels, decibels.max() - np.float32(spec.top_db))


def probe(data: bytes) -> Probe:
    """Duration, channels and rates as the file's headers give them (mutagen).

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    Probe
        All None where mutagen knows no such file; never raises.
    """
    try:
        info = mutagen.File(io.BytesIO(data)).info
        return Probe(
            duration=_positive(info, "length", float),
            channels=_positive(info, "channels", int),
            sample_rate=_positive(info, "sample_rate", int),
            bit_rate=_positive(info, "bitrate", int),
        )
    except Exception:  # mutagen lets parsers' errors of every kind through
        return Probe()


def _positive(info, name: str, kind: type) -> float | int | None:
    value = getattr(info, name, None)
    return kind(value) if value and value > 0 else None


def failed_filter(size: int, stats: SilenceStats | None, limits: Limits) -> Reason | None:
    """The first of the four filters that a file does not pass.

    Parameters
    ----------
    size : int
        Bytes.
    stats : SilenceStats or None
        None judges the size alone, before the file is decoded.
    limits : Limits

    Returns
    -------
    Reason or None
        TOO_SMALL, EFFECTIVE_LENGTH, TOTAL_SILENCE, MAX_SILENCE; None for a file to keep.
    """
    if limits.min_file_size and size <= limits.min_file_size:
        return Reason.TOO_SMALL
    if stats is None:
        return None
    if limits.min_effective_length and stats.effective_clip_length < limits.min_effective_length:
        return Reason.EFFECTIVE_LENGTH
    if limits.max_total_silence and stats.mid_silence_length > limits.max_total_silence:
        return Reason.TOTAL_SILENCE
    if limits.max_silence and stats.max_silence_length > limits.max_silence:
        return Reason.MAX_SILENCE
    return None

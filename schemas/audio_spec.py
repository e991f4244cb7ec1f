"""The signal front end, stated once.

The writer, the trainer and the service all read an :class:`AudioSpec`; none
repeats a number of it. It travels in the data set's manifest and inside the
SavedModel.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from schemas.common.errors import UsageError

WAVEFORM = "waveform"
LOG_MEL = "log-mel-spectrogram"
AUDIO_FORMATS = (WAVEFORM, LOG_MEL)
COMPRESSIONS = ("db", "log10")

PCM_FULL_SCALE = 32768  # of the stored 16-bit samples


@dataclasses.dataclass(frozen=True)
class AudioSpec:
    """Sample rate and log-mel parameters of a data set or a model.

    Parameters
    ----------
    sample_rate : int
        Rate of the mono signal in Hz.
    n_mels : int
        Mel bands (Slaney scale and area normalisation, 0 Hz to Nyquist, as
        ``librosa.filters.mel``).
    n_fft : int
        Length of the periodic Hann window and of the FFT in samples.
    hop_length : int
        Samples between frames. Frames are centred: frame t looks at the signal
        around sample ``t * hop_length``, zeros outside the clip.
    compression : {'db', 'log10'}
        'db' is ``10 log10(max(S, amin))`` with everything more than ``top_db``
        under the clip's maximum raised to that floor; 'log10' is
        ``log10(10000 S + 1)`` (Pons et al. 2018), without a floor.
    top_db : float
        Floor under the clip's maximum in dB ('db' only).
    amin : float
        Smallest power told apart from silence ('db' only).

    Raises
    ------
    UsageError
        If a value makes no front end.
    """

    sample_rate: int = 16000
    n_mels: int = 96
    n_fft: int = 2048
    hop_length: int = 512
    compression: str = "db"
    top_db: float = 80.0
    amin: float = 1e-10

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_mels", "n_fft", "hop_length"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} is {value!r}: it must be a positive whole number")
        if self.compression not in COMPRESSIONS:
            raise UsageError(
                f"compression is {self.compression!r}: allowed are {', '.join(COMPRESSIONS)}"
            )
        if self.hop_length > self.n_fft:
            raise UsageError(
                f"hop_length {self.hop_length} is larger than n_fft {self.n_fft}: "
                "samples between the frames would be lost"
            )
        if self.n_mels > self.n_fft // 2:
            raise UsageError(f"n_mels {self.n_mels} is too many for n_fft {self.n_fft}")

    def n_frames(self, n_samples: int) -> int:
        """Frames of a clip of `n_samples` samples (centred frames)."""
        return 1 + n_samples // self.hop_length

    def window_samples(self, seconds: float) -> int:
        """Samples in a window of `seconds`."""
        return int(round(seconds * self.sample_rate))

    def window_frames(self, seconds: float) -> int:
        """Frames in a window of `seconds`: whole hops that fit (15 s: 468 at hop 512)."""
        return int(seconds * self.sample_rate / self.hop_length)

    def hop(self, frontend: str) -> int:
        """Samples from one step of a model's window to the next: of a frame, or 1."""
        return self.hop_length if frontend == LOG_MEL else 1

    def min_samples(self, frontend: str, window: int) -> int:
        """Samples that fill a window of samples, or of as many centred frames."""
        return (window - 1) * self.hop_length if frontend == LOG_MEL else window

    def to_json(self) -> dict[str, Any]:
        """The spec as a dictionary of JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AudioSpec:
        """The spec of a dictionary written by :meth:`to_json`."""
        return cls(**values)


@functools.lru_cache(maxsize=8)
def mel_filters(spec: AudioSpec) -> np.ndarray:
    """Mel filter bank of a spec: triangles of equal area.

    Returns
    -------
    np.ndarray, float32 [n_mels, 1 + n_fft // 2]
        As ``librosa.filters.mel(sr=..., n_fft=..., n_mels=...)``, which takes a second to
        import; read-only.

    References
    ----------
    M. Slaney, Auditory Toolbox (1998): linear up to 1 kHz, logarithmic above.
    """
    highest = _hz_to_mel(spec.sample_rate / 2)
    corners = _mel_to_hz(np.linspace(0.0, highest, spec.n_mels + 2))
    bins = np.fft.rfftfreq(spec.n_fft, 1 / spec.sample_rate)
    distance = corners[:, None] - bins
    width = np.diff(corners)[:, None]
    triangles = np.minimum(-distance[:-2] / width[:-1], distance[2:] / width[1:])
    filters = np.maximum(0, triangles).astype(np.float32)
    filters *= (2 / (corners[2:] - corners[:-2]))[:, None]
    filters.setflags(write=False)
    result: np.ndarray = filters
    return result


_HZ_A_MEL = 200 / 3  # below the knee
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _HZ_A_MEL
_LOG_STEP = np.log(6.4) / 27.0  # of the frequency, a mel above the knee


def _hz_to_mel(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz / _HZ_A_MEL
    return float(_KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return np.where(mel >= _KNEE_MEL, above, mel * _HZ_A_MEL)

"""Single sounds of the synthetic corpus: tones, plucked strings, drums, voices, effects.

Every function returns a new float32 array of samples at `rate` Hz; pitches are MIDI
numbers (69 is 440 Hz), times are in seconds.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal

_CYCLE = 2048

# Formant frequencies in Hz of men and women, averages of Peterson & Barney, "Control methods
# used in a study of the vowels", JASA 24, 1952; a fifth of the energy goes by the fourth.
VOWELS = {
    "male": {
        "a": (730, 1090, 2440, 3400),
        "e": (530, 1840, 2480, 3400),
        "i": (270, 2290, 3010, 3500),
        "o": (570, 840, 2410, 3300),
        "u": (300, 870, 2240, 3200),
    },
    "female": {
        "a": (850, 1220, 2810, 4000),
        "e": (610, 2330, 2990, 4100),
        "i": (310, 2790, 3310, 4200),
        "o": (590, 920, 2710, 3900),
        "u": (370, 950, 2670, 3900),
    },
}


def hertz(pitch: float) -> float:
    """Frequency of a MIDI pitch in Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def partials(pitch: float, rate: int, tilt: float, odd: bool = False) -> np.ndarray:
    """Amplitudes of the harmonics under 45 % of the rate.

    Parameters
    ----------
    pitch : float
        MIDI number.
    rate : int
        Sample rate in Hz.
    tilt : float
        Harmonic k has amplitude ``k ** -tilt``: 1 is a saw, 2 or more is soft.
    odd : bool
        Leave the even harmonics out (square, clarinet).

    Returns
    -------
    np.ndarray, float64 [harmonics]
    """
    count = int(np.clip(0.45 * rate / hertz(pitch), 1, 64))
    number = np.arange(1, count + 1)
    return number**-tilt * (number % 2 if odd else 1.0)


def tone(
    pitch: float,
    seconds: float,
    rate: int,
    weights: np.ndarray,
    attack: float = 0.01,
    decay: float | None = None,
    vibrato: float = 0.0,
) -> np.ndarray:
    """A harmonic tone of unit RMS while it sounds.

    Parameters
    ----------
    weights : np.ndarray [harmonics]
        Amplitudes of the harmonics.
    attack : float
        Rise time in s.
    decay : float, optional
        Time constant of an exponential decay in s; without it the tone is held and released.
    vibrato : float
        Depth in semitones, at 5.5 Hz.

    Returns
    -------
    np.ndarray, float32 [samples]
    """
    spectrum = np.zeros(_CYCLE // 2 + 1, dtype=np.complex128)
    # alternating phases keep the peaks of rich tones down
    spectrum[1 : len(weights) + 1] = weights * np.exp(1j * np.arange(len(weights)) ** 2)
    cycle = scipy.fft.irfft(spectrum)
    cycle = (cycle / np.sqrt(np.mean(cycle**2))).astype(np.float32)
    time = np.arange(int(seconds * rate)) / rate
    phase = hertz(pitch) * time
    if vibrato:
        depth = hertz(pitch) * (2.0 ** (vibrato / 12.0) - 1.0)
        phase -= depth * np.cos(2 * np.pi * 5.5 * time) / (2 * np.pi * 5.5)
    sound = cycle[(phase * _CYCLE).astype(np.int64) % _CYCLE]
    result: np.ndarray = sound * envelope(len(sound), rate, attack, decay)
    return result


def envelope(n: int, rate: int, attack: float, decay: float | None = None) -> np.ndarray:
    """Rise, optional exponential decay, and a release of at most 30 ms.

    Returns
    -------
    np.ndarray, float32 [n]
    """
    shape = np.ones(n, dtype=np.float32)
    if decay is not None:
        shape = np.exp(-np.arange(n) / (decay * rate)).astype(np.float32)
    rise = min(max(int(attack * rate), 1), n)
    shape[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    fall = min(int(max(0.03, attack) * rate), n)
    shape[n - fall :] *= np.linspace(1, 0, fall, dtype=np.float32)
    return shape


def pluck(
    pitch: float, seconds: float, rate: int, noise: np.random.Generator, damping: float = 0.996
) -> np.ndarray:
    """A plucked string (Karplus & Strong, Computer Music Journal 7(2), 1983).

    Parameters
    ----------
    noise : np.random.Generator
        Source of the excitation.
    damping : float
        Loss a period: 0.99 is muted, 0.999 rings.
    """
    period = max(int(round(rate / hertz(pitch) - 0.5)), 2)
    n = int(seconds * rate)
    rows = -(-n // period) + 1
    string = np.zeros(rows * period, dtype=np.float32)
    string[:period] = noise.uniform(-1, 1, period)
    for row in range(1, rows):
        start = row * period
        last = string[start - period : start]
        before = np.concatenate([string[max(start - period - 1, 0)][None], last[:-1]])
        string[start : start + period] = damping * 0.5 * (last + before)
    result: np.ndarray = string[period : period + n] * envelope(n, rate, 0.002)
    return result


def kick(rate: int, pitch: float = 33.0, seconds: float = 0.28) -> np.ndarray:
    """A bass drum: a sine that falls from two octaves above to `pitch`, and a click."""
    time = np.arange(int(seconds * rate)) / rate
    sweep = hertz(pitch) * (time + 3 * 0.03 * (1 - np.exp(-time / 0.03)))
    sound = np.sin(2 * np.pi * sweep) * np.exp(-time / (0.4 * seconds))
    result: np.ndarray = (sound * envelope(len(time), rate, 0.001)).astype(np.float32)
    return result


def snare(
    rate: int, noise: np.random.Generator, pitch: float = 55.0, rattle: float = 0.7
) -> np.ndarray:
    """A snare drum: a short tone and noise (`rattle` is the noise's share)."""
    n = int(0.22 * rate)
    time = np.arange(n) / rate
    body = np.sin(2 * np.pi * hertz(pitch) * time) * np.exp(-time / 0.05)
    hiss = highpass(noise.standard_normal(n), rate, 1200) * np.exp(-time / 0.07)
    return ((1 - rattle) * body + 0.6 * rattle * hiss).astype(np.float32)


def cymbal(
    rate: int, noise: np.random.Generator, seconds: float, low: float = 6000.0
) -> np.ndarray:
    """A hi-hat (0.05 s closed, 0.25 s open), a ride or a crash (1 s and more).

    Parameters
    ----------
    seconds : float
        Length; the decay is a third of it.
    low : float
        Corner of the high-pass in Hz.
    """
    n = int(seconds * rate)
    hiss = highpass(noise.standard_normal(n), rate, low)
    result: np.ndarray = 0.5 * hiss * envelope(n, rate, 0.001, seconds / 3)
    return result


def voice(
    pitch: float,
    seconds: float,
    rate: int,
    vowel: str,
    sex: str,
    noise: np.random.Generator,
    size: float = 1.0,
    spoken: bool = False,
) -> np.ndarray:
    """One sung note or one spoken syllable.

    Parameters
    ----------
    vowel : {'a', 'e', 'i', 'o', 'u'}
        Formants.
    sex : {'male', 'female'}
        Which singer's formants.
    size : float
        Factor on the formants: the singer.
    spoken : bool
        A consonant before the vowel and no vibrato.
    """
    frequency = hertz(pitch) * np.arange(1, int(0.45 * rate / hertz(pitch)) + 1)
    shape = np.full(len(frequency), 0.004)
    for number, formant in enumerate(VOWELS[sex][vowel]):
        centre, width = size * formant, 70.0 + 0.04 * formant
        shape += 0.6**number / (1 + ((frequency - centre) / width) ** 2)
    weights = shape * (frequency / frequency[0]) ** -0.7
    sound = tone(
        pitch,
        seconds,
        rate,
        weights[:512],
        attack=0.012 if spoken else 0.06,
        decay=0.5 * seconds if spoken else None,
        vibrato=0.0 if spoken else 0.35,
    )
    breath = highpass(noise.standard_normal(len(sound)), rate, 3500).astype(np.float32)
    voice: np.ndarray
    if not spoken:
        voice = sound + 0.05 * breath * envelope(len(sound), rate, 0.06)
        return voice
    onset = int(0.035 * rate)
    sound = np.concatenate([np.zeros(onset, np.float32), sound])[: len(sound)]
    voice = sound + 0.8 * breath * envelope(len(sound), rate, 0.004, 0.018)
    return voice


def lowpass(sound: np.ndarray, rate: int, corner: float, order: int = 2) -> np.ndarray:
    """Butterworth low-pass with its corner in Hz."""
    return _filter(sound, rate, corner, order, "lowpass")


def highpass(sound: np.ndarray, rate: int, corner: float, order: int = 2) -> np.ndarray:
    """Butterworth high-pass with its corner in Hz."""
    return _filter(sound, rate, corner, order, "highpass")


def _filter(sound: np.ndarray, rate: int, corner: float, order: int, kind: str) -> np.ndarray:
    sections = scipy.signal.butter(order, min(corner, 0.45 * rate), kind, fs=rate, output="sos")
    result: np.ndarray = scipy.signal.sosfilt(sections.astype(np.float32), sound.astype(np.float32))
    return result


def drive(sound: np.ndarray, gain: float, rate: int, cabinet: float = 4000.0) -> np.ndarray:
    """Distortion: the sound at unit RMS times `gain` into tanh, then a low-pass at `cabinet` Hz."""
    level = np.sqrt(np.mean(sound**2)) + 1e-9
    return lowpass(np.tanh(sound * np.float32(gain / level)), rate, cabinet, 4)


def reverb(
    sound: np.ndarray, rate: int, seconds: float, wet: float, noise: np.random.Generator
) -> np.ndarray:
    """Mix with a room: convolution with noise that decays by 60 dB in `seconds`.

    Parameters
    ----------
    wet : float
        RMS of the room over that of the sound.
    """
    n = int(seconds * rate)
    response = noise.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    response = lowpass(response / np.sqrt(np.sum(response**2)), rate, 5000)
    size = scipy.fft.next_fast_len(len(sound) + n, real=True)
    room = scipy.fft.irfft(scipy.fft.rfft(sound, size) * scipy.fft.rfft(response, size), size)[
        : len(sound)
    ]
    result: np.ndarray = sound + np.float32(wet) * room
    return result


def tape(sound: np.ndarray, rate: int, corner: float, noise: np.random.Generator) -> np.ndarray:
    """A worn cassette: nothing over `corner` Hz, nothing under 80 Hz, hiss and crackle."""
    level = np.sqrt(np.mean(sound**2))
    worn = highpass(lowpass(np.tanh(1.5 * sound), rate, corner, 6), rate, 80)
    hiss = 0.06 * noise.standard_normal(len(sound), dtype=np.float32)
    crackle = noise.random(len(sound), dtype=np.float32) < 8.0 / rate
    hiss[crackle] += noise.uniform(-3, 3, int(crackle.sum())).astype(np.float32)
    result: np.ndarray = worn + level * lowpass(hiss, rate, 1.4 * corner)
    return result

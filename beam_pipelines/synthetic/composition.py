"""The score of a synthetic piece: an artist's style, and notes laid on a track."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from beam_pipelines.synthetic import instruments

# Genre to its range of tempos in beats a minute.
TEMPOS = {
    "rock": (108, 150),
    "metal": (140, 190),
    "jazz": (100, 180),
    "Classical": (60, 100),
    "folk": (84, 124),
    "techno": (122, 142),
    "ambient": (56, 76),
    "Hip-Hop": (76, 100),
}
CHILLOUT = "chillout"  # the tag that slows a piece down

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_PROGRESSIONS = ((0, 4, 5, 3), (0, 3, 4, 4), (0, 5, 3, 4), (0, 3), (1, 4, 0, 5), (0, 6, 5, 4))


Note = tuple[Any, ...]  # time and gain, then what an instrument is called with


@dataclasses.dataclass(frozen=True)
class Style:
    """What the pieces of one artist have in common.

    Attributes
    ----------
    genre : str
        One of `TEMPOS`.
    tempo : float
        Beats a minute.
    key : int
        Pitch class, 0 is C.
    minor : bool
        Minor scale.
    chords : tuple of int
        Degrees of the scale, one a bar.
    brightness, balance, space : float
        0 to 1: corner of filters and tilt of harmonics; which of two instruments leads;
        size of the room.
    drum_pitch : float
        MIDI pitch of the bass drum.
    singer_pitch : float
        Semitones that the singer is off the middle of the range.
    singer_size : float
        Factor on the formants.
    """

    genre: str
    tempo: float
    key: int
    minor: bool
    chords: tuple[int, ...]
    brightness: float
    balance: float
    space: float
    drum_pitch: float
    singer_pitch: float
    singer_size: float


def artist_style(tags: Collection[str], seed: Sequence[int]) -> Style:
    """The style of an artist.

    Parameters
    ----------
    tags : collection of str
        Holds exactly one genre of `TEMPOS`; ``chillout`` halves the tempo's range.
    seed : sequence of int
        The artist's seed.

    Raises
    ------
    ValueError
        If there is not exactly one genre.
    """
    genres = [genre for genre in TEMPOS if genre in tags]
    if len(genres) != 1:
        raise ValueError(f"the tags {sorted(tags)} name {len(genres)} genres, not one")
    genre = genres[0]
    draw = np.random.default_rng(seed)
    slow, fast = map(float, TEMPOS[genre])
    if CHILLOUT in tags:
        fast = 0.5 * (slow + fast)
    return Style(
        genre=genre,
        tempo=round(draw.uniform(slow, fast), 1),
        key=int(draw.integers(12)),
        minor=bool(draw.random() < {"metal": 1.0, "techno": 0.8, "folk": 0.3}.get(genre, 0.5)),
        chords=_PROGRESSIONS[draw.integers(len(_PROGRESSIONS))],
        brightness=draw.random(),
        balance=draw.random(),
        space=draw.random(),
        drum_pitch=draw.uniform(29, 36),
        singer_pitch=draw.uniform(-3, 3),
        singer_size=draw.uniform(0.95, 1.08),
    )


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece that is being written.

    Attributes
    ----------
    style : Style
        Of its artist.
    seconds : float
        Length in s.
    rate : int
        Sample rate in Hz.
    dance : bool
        With a bass drum on every beat.
    draw : np.random.Generator
        Its own chance.
    """

    style: Style
    seconds: float
    rate: int
    dance: bool
    draw: np.random.Generator

    @property
    def beat(self) -> float:
        """A quarter note in s."""
        return 60.0 / self.style.tempo

    def pitch(self, degree: int, octave: int) -> int:
        """MIDI pitch of a degree of the scale (7 is the next octave's first)."""
        scale = _MINOR if self.style.minor else _MAJOR
        return 12 * (octave + 1 + degree // 7) + self.style.key + scale[degree % 7]

    def chord(self, time: float, octave: int, notes: int = 3) -> list[int]:
        """Pitches of the chord that sounds at `time`, in thirds from its root."""
        chords = self.style.chords
        degree = chords[int(time / (4 * self.beat) + 1e-6) % len(chords)]
        return [self.pitch(degree + 2 * k, octave) for k in range(notes)]

    def hits(self, pattern: str, swing: float = 0.0) -> list[tuple[float, float]]:
        """Times in s and gains of the marks of a bar's pattern, repeated to the end.

        'x' is a hit, '?' one in two, anything else a rest; `swing` delays every second step by
        a share of a step.
        """
        step = 4 * self.beat / len(pattern)
        out = []
        for number in range(int(self.seconds / step)):
            mark = pattern[number % len(pattern)]
            if mark == "x" or (mark == "?" and self.draw.random() < 0.5):
                time = step * (number + swing * (number % 2))
                out.append((time, self.draw.uniform(0.8, 1.0)))
        return out

    def play(self, events: Iterable[Note], instrument: Callable[..., np.ndarray]) -> np.ndarray:
        """Lay sounds on a track.

        Parameters
        ----------
        events : iterable of (time, gain, *note)
            Start in s, factor, and what the instrument is called with; equal notes are
            made once.
        instrument : callable
            Gives the samples of a note.

        Returns
        -------
        np.ndarray, float32 [samples]
        """
        track = np.zeros(int(self.seconds * self.rate), dtype=np.float32)
        made: dict[tuple[Any, ...], np.ndarray] = {}
        for time, gain, *note in events:
            key = tuple(note)
            if key not in made:
                made[key] = instrument(*note)
            start = int(time * self.rate)
            sound = made[key][: len(track) - start]
            track[start : start + len(sound)] += np.float32(gain) * sound
        return track

    def drums(self, patterns: dict[str, str], swing: float = 0.0) -> np.ndarray:
        """A drum kit: the name of a drum to its pattern."""
        rate, draw, style = self.rate, self.draw, self.style
        low = 5000 + 2500 * style.brightness
        kit: dict[str, Callable[[], np.ndarray]] = {
            "kick": lambda: instruments.kick(rate, style.drum_pitch),
            "thump": lambda: instruments.kick(rate, style.drum_pitch, 0.5),
            "snare": lambda: instruments.snare(rate, draw, style.drum_pitch + 22),
            "brush": lambda: 0.4 * instruments.snare(rate, draw, style.drum_pitch + 26, 1.0),
            "hat": lambda: 0.4 * instruments.cymbal(rate, draw, 0.06, low),
            "open": lambda: 0.5 * instruments.cymbal(rate, draw, 0.25, low),
            "ride": lambda: 0.5 * instruments.cymbal(rate, draw, 0.6, low - 1000),
            "crash": lambda: 0.7 * instruments.cymbal(rate, draw, 1.8, 3500),
        }
        events = [
            (time, gain, name)
            for name, pattern in patterns.items()
            for time, gain in self.hits(pattern, swing)
        ]
        return self.play(events, lambda name: kit[name]())

    def tones(self, tilt: float, odd: bool = False, **shape: Any) -> Callable[..., np.ndarray]:
        """An instrument of harmonic tones, called with pitch and seconds."""
        return lambda pitch, seconds: instruments.tone(
            pitch,
            seconds,
            self.rate,
            instruments.partials(pitch, self.rate, tilt - 0.4 * (self.style.brightness - 0.5), odd),
            **shape,
        )

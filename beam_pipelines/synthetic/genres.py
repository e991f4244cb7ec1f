"""Music for the sample corpus: from tags to sound.

A genre is a recipe of layers (drums, bass, chords, lead); the other tags change it where
it can be heard: who sings, who raps, a four-on-the-floor beat, a soft mix, a worn tape.
An artist has one style (key, tempo, chords, brightness, singer); a clip is a piece in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from beam_pipelines.synthetic import instruments
from beam_pipelines.synthetic.composition import CHILLOUT, Note, Piece, artist_style

FEMALE, MALE, RAP = "female vocalists", "male vocalists", "rap"
DANCE, LO_FI = "dance", "Lo-Fi"

_FOUR_ON_THE_FLOOR = {"kick": "x...x...x...x...", "open": "..x...x...x...x."}

Layer = tuple[str, float, np.ndarray]  # name, RMS level in the mix, samples


def synthesise(
    tags: Collection[str],
    artist_seed: Sequence[int],
    clip_seed: Sequence[int],
    seconds: float = 30.0,
    sample_rate: int = 22050,
    channels: int = 1,
) -> np.ndarray:
    """A clip that sounds like its tags.

    Parameters
    ----------
    tags : collection of str
        One genre of `TEMPOS`, and any of `FEMALE`, `MALE`, `RAP`, `DANCE`, `CHILLOUT`,
        `LO_FI`; others are not heard.
    artist_seed, clip_seed : sequence of int
        The same seeds give the same samples.
    seconds : float
        Length in s.
    sample_rate : int
        In Hz.
    channels : {1, 2}
        Stereo puts the layers at different places.

    Returns
    -------
    np.ndarray, float32 [samples, channels]
        With a peak between 0.5 and 0.8.
    """
    style = artist_style(tags, artist_seed)
    draw = np.random.default_rng(clip_seed)
    piece = Piece(style, seconds, sample_rate, DANCE in tags, draw)
    layers = _RECIPES[style.genre](piece)
    if CHILLOUT in tags and style.genre != "ambient":
        layers = [(n, 0.45 * x if n == "drums" else x, y) for n, x, y in layers]
        layers.append(("pad", 1.2, _pad(piece, 4)))
    sexes = [sex for sex, tag in (("female", FEMALE), ("male", MALE)) if tag in tags]
    for sex in sexes:
        layers.append(("voice", 1.8, _rapping(piece, sex) if RAP in tags else _singing(piece, sex)))
    if sexes:
        layers = [layer for layer in layers if layer[0] != "lead"]  # the singer has its place
    mix = _mix(layers, channels)
    if LO_FI in tags:
        corner = 2200 + 800 * style.brightness
        mix = np.stack([instruments.tape(x, sample_rate, corner, draw) for x in mix.T], axis=1)
    return mix * np.float32(draw.uniform(0.5, 0.8) / np.abs(mix).max())


def _mix(layers: Iterable[Layer], channels: int) -> np.ndarray:
    mix = np.zeros((1, channels), np.float32)
    for number, (_, level, sound) in enumerate(layers):
        side = 0.25 * np.pi * (1 + 0.5 * (-1) ** number * (number > 0))
        gains = np.array([np.cos(side), np.sin(side)] if channels == 2 else [1.0], np.float32)
        rms = np.sqrt(np.mean(sound**2)) + 1e-9
        mix = mix + (np.float32(level / rms) * sound)[:, None] * gains
    return mix


def _singing(piece: Piece, sex: str) -> np.ndarray:
    centre = (69 if sex == "female" else 50) + piece.style.singer_pitch
    scale = [piece.pitch(degree, 1) for degree in range(49)]
    scale = [pitch for pitch in scale if abs(pitch - centre) <= 6]
    place, time, events = len(scale) // 2, 0.0, []
    while time < piece.seconds:
        length = piece.beat * piece.draw.choice([0.5, 1, 1, 1.5, 2])
        place = int(np.clip(place + piece.draw.integers(-2, 3), 0, len(scale) - 1))
        if piece.draw.random() < 0.85:
            vowel = str(piece.draw.choice(list("aeiou")))
            events.append((time, piece.draw.uniform(0.7, 1), scale[place], round(length, 4), vowel))
        time += length
    size = piece.style.singer_size
    return piece.play(
        events, lambda p, s, v: instruments.voice(p, s, piece.rate, v, sex, piece.draw, size)
    )


def _rapping(piece: Piece, sex: str) -> np.ndarray:
    centre = (57 if sex == "female" else 45) + piece.style.singer_pitch
    events = []
    for time, gain in piece.hits("x?x?xxx?x?xxx??."):
        pitch = centre + float(piece.draw.integers(-2, 3))
        events.append((time, gain, pitch, str(piece.draw.choice(list("aeio")))))
    size = piece.style.singer_size

    def syllable(pitch: float, vowel: str) -> np.ndarray:
        length = 0.3 * piece.beat
        return instruments.voice(
            pitch, length, piece.rate, vowel, sex, piece.draw, size, spoken=True
        )

    return piece.play(events, syllable)


def _pad(piece: Piece, octave: int) -> np.ndarray:
    bar = round(4 * piece.beat, 4)
    events = [
        (time, 1.0, pitch + cents, 1.2 * bar)
        for time, _ in piece.hits("x")
        for pitch in piece.chord(time, octave)
        for cents in (-0.06, 0.06)
    ]
    return piece.play(events, piece.tones(1.7, attack=0.25 * bar))


def _melody(piece: Piece, octave: int, pattern: str, length: float) -> list[Note]:
    events = []
    for time, gain in piece.hits(pattern):
        pitch = piece.chord(time, octave, 5)[piece.draw.integers(5)]
        events.append((time, gain, pitch, round(length * piece.beat, 4)))
    return events


def _bass(piece: Piece, pattern: str, length: float, octave: int = 1) -> list[Note]:
    seconds = round(length * piece.beat, 4)
    return [(t, gain, piece.chord(t, octave)[0], seconds) for t, gain in piece.hits(pattern)]


def _techno(piece: Piece) -> list[Layer]:
    rate, bright = piece.rate, piece.style.brightness
    beat = _FOUR_ON_THE_FLOOR | {"hat": "x?xxx?xxx?xxx?xx", "snare": "....?.......?..."}
    bass = piece.play(_bass(piece, ".xxx.xx?.xxx.x?x", 0.2, 2), piece.tones(1.0))
    stabs = [
        (time, gain, pitch, round(0.35 * piece.beat, 4))
        for time, gain in piece.hits("..x..?x.....x..?")
        for pitch in piece.chord(time, 4)
    ]
    return [
        ("drums", 1.2, piece.drums(beat)),
        ("bass", 0.7, instruments.lowpass(bass, rate, 500 + 1200 * bright, 4)),
        ("chords", 0.35, piece.play(stabs, piece.tones(0.9, attack=0.005, decay=0.12))),
        (
            "lead",
            0.35,
            piece.play(_melody(piece, 5, "x..x..x.x..x..?.", 0.25), piece.tones(1, True)),
        ),
    ]


def _ambient(piece: Piece) -> list[Layer]:
    rate, draw = piece.rate, piece.draw
    bells = piece.play(_melody(piece, 5, "?...?..?", 3.0), piece.tones(2.5, decay=0.9))
    wind = draw.standard_normal(int(piece.seconds * rate), dtype=np.float32)
    pads = _pad(piece, 3) + (0.3 + 0.5 * piece.style.balance) * _pad(piece, 4)
    room = 2.0 + 3.0 * piece.style.space
    return [
        ("pad", 1.0, instruments.reverb(pads, rate, room, 0.7, draw)),
        ("lead", 0.2, instruments.reverb(bells, rate, room, 0.8, draw)),
        ("wind", 0.06, instruments.lowpass(wind, rate, 700 + 1500 * piece.style.brightness)),
    ]


def _guitar(piece: Piece, events: Iterable[Note], gain: float, cabinet: float) -> np.ndarray:
    chords = [
        (time, level, root + above, seconds)
        for time, level, root, seconds in events
        for above in (0, 7, 12)
    ]
    clean = piece.play(chords, piece.tones(1.0, attack=0.003, decay=0.6))
    return instruments.drive(clean, gain, piece.rate, cabinet)


def _rock(piece: Piece) -> list[Layer]:
    beat = {"kick": "x.....x?x.x.....", "snare": "....x.......x..?", "hat": "x.x.x.x.x.x.x.x."}
    if piece.dance:
        beat = _FOUR_ON_THE_FLOOR | {"snare": "....x.......x..."}
    strums = "x...x.x.x...x.x." if piece.style.balance < 0.5 else "x.x.x.x.x.x.x.x."
    cabinet = 2800 + 1500 * piece.style.brightness
    solo = piece.play(_melody(piece, 4, "x.?.x.?.x...x.??", 0.6), piece.tones(1.0, vibrato=0.3))
    return [
        ("drums", 0.9, piece.drums(beat)),
        (
            "bass",
            0.6,
            piece.play(_bass(piece, "x.x.x.x.x.x.x.x.", 0.5), piece.tones(1.8, decay=0.5)),
        ),
        ("guitar", 0.9, _guitar(piece, _bass(piece, strums, 0.6, 2), 3.0, cabinet)),
        ("lead", 0.5, instruments.drive(solo, 3.0, piece.rate, cabinet)),
    ]


def _metal(piece: Piece) -> list[Layer]:
    beat = {
        "kick": "xxxxxxxxxxxxxxxx" if piece.style.balance < 0.5 else "xxx.xxx.xxxxxxx.",
        "snare": "....x.......x...",
        "ride": "x...x...x...x...",
        "crash": "x...............",
    }
    cabinet = 5000 + 2000 * piece.style.brightness
    muted = _bass(piece, "xxx?xxx?xxx?xxxx", 0.2, 1)
    held = _bass(piece, "x.......x.....?.", 1.5, 1)
    solo = piece.play(_melody(piece, 5, "xxxxxxxxxxxxxxxx", 0.25), piece.tones(1.0))
    return [
        ("drums", 0.9, piece.drums(beat)),
        ("guitar", 1.2, _guitar(piece, muted + held, 12.0, cabinet)),
        ("lead", 0.45, instruments.drive(solo, 8.0, piece.rate, cabinet)),
    ]


def _jazz(piece: Piece) -> list[Layer]:
    beat = {"ride": "x..x.xx..x.x", "brush": "...x..?..x.?", "kick": "?.....?....."}
    walk = [
        (time, gain, pitches[piece.draw.integers(4)], round(0.9 * piece.beat, 4))
        for time, gain in piece.hits("xxxx")
        for pitches in [piece.chord(time, 2, 4)]
    ]
    comping = [
        (time, gain, pitch, round(0.7 * piece.beat, 4))
        for time, gain in piece.hits("?..x.?..?..x")
        for pitch in piece.chord(time, 4, 4)
    ]
    solo = _melody(piece, 4, "x.?x.xx.?x.x", 0.6)
    reed = piece.tones(1.2, odd=piece.style.balance < 0.5, attack=0.04, vibrato=0.2)
    return [
        ("drums", 0.5, piece.drums(beat)),
        ("bass", 0.8, piece.play(walk, piece.tones(2.2, decay=0.35))),
        ("chords", 0.6, piece.play(comping, piece.tones(1.8, attack=0.004, decay=0.4))),
        ("lead", 0.7, piece.play(solo, reed)),
    ]


def _classical(piece: Piece) -> list[Layer]:
    rate, balance = piece.rate, piece.style.balance
    bar = round(2 * piece.beat, 4)
    bows = [
        (time, gain, pitch, bar)
        for time, gain in piece.hits("xx")
        for pitch in (piece.chord(time, 2)[0], *piece.chord(time, 4))
    ]
    strings = piece.play(bows, piece.tones(1.3, attack=0.15, vibrato=0.15))
    piano = piece.play(_melody(piece, 4, "xxxxxxxxxxxxxxxx"[:: 1 + (balance > 0.7)], 1.2),
                       piece.tones(1.9, attack=0.004, decay=0.5))  # fmt: skip
    violin = piece.play(
        _melody(piece, 5, "x..?x.x.", 1.0), piece.tones(1.1, attack=0.1, vibrato=0.25)
    )
    return [
        ("strings", 0.3 + balance, instruments.reverb(strings, rate, 1.8, 0.6, piece.draw)),
        ("piano", 1.2 - balance, instruments.reverb(piano, rate, 1.8, 0.4, piece.draw)),
        ("lead", 0.5, instruments.reverb(violin, rate, 1.8, 0.5, piece.draw)),
    ]


def _folk(piece: Piece) -> list[Layer]:
    damping = 0.990 + 0.007 * piece.style.brightness

    def string(pitch: float, seconds: float) -> np.ndarray:
        return instruments.pluck(pitch, seconds, piece.rate, piece.draw, damping)

    thumb = _bass(piece, "x...x...x...x...", 1.5, 2)
    fingers = _melody(piece, 3, "..x.x.xx..x.x.x?", 1.2)
    strums = [
        (time + 0.012 * number, gain, pitch, round(1.2 * piece.beat, 4))
        for time, gain in piece.hits("x...?.x.x...?.x.")
        for number, pitch in enumerate(piece.chord(time, 3, 4))
    ]
    return [
        ("guitar", 1.0, piece.play(thumb + fingers, string)),
        ("strums", 0.2 + 0.6 * piece.style.balance, piece.play(strums, string)),
        ("lead", 0.4, piece.play(_melody(piece, 4, "x..?x...x.?.x...", 0.8), string)),
    ]


def _hip_hop(piece: Piece) -> list[Layer]:
    beat = {"thump": "x..?..x.?.x..?..", "snare": "....x.......x...", "hat": "x.x?x.x?x.x?x.xx"}
    if piece.dance:
        beat = _FOUR_ON_THE_FLOOR | {"snare": "....x.......x..."}
    keys = [
        (time, gain, pitch, round(1.8 * piece.beat, 4))
        for time, gain in piece.hits("x.....?.")
        for pitch in piece.chord(time, 4, 4)
    ]
    sub = _bass(piece, "x.....x...x.....", 1.2, 1)
    return [
        ("drums", 1.2, piece.drums(beat, swing=0.1 + 0.2 * piece.style.balance)),
        ("bass", 0.9, piece.play(sub, piece.tones(4.0, decay=0.8))),
        ("chords", 0.45, piece.play(keys, piece.tones(2.0, decay=0.7))),
    ]


_RECIPES: dict[str, Callable[[Piece], list[Layer]]] = {
    "rock": _rock,
    "metal": _metal,
    "jazz": _jazz,
    "Classical": _classical,
    "folk": _folk,
    "techno": _techno,
    "ambient": _ambient,
    "Hip-Hop": _hip_hop,
}

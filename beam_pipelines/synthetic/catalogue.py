"""What the sample corpus holds: artists, songs, files and the troubles that are planted."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from beam_pipelines.synthetic.composition import CHILLOUT, TEMPOS
from beam_pipelines.synthetic.genres import DANCE, FEMALE, LO_FI, MALE, RAP
from schemas.common.errors import UsageError
from schemas.rejects import Reason

ELECTRONIC, INSTRUMENTAL = "electronic", "instrumental"
PLANTED = 16
MIN_CLIPS, MAX_CLIPS = PLANTED + 2 * len(TEMPOS), 100_000
AUDIO_ROOT = "7digital"

# Who sings in a genre, artist after artist: female, male, -.
_SINGERS = {
    "rock": "mfm-f",
    "metal": "mm-fm",
    "jazz": "-f-mf",
    "Classical": "--f--",
    "folk": "fmmf-",
    "techno": "--f--",
    "ambient": "--f--",
    "Hip-Hop": "mm-fm",
}
# Raw spellings of a tag, the commonest first; tag cleaning makes one of them.
_SPELLINGS = {
    "rock": ("rock", "Rock"),
    "metal": ("metal", "Metal"),
    "jazz": ("jazz", "Jazz"),
    "Classical": ("Classical", "classical"),
    "folk": ("folk", "Folk"),
    "techno": ("techno", "Techno"),
    "ambient": ("ambient", "Ambient"),
    "Hip-Hop": ("Hip-Hop", "hip hop", "hiphop"),
    ELECTRONIC: ("electronic", "Electronic"),
    DANCE: ("dance", "Dance"),
    CHILLOUT: ("chillout", "chill out", "Chillout"),
    LO_FI: ("Lo-Fi", "lo-fi", "lofi"),
    RAP: ("rap", "Rap"),
    FEMALE: ("female vocalists", "female vocalist", "Female Vocalists"),
    MALE: ("male vocalists", "male vocalist"),
    INSTRUMENTAL: ("instrumental", "Instrumental"),
}
# What tag cleaning calls a tag, where that is not its own name in lower case.
_CLEAN = {FEMALE: "female", MALE: "male"}
_JUNK = ("favorites", "seen live", "Love", "albums I own", "Awesome", "música que me gusta")
_ADJECTIVES = ("Copper", "Silent", "Northern", "Paper", "Velvet", "Hollow", "Öde", "Crooked")
_NOUNS = ("Foxes", "Harbour", "Machine", "Orchard", "Señales", "Lanterns", "Ensemble", "東の風")
_TITLES = ("Rain", "Überfahrt", "Night Shift", "Canción", "Second Street", "Σίγμα", "Low Tide")


@dataclasses.dataclass(frozen=True)
class Artist:
    """An artist: the number that fixes the style, and the tags of every song."""

    number: int
    seed: tuple[int, ...]
    artist_id: str
    name: str
    tags: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Song:
    """A row of the summary, and what Last.fm's listeners call it.

    Attributes
    ----------
    raw_tags : tuple of (str, float), or None
        Raw tags and vals (0 to 100); empty for a track that the database knows without tags,
        None for one that it does not know.
    """

    number: int
    track_id: str
    song_id: str
    artist: Artist
    title: str
    year: int
    duration: float
    track_7digitalid: int
    raw_tags: tuple[tuple[str, float], ...] | None

    @property
    def path(self) -> str:
        """Where the clip lies under the corpus' root."""
        return clip_path(self.track_7digitalid)


@dataclasses.dataclass(frozen=True)
class Clip:
    """An audio file to write.

    Attributes
    ----------
    path : str
        Under the corpus' root, with '/'.
    kind : {'music', 'silence', 'opposite', 'text', 'empty'}
        What is in it.
    tags : tuple of str
        What is heard.
    artist_seed, piece_seed : tuple of int
        Of the style and of the piece: equal ones sound alike.
    stereo : bool
        44.1 kHz stereo at 112 kbit/s instead of 22.05 kHz mono at 64 kbit/s.
    copy : bool
        At 56 kbit/s: the smaller file of two copies.
    keep : float
        Share of the file that is left.
    """

    path: str
    kind: str = "music"
    tags: tuple[str, ...] = ()
    artist_seed: tuple[int, ...] = ()
    piece_seed: tuple[int, ...] = ()
    stereo: bool = False
    copy: bool = False
    keep: float = 1.0


@dataclasses.dataclass(frozen=True)
class Trouble:
    """A planted fault; `reason` is what a build without filters says, None if it writes it."""

    what: str
    path: str
    track_id: str | None
    reason: Reason | None


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The whole sample, as it is going to be written.

    Attributes
    ----------
    songs : list of Song
        Rows of the summary in order.
    clips : list of Clip
        Every audio file.
    tracks : list of Song
        Those that a build without filters writes.
    troubles : list of Trouble
        Planted faults.
    mismatches : list of (Song, Song)
        What the summary says and what the audio is said to be.
    duplicates : list of list of Song
        Groups of copies.
    """

    songs: list[Song]
    clips: list[Clip]
    tracks: list[Song]
    troubles: list[Trouble]
    mismatches: list[tuple[Song, Song]]
    duplicates: list[list[Song]]


def clip_path(track_7digitalid: int) -> str:
    """Path of a clip in the 7digital tree."""
    name = str(track_7digitalid)
    return f"{AUDIO_ROOT}/{name[0]}/{name[1]}/{name}.clip.mp3"


def echo_nest_id(prefix: str, *what: object) -> str:
    """An id of 18 characters in the Echo Nest's form (TR, SO or AR, letters, hexadecimals)."""
    digest = hashlib.md5("/".join(map(str, (prefix, *what))).encode()).digest()
    letters = "".join(chr(65 + byte % 26) for byte in digest[:5])
    return f"{prefix}{letters}12{digest[5:].hex().upper()[:9]}"


def artist_tags(genre: str, number: int) -> tuple[str, ...]:
    """Tags of a genre's artist: who sings, and what is special, in turn."""
    tags = [genre]
    singer = _SINGERS[genre][number % 5]
    if genre in ("techno", "ambient"):
        tags.append(ELECTRONIC)
    if genre == "techno" or (genre in ("rock", "Hip-Hop") and number % 4 == 3):
        tags.append(DANCE)
    if genre == "ambient" or (genre in ("jazz", "Hip-Hop") and number % 3 == 1):
        tags.append(CHILLOUT)
    if genre not in ("Classical", "techno") and number % 4 == 2:
        tags.append(LO_FI)
    if genre == "Hip-Hop" and singer != "-":
        tags.append(RAP)
    tags.append({"f": FEMALE, "m": MALE, "-": INSTRUMENTAL}[singer])
    return tuple(tags)


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Names of tags as the curated lists make them, sorted."""
    return sorted(_CLEAN.get(tag, tag.lower()) for tag in tags)


def plan_corpus(clips: int, seed: int) -> Corpus:
    """Decide everything but the sound.

    Parameters
    ----------
    clips : int
        Audio files in all, the `PLANTED` troublesome ones among them.
    seed : int
        The same seed gives the same corpus.

    Raises
    ------
    UsageError
        If the number of clips is not from `MIN_CLIPS` to `MAX_CLIPS`, or it is a negative seed.
    """
    if not MIN_CLIPS <= clips <= MAX_CLIPS:
        raise UsageError(f"--clips {clips} is not from {MIN_CLIPS} to {MAX_CLIPS}")
    if seed < 0:
        raise UsageError(f"--seed {seed}: it must not be negative")
    planner = _Planner(clips, seed)
    good = planner.good_songs(clips - PLANTED)
    planner.plant_broken()
    planner.plant_metadata(good)
    planner.plant_copies(good)
    planner.plant_names()
    planner.add_songs_without_audio(clips // 2)
    return planner.corpus()


class _Planner:
    """Gathers a corpus; draws everything from one stream, in the order of the calls."""

    def __init__(self, clips: int, seed: int) -> None:
        self.seed = seed
        self.draw = np.random.default_rng([seed, 0])
        ids = self.draw.choice(9_800_000, 4 * clips, replace=False) + 200_000
        self.numbers = iter(ids.tolist())
        self.artists: list[Artist] = []
        self.songs: list[Song] = []
        self.clips: list[Clip] = []
        self.tracks: list[Song] = []
        self.troubles: list[Trouble] = []
        self.mismatches: list[tuple[Song, Song]] = []
        self.duplicates: list[list[Song]] = []

    def corpus(self) -> Corpus:
        # the summary is in no order; the songs' own numbers would betray one
        songs = sorted(self.songs, key=lambda song: hashlib.md5(song.track_id.encode()).digest())
        clips = sorted(self.clips, key=lambda clip: clip.path)
        tracks = sorted(self.tracks, key=lambda song: song.path)
        return Corpus(songs, clips, tracks, self.troubles, self.mismatches, self.duplicates)

    def good_songs(self, count: int) -> list[Song]:
        """The artists, and songs with clips in good order."""
        for place, genre in enumerate(TEMPOS):
            songs = count // len(TEMPOS) + (place < count % len(TEMPOS))
            artists = [
                self._artist(artist_tags(genre, number))
                for number in range(min(songs, max(10, 3 * songs // 4)))
            ]
            for number in range(songs):
                song = self._song(artists[number % len(artists)])
                self.tracks.append(song)
                self._clip(song, song, stereo=(number + 3 * place) % 28 == 1)
        return list(self.tracks)

    def plant_broken(self) -> None:
        """Files that cannot be read, or hold nothing."""
        self._plant("empty file", Reason.EMPTY_FILE, kind="empty")
        self._plant("cut after 64 bytes", Reason.UNDECODABLE, keep=0.0)
        self._plant("digital silence", Reason.SILENT, kind="silence")
        self.tracks += [
            self._plant("channels in opposite phase", None, kind="opposite", stereo=True),
            self._plant("cut at 40 %, decodes to 12 s", None, keep=0.4),
        ]

    def plant_metadata(self, good: list[Song]) -> None:
        """Good sound whose rows cannot be used."""
        other = good[-1]  # of the last genre, where the songs are of the first
        for artist in self.artists[:2]:
            song = self._plant("mismatched", Reason.MISMATCH, self._song(artist), other)
            self.mismatches.append((song, other))
        song = self._plant("7digital id of two songs", Reason.AMBIGUOUS_7DIGITALID)
        self._song(song.artist, track_7digitalid=song.track_7digitalid)
        for what, raw_tags in (
            ("not in the tag database", None),
            ("tags that say nothing", ((_JUNK[0], 100.0),)),
        ):
            self._plant(what, Reason.NO_TAG, self._song(self._any_artist(), raw_tags=raw_tags))

    def plant_copies(self, good: list[Song]) -> None:
        """Copies of one song, of which one is to be written."""
        first, second, third = good[2], good[len(good) // 2], good[-2]
        copies = [self._song(song.artist) for song in (first, second, third)]
        between = self._song(second.artist)
        self._plant("smaller copy", Reason.DUPLICATE_OF, copies[0], first, copy=True)
        self._plant("copy by two groups", Reason.DUPLICATE_OF, copies[1], second, copy=True)
        self._plant("text, larger copy", Reason.UNDECODABLE, copies[2], kind="text")
        self.duplicates += [
            [first, copies[0]],
            [second, between],
            [between, copies[1]],
            [copies[2], third],
        ]

    def plant_names(self) -> None:
        """Good sound under names that say no 7digital id, or one that no song has."""
        artist, number = self._any_artist(), next(self.numbers)
        for what, name, reason in (
            ("letter in the id", "12a.clip.mp3", Reason.BAD_NAME),
            ("no .clip in the name", f"{number}.mp3", Reason.BAD_NAME),
            ("not in the summary", f"{number}.clip.mp3", Reason.NOT_IN_SUMMARY),
        ):
            path = f"{AUDIO_ROOT}/{name[0]}/{name[1]}/{name}"
            seed = (self.seed, 2, number)
            self.clips.append(
                Clip(path, tags=artist.tags, artist_seed=artist.seed, piece_seed=seed)
            )
            self.troubles.append(Trouble(what, path, None, reason))

    def add_songs_without_audio(self, count: int) -> None:
        """More rows: some of tracks without tags, one without a 7digital id."""
        for number in range(count):
            artist = self.artists[number % len(self.artists)]
            given = {} if number % 3 else {"raw_tags": () if number % 2 else None}
            self._song(artist, **given)
        self._song(self.artists[0], track_7digitalid=0)
        last = self.songs[-1]
        gone = dataclasses.replace(last, track_id=echo_nest_id("TR", self.seed, "gone"), title="")
        self.mismatches += [(last, self.songs[0]), (last, self.songs[1]), (gone, last)]
        self.duplicates.append([self._song(last.artist) for _ in range(3)])

    def _artist(self, tags: tuple[str, ...]) -> Artist:
        number = len(self.artists)
        adjective, noun = (str(self.draw.choice(words)) for words in (_ADJECTIVES, _NOUNS))
        name = f"{adjective} {noun} {number + 1}"
        seed = (self.seed, 1, number)
        artist = Artist(number, seed, echo_nest_id("AR", self.seed, number), name, tags)
        self.artists.append(artist)
        return artist

    def _any_artist(self) -> Artist:
        return self.artists[self.draw.integers(len(self.artists))]

    def _song(self, artist: Artist, **given: Any) -> Song:
        number = len(self.songs)
        song_id = echo_nest_id("SO", self.seed, number)
        if number % 16 == 0:  # ids of songs may look like those of tracks
            song_id = "SOTR" + song_id[4:]
        values = {
            "number": number,
            "track_id": echo_nest_id("TR", self.seed, number),
            "song_id": song_id,
            "artist": artist,
            "title": f"{self.draw.choice(_TITLES)}, {self.draw.choice(_TITLES)} {number + 1}",
            "year": int(self.draw.integers(1962, 2011)) if self.draw.random() < 0.6 else 0,
            "duration": round(self.draw.uniform(90, 420), 5),
            "track_7digitalid": next(self.numbers),
            "raw_tags": self._raw_tags(artist.tags),
        }
        self.songs.append(Song(**(values | given)))
        return self.songs[-1]

    def _raw_tags(self, tags: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
        raw = {}
        for place, tag in enumerate(tags):
            names = list(_SPELLINGS[tag])
            if self.draw.random() < 0.2:
                names.insert(0, names.pop(int(self.draw.integers(1, len(names)))))
            raw[names[0]] = float(self.draw.integers(5, 101)) if place else 100.0
            if self.draw.random() < 0.1:  # two spellings on one track, the second hardly used
                raw[names[1]] = float(self.draw.integers(0, 2))
        for tag in _JUNK:
            if self.draw.random() < 0.15:
                raw[tag] = float(self.draw.integers(0, 101))
        return tuple(raw.items())

    def _clip(self, song: Song, music: Song, **given: Any) -> None:
        artist, piece_seed = music.artist, (self.seed, 2, music.number)
        clip = Clip(song.path, tags=artist.tags, artist_seed=artist.seed, piece_seed=piece_seed)
        self.clips.append(dataclasses.replace(clip, **given))

    def _plant(
        self,
        what: str,
        reason: Reason | None,
        song: Song | None = None,
        music: Song | None = None,
        **given: Any,
    ) -> Song:
        song = song or self._song(self._any_artist())
        self._clip(song, music or song, **given)
        self.troubles.append(Trouble(what, song.path, song.track_id, reason))
        return song

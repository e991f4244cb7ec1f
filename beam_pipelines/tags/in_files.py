"""The genres, moods and groupings that audio files carry in themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

_BETWEEN = re.compile(r"[;/\0]")
_NUMBER = re.compile(r"\((\d{1,3}|RX|CR)\)")  # ID3's genres: (17)Rock, (4)(17), (RX)
_WORDS = {"RX": "Remix", "CR": "Cover"}
_YEAR = re.compile(r"\d{4}")

# What each format calls a field, in the order in which they are looked at; without case.
_Names = dict[str, tuple[str, ...]]
_ID3: _Names = {
    "genre": ("TCON",),
    "mood": ("TMOO", "TXXX:MOOD"),
    "grouping": ("GRP1", "TIT1", "TXXX:GROUPING"),
    "album_artist": ("TPE2",),
    "artist": ("TPE1",),
    "title": ("TIT2",),
    "album": ("TALB",),
    "year": ("TDOR", "TDRC"),
}
_VORBIS: _Names = {  # and APEv2
    "genre": ("genre",),
    "mood": ("mood",),
    "grouping": ("grouping",),
    "album_artist": ("albumartist", "album artist", "album_artist"),
    "artist": ("artist",),
    "title": ("title",),
    "album": ("album",),
    "year": ("originaldate", "date", "year"),
}
_MP4: _Names = {
    "genre": ("\xa9gen",),
    "mood": ("----:com.apple.itunes:mood",),
    "grouping": ("\xa9grp",),
    "album_artist": ("aart",),
    "artist": ("\xa9art",),
    "title": ("\xa9nam",),
    "album": ("\xa9alb",),
    "year": ("\xa9day",),
}
_ASF: _Names = {
    "genre": ("wm/genre",),
    "mood": ("wm/mood", "mood"),  # FFmpeg does not translate all names
    "grouping": ("wm/contentgroupdescription", "grouping"),
    "album_artist": ("wm/albumartist",),
    "artist": ("author",),
    "title": ("title",),
    "album": ("wm/albumtitle",),
    "year": ("wm/originalreleaseyear", "wm/year", "date"),
}


class FileTags(NamedTuple):
    """What a file says of itself; empty, and year 0, where it says nothing.

    Attributes
    ----------
    tags : tuple of str
        Genres, moods and groupings, each once.
    album_artist, artist, title, album : str
    year : int
    """

    tags: tuple[str, ...] = ()
    album_artist: str = ""
    artist: str = ""
    title: str = ""
    album: str = ""
    year: int = 0


def split_tags(texts: Iterable[str], numbered: bool = False) -> Iterator[str]:
    """The tags of some fields.

    They are cut at ``;``, ``/`` and NUL, and ID3's ``(17)`` is the genre of that number.

    Parameters
    ----------
    texts : iterable of str
    numbered : bool
        Whether a number alone is a genre's too, as in ID3.
    """
    for text in texts:
        for piece in _BETWEEN.split(text):
            rest = piece.strip()
            while match := _NUMBER.match(rest):
                yield _genre(match[1])
                rest = rest[match.end() :].strip()
            rest = rest.removeprefix("(") if rest.startswith("((") else rest
            yield " ".join((_genre(rest) if numbered and rest.isdecimal() else rest).split())


def read_file_tags(file: str | BinaryIO) -> FileTags | None:
    """Read the tags of a file, whatever its format (mutagen).

    Parameters
    ----------
    file : str or binary stream
        A path, or a whole file.

    Returns
    -------
    FileTags or None
        None for a file that mutagen does not know.
    """
    import mutagen  # here, as the lite player has none

    try:
        found = mutagen.File(file)
        if found is None:
            return None
        tags = _apev2(file) if found.tags is None else found.tags
        return FileTags() if tags is None else _file_tags(tags)
    except Exception:  # mutagen lets parsers' errors of every kind through
        return None


def _apev2(file: str | BinaryIO) -> Any:
    """The APEv2 tags of a file of another format, as some programs give them to MP3s."""
    from mutagen.apev2 import APENoHeaderError, APEv2

    try:
        return APEv2(file)
    except APENoHeaderError:
        return None


def _file_tags(tags: Any) -> FileTags:
    from mutagen.asf import ASFTags
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    is_id3 = isinstance(tags, ID3)
    if is_id3:
        names, fields = _ID3, _id3_fields(tags)
    else:
        names = _MP4 if isinstance(tags, MP4Tags) else _VORBIS
        names = _ASF if isinstance(tags, ASFTags) else names
        fields = {}
        for key in tags.keys():  # noqa: SIM118  # Vorbis comments iterate over pairs
            fields.setdefault(key.lower(), []).extend(map(_text, _as_list(tags[key])))

    def texts(name: str) -> list[str]:
        return [text for key in names[name] for text in fields.get(key, ())]

    def first(name: str) -> str:
        return next((text.strip() for text in texts(name) if text.strip()), "")

    year = _YEAR.search(first("year"))
    found = [
        *split_tags(texts("genre"), numbered=is_id3),
        *split_tags(texts("mood")),
        *split_tags(texts("grouping")),
    ]
    return FileTags(
        tags=tuple(dict.fromkeys(filter(None, found))),
        album_artist=first("album_artist"),
        artist=first("artist"),
        title=first("title"),
        album=first("album"),
        year=int(year[0]) if year else 0,
    )


def _id3_fields(tags: Any) -> dict[str, list[str]]:
    fields = dict[str, list[str]]()
    for frame in tags.values():
        key = frame.FrameID
        if key == "TXXX":
            key = f"TXXX:{frame.desc.upper()}"
        fields.setdefault(key, []).extend(map(str, getattr(frame, "text", ())))
    return fields


def _as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | bytes) else list(value)


def _text(value: Any) -> str:
    return value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)


def _genre(number: str) -> str:
    from mutagen.id3 import TCON

    if number in _WORDS:
        return _WORDS[number]
    genres: list[str] = TCON.GENRES
    return genres[int(number)] if int(number) < len(genres) else ""

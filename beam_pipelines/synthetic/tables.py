"""The files beside the audio, in the formats of the Million Song Dataset and of Last.fm."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import h5py
import numpy as np
import sqlalchemy

from beam_pipelines.million_song.lastfm_tables import METADATA, TAGS, TID_TAG, TIDS
from beam_pipelines.synthetic.catalogue import Song
from beam_pipelines.synthetic.composition import artist_style

_INDEX, _NUMBER, _ID, _TEXT = "<i4", "<f8", "S32", "S1024"

# Columns as the published file has them: alphabetical.
METADATA_SONGS = np.dtype(
    [
        ("analyzer_version", _ID),
        ("artist_7digitalid", _INDEX),
        ("artist_familiarity", _NUMBER),
        ("artist_hotttnesss", _NUMBER),
        ("artist_id", _ID),
        ("artist_latitude", _NUMBER),
        ("artist_location", _TEXT),
        ("artist_longitude", _NUMBER),
        ("artist_mbid", "S40"),
        ("artist_name", _TEXT),
        ("artist_playmeid", _INDEX),
        ("genre", _TEXT),
        ("idx_artist_terms", _INDEX),
        ("idx_similar_artists", _INDEX),
        ("release", _TEXT),
        ("release_7digitalid", _INDEX),
        ("song_hotttnesss", _NUMBER),
        ("song_id", _ID),
        ("title", _TEXT),
        ("track_7digitalid", _INDEX),
    ]
)
_ANALYSIS_INDICES = [
    f"idx_{what}"
    for what in (
        "bars_confidence",
        "bars_start",
        "beats_confidence",
        "beats_start",
        "sections_confidence",
        "sections_start",
        "segments_confidence",
        "segments_loudness_max",
        "segments_loudness_max_time",
        "segments_loudness_start",
        "segments_pitches",
        "segments_start",
        "segments_timbre",
        "tatums_confidence",
        "tatums_start",
    )
]
ANALYSIS_SONGS = np.dtype(
    [
        ("analysis_sample_rate", _INDEX),
        ("audio_md5", _ID),
        ("danceability", _NUMBER),
        ("duration", _NUMBER),
        ("end_of_fade_in", _NUMBER),
        ("energy", _NUMBER),
        *((name, _INDEX) for name in _ANALYSIS_INDICES),
        ("key", _INDEX),
        ("key_confidence", _NUMBER),
        ("loudness", _NUMBER),
        ("mode", _INDEX),
        ("mode_confidence", _NUMBER),
        ("start_of_fade_out", _NUMBER),
        ("tempo", _NUMBER),
        ("time_signature", _INDEX),
        ("time_signature_confidence", _NUMBER),
        ("track_id", _ID),
    ]
)
MUSICBRAINZ_SONGS = np.dtype([("idx_artist_mbtags", _INDEX), ("year", _INDEX)])

_PLACES = ((b"London, England", 51.507, -0.128), (b"S\xc3\xa3o Paulo", -23.551, -46.633))


def write_summary(path: str, songs: Sequence[Song]) -> None:
    """Write ``msd_summary_file.h5``: row i of its three tables is song i.

    Parameters
    ----------
    path : str
        Local file.
    songs : sequence of Song
        In the order of the rows.
    """
    tables = {
        "metadata": np.array([_metadata_row(song) for song in songs], METADATA_SONGS),
        "analysis": np.array([_analysis_row(song) for song in songs], ANALYSIS_SONGS),
        "musicbrainz": np.array([(0, song.year) for song in songs], MUSICBRAINZ_SONGS),
    }
    with h5py.File(path, "w") as file:
        for group, rows in tables.items():
            file.create_group(group).create_dataset(
                "songs",
                data=rows,
                chunks=(min(len(rows), max(1, 65_536 // rows.dtype.itemsize)),),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
                track_times=False,
            )


def _metadata_row(song: Song) -> tuple[Any, ...]:
    artist = song.artist
    digest = hashlib.md5(artist.artist_id.encode())
    name = digest.hexdigest()
    mbid = f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}"
    share = digest.digest()[0] / 255
    # the published file has no number for artists without a place, songs without listeners
    place, latitude, longitude = (*_PLACES, (b"", np.nan, np.nan))[artist.number % 3]
    return (
        b"",
        artist.number + 1,
        0.3 + 0.6 * share,
        0.2 + 0.6 * share,
        artist.artist_id.encode(),
        latitude,
        place,
        longitude,
        mbid.encode(),
        artist.name.encode(),
        -1,
        b"",
        0,
        0,
        f"Album {song.number % 3 + 1}".encode(),
        10 * artist.number + song.number % 3 + 1,
        share if song.number % 2 else np.nan,
        song.song_id.encode(),
        song.title.encode(),
        song.track_7digitalid,
    )


def _analysis_row(song: Song) -> tuple[Any, ...]:
    style = artist_style(song.artist.tags, song.artist.seed)
    audio_md5 = hashlib.md5(song.track_id.encode()).hexdigest().encode()
    indices = [0] * len(_ANALYSIS_INDICES)
    head = (22050, audio_md5, 0.0, song.duration, 0.0, 0.0)
    tail = (
        style.key,
        0.5,
        -10.0,
        int(not style.minor),
        0.5,
        song.duration - 5.0,
        style.tempo,
        4,
        0.9,
        song.track_id.encode(),
    )
    return (*head, *indices, *tail)


def write_lastfm(path: str, songs: Iterable[Song]) -> None:
    """Write ``lastfm_tags.db``; rows stand in the order in which the songs bring them.

    Songs without raw tags (None) are left out, those with none of them (an empty tuple) have
    a row in ``tids`` alone.
    """
    tids: list[str] = []
    tags: dict[str, int] = {}
    pairs: list[dict[str, float]] = []
    for song in songs:
        if song.raw_tags is None:
            continue
        tids.append(song.track_id)
        for tag, val in song.raw_tags:
            number = tags.setdefault(tag, len(tags) + 1)
            pairs.append({"tid": len(tids), "tag": number, "val": val})
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(TIDS.insert(), [{"tid": tid} for tid in tids])
        connection.execute(TAGS.insert(), [{"tag": tag} for tag in tags])
        connection.execute(TID_TAG.insert(), pairs)
    engine.dispose()


def write_mismatches(path: str, mismatches: Iterable[tuple[Song, Song]]) -> None:
    """Write ``sid_mismatches.txt``: what the summary says, and what the audio is."""
    with open(path, "w", encoding="utf8", newline="\n") as file:
        for song, other in mismatches:
            said, heard = (f"{s.artist.name}  -  {s.title}" for s in (song, other))
            file.write(f"ERROR: <{song.song_id} {song.track_id}> {said}  !=  {heard}\n")


def write_duplicates(path: str, groups: Iterable[Sequence[Song]]) -> None:
    """Write ``msd_duplicates.txt``: six lines of comment, then the groups."""
    with open(path, "w", encoding="utf8", newline="\n") as file:
        file.write("# SAMPLE CORPUS - DUPLICATES\n#\n# Made by beam_pipelines.sample\n#\n")
        file.write("# A group: %number artist - title,\n# then the track ids of its copies\n")
        for number, group in enumerate(groups, start=1):
            first = group[0]
            file.write(f"%{number} {first.artist.name} - {first.title}\n")
            file.writelines(f"{song.track_id}\n" for song in group)

"""The files of a synthetic corpus, written whole or not at all."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import io
import json
import os
import pathlib
import shutil
from collections.abc import Iterable

import numpy as np
import soundfile

from beam_pipelines.runtime.progress import Progress
from beam_pipelines.synthetic.catalogue import AUDIO_ROOT, Clip, Corpus, clean_tags
from beam_pipelines.synthetic.genres import synthesise
from beam_pipelines.synthetic.tables import (
    write_duplicates,
    write_lastfm,
    write_mismatches,
    write_summary,
)
from schemas.common.errors import RunError, UsageError
from schemas.common.text import parse_json

SECONDS = 30.0
SUMMARY, LASTFM = "msd_summary_file.h5", "lastfm_tags.db"
MISMATCHES, DUPLICATES = "sid_mismatches.txt", "msd_duplicates.txt"
DESCRIPTION = "sample.json"
COVER = f"{AUDIO_ROOT}/1/2/cover.jpg"  # no audio: a build ignores it
_UNFINISHED = ".unfinished"
ENTRIES = (AUDIO_ROOT, SUMMARY, LASTFM, MISMATCHES, DUPLICATES, DESCRIPTION)


def is_finished(root: pathlib.Path, description: str) -> bool:
    """Whether `root` holds all files of the corpus that is so described."""
    try:
        if (root / DESCRIPTION).read_text("utf8") != description:
            return False
    except (OSError, ValueError):
        return False
    return all((root / name).is_file() for name in _files_of_sample(root))


def claim(root: pathlib.Path, overwrite: bool) -> None:
    """Make `root` an empty directory, or refuse.

    What a killed run left (all of it lies in one hidden folder) is removed.

    Parameters
    ----------
    root : pathlib.Path
        The directory that the corpus is to be written to.
    overwrite : bool
        Delete the files of a corpus that is there.

    Raises
    ------
    UsageError
        If it cannot be made, or holds files that may not be deleted.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in root.iterdir()} - {_UNFINISHED}
    except OSError as error:
        raise UsageError(f"{root} cannot be a directory to write to: {error.strerror}") from error
    if names and not overwrite:
        raise UsageError(f"{root} is not empty: choose another directory, or --overwrite a sample")
    unfinished = root / _UNFINISHED
    entries = [p for p in sorted(root.rglob("*")) if unfinished not in (p, *p.parents)]
    ours = {root / name for name in _files_of_sample(root)}
    ours |= {folder for path in ours for folder in path.parents}
    for path in entries:
        if path not in ours:
            raise UsageError(f"{path} is not of a sample corpus: {root} is left as it is")
    shutil.rmtree(unfinished, ignore_errors=True)
    # the description goes after the files it names: a run that is stopped here can be repeated
    for path in sorted(entries, key=lambda path: path.name == DESCRIPTION):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
    for path in reversed(entries):
        if path.is_dir():
            path.rmdir()


def _files_of_sample(root: pathlib.Path) -> set[str]:
    for folder in (root, root / _UNFINISHED):  # a run may be killed while it moves them up
        try:
            files = parse_json((folder / DESCRIPTION).read_text("utf8"))["files"]
            return {name for name in files if name.split("/")[0] in ENTRIES}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return set()


def write_sample(root: pathlib.Path, corpus: Corpus, seed: int, workers: int) -> None:
    """Write a planned corpus into an empty directory; all of it appears at the end.

    Parameters
    ----------
    root : pathlib.Path
        An existing directory without the corpus' files.
    corpus : Corpus
        What to write.
    seed : int
        For the description.
    workers : int
        Threads; the bytes do not depend on them.

    Raises
    ------
    RunError
        If a file cannot be written.
    """
    folder = root / _UNFINISHED
    try:
        write_tables(folder, corpus, seed)
        write_clips(folder, corpus.clips, workers)
        for name in ENTRIES:
            os.rename(folder / name, root / name)
        folder.rmdir()
    except OSError as error:
        raise RunError(f"the sample corpus could not be written: {error}") from error


def write_tables(folder: pathlib.Path, corpus: Corpus, seed: int) -> None:
    """Write everything but the clips."""
    cover = folder / COVER
    cover.parent.mkdir(parents=True)
    cover.write_bytes(b"\xff\xd8\xff\xe0 a cover, in name only")
    (folder / DESCRIPTION).write_text(describe(corpus, seed), "utf8")
    write_summary(str(folder / SUMMARY), corpus.songs)
    write_lastfm(str(folder / LASTFM), reversed(corpus.songs))
    write_mismatches(str(folder / MISMATCHES), corpus.mismatches)
    write_duplicates(str(folder / DUPLICATES), corpus.duplicates)


def write_clips(folder: pathlib.Path, clips: Iterable[Clip], workers: int) -> None:
    """Synthesise and encode clips, each to its path under `folder`."""

    def write(clip: Clip) -> None:
        path = folder / clip.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip_bytes(clip))

    clips = list(clips)
    done = 0
    with (
        Progress("clips", len(clips), lambda: done),
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        futures = [pool.submit(write, clip) for clip in clips]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                done += 1
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def clip_bytes(clip: Clip, seconds: float = SECONDS) -> bytes:
    """The bytes of an audio file, whole or broken as the clip says.

    Parameters
    ----------
    clip : Clip
        What to write.
    seconds : float
        Length in s.
    """
    if clip.kind == "empty":
        return b""
    if clip.kind == "text":
        return b"This is a text file under the name of a song.\n" * 13_000
    rate, channels = (44_100, 2) if clip.stereo else (22_050, 1)
    sound = np.zeros((int(seconds * rate), channels), np.float32)
    if clip.kind != "silence":
        seeds = clip.artist_seed, clip.piece_seed
        sound = synthesise(clip.tags, *seeds, seconds, rate, channels)
    if clip.kind == "opposite":
        sound[:, 1] = -sound[:, 0]
    encoded = encode(sound, rate, 0.7 if clip.copy or clip.stereo else 0.6)
    return encoded[: max(64, int(clip.keep * len(encoded)))]


def encode(sound: np.ndarray, sample_rate: int, level: float) -> bytes:
    """Encode as MP3 of constant bit rate.

    Parameters
    ----------
    sound : np.ndarray, float32 [samples, channels]
        In -1 to 1.
    sample_rate : int
        In Hz.
    level : float
        libsndfile's compression level: at 22.05 kHz 0.6 is 64 kbit/s and 0.7 is 56 kbit/s, at
        44.1 kHz 0.7 is 112 kbit/s.
    """
    stream = io.BytesIO()
    soundfile.write(
        stream,
        sound,
        sample_rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=level,
    )
    return stream.getvalue()


def describe(corpus: Corpus, seed: int) -> str:
    """The text of ``sample.json``.

    It holds the clips that a build without filters writes (path under the audio root, track,
    artist, tags as cleaning names them), the number of them with each tag, the
    planted troubles with the reason of a reject (null: written), and the names of all files.
    """
    tracks = [
        {
            "path": under_root(song.path),
            "track_id": song.track_id,
            "artist_id": song.artist.artist_id,
            "tags": clean_tags(song.artist.tags),
        }
        for song in corpus.tracks
    ]
    tags = sorted({tag for track in tracks for tag in track["tags"]})
    troubles = [
        dataclasses.asdict(trouble) | {"path": under_root(trouble.path)}
        for trouble in corpus.troubles
    ]
    files = [clip.path for clip in corpus.clips] + [COVER, *ENTRIES[1:]]
    description = {
        "seed": seed,
        "audio_files": len(corpus.clips),
        "ignored": [under_root(COVER)],
        "songs": len(corpus.songs),
        "tags": {tag: sum(tag in track["tags"] for track in tracks) for tag in tags},
        "tracks": tracks,
        "troubles": troubles,
        "files": sorted(files),
    }
    return json.dumps(description, indent=1, ensure_ascii=False) + "\n"


def under_root(path: str) -> str:
    return path.removeprefix(f"{AUDIO_ROOT}/")

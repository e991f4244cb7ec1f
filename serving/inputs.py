"""Which audio files the service's commands are to work on."""

from __future__ import annotations

import os
from collections.abc import Sequence

from schemas.errors import UsageError

AUDIO_SUFFIXES = (".mp3", ".wav", ".flac", ".ogg")


def find_audio(inputs: Sequence[str]) -> list[str]:
    """Audio files named by files and directories.

    Parameters
    ----------
    inputs : sequence of str
        Files, taken as they are whatever their suffix, and directories, searched
        recursively for MP3, WAV, FLAC and OGG files (suffix in any case).

    Returns
    -------
    list of str
        Paths in the order of `inputs`, sorted within a directory, each once.

    Raises
    ------
    UsageError
        If a path does not exist or a directory holds no audio.
    """
    found: dict[str, None] = {}
    for path in inputs:
        if os.path.isdir(path):
            files = _walk(path)
            if not files:
                kinds = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)
                raise UsageError(f"{path} holds no audio file ({kinds})")
            found.update(dict.fromkeys(files))
        elif os.path.exists(path):
            found[path] = None
        else:
            raise UsageError(f"{path} does not exist")
    return list(found)


def _walk(root: str) -> list[str]:
    """Audio files under a directory; every directory is read once, so that a link may loop."""
    real, links = [root], []
    seen, files = set(), []
    while real or links:
        # Links last: a directory that also lies in the tree is known by its own path.
        folder = real.pop() if real else links.pop()
        try:
            status = os.stat(folder)
            entries = list(os.scandir(folder))
        except OSError as error:
            if folder == root:
                raise UsageError(f"{root} cannot be read: {error.strerror}") from error
            files.append(folder)  # its error is reported like that of a broken file
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if entry.is_dir():
                (links if entry.is_symlink() else real).append(entry.path)
            elif entry.name.lower().endswith(AUDIO_SUFFIXES):
                files.append(entry.path)
        links.sort(reverse=True)
    return sorted(files)

"""Which audio files the service's commands are to work on."""

from __future__ import annotations

import collections
import errno
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.audio_files import KINDS, ignored_as, ignored_line, is_left_behind
from schemas.common.errors import UsageError


class Found(NamedTuple):
    """What the inputs hold.

    Attributes
    ----------
    files : list of str
        Audio files in the order of the inputs, sorted within a directory, each once.
    ignored : mapping
        Other files in the directories by suffix, see :func:`schemas.audio_files.ignored_as`.
    """

    files: list[str]
    ignored: Mapping[str, int]


def find_audio(inputs: Sequence[str]) -> list[str]:
    """The files of :func:`find_inputs`."""
    return find_inputs(inputs).files


def find_inputs(inputs: Sequence[str]) -> Found:
    """Audio files named by files and directories.

    Parameters
    ----------
    inputs : sequence of str
        Files, taken as they are whatever their suffix, and directories, searched
        recursively for audio files (:func:`schemas.audio_files.is_audio`). A name with
        ``://`` is one of Beam's file systems'.

    Returns
    -------
    Found

    Raises
    ------
    UsageError
        If a path does not exist or a directory holds no audio.
    """
    found: dict[str, None] = {}
    ignored = collections.Counter[str]()
    for path in inputs:
        if "://" in path:
            files, others = _list_remote(path)
        elif os.path.isdir(path):
            files, others = _walk(path)
        elif os.path.exists(path):
            files, others = [path], {}
        else:
            raise UsageError(f"{path} does not exist")
        if not files:
            passed_over = f"; {ignored_line(others)}" if others else ""
            raise UsageError(f"{path} holds no audio file ({KINDS}){passed_over}")
        found.update(dict.fromkeys(files))
        ignored.update(others)
    return Found(list(found), ignored)


def _list_remote(path: str) -> tuple[list[str], Mapping[str, int]]:
    from beam_pipelines.runtime import storage  # Beam: only for files elsewhere
    from beam_pipelines.scanning.listing import list_audio

    if storage.size(path) is not None:
        return [path], {}
    listing = list_audio(path)
    return [storage.join(path, file.path) for file in listing.files], listing.ignored


def _walk(root: str) -> tuple[list[str], Mapping[str, int]]:
    """Audio files under a directory; every directory is read once, so that a link may loop."""
    real: list[str] = [root]
    links: list[str] = []
    files: list[str] = []
    seen: set[tuple[int, int]] = set()
    ignored = collections.Counter[str]()
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
            is_folder, is_file = _kind(entry)
            if is_folder and not is_left_behind(entry.name):
                (links if entry.is_symlink() else real).append(entry.path)
            elif kind := ignored_as(
                os.path.relpath(entry.path, root) if is_folder or is_file else None
            ):
                ignored[kind] += 1  # a folder that is left behind counts as one
            else:
                files.append(entry.path)
        links.sort(reverse=True)
    return sorted(files), ignored


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    """Whether it is a folder, and whether a file, or a link to none, whose error will be said."""
    try:
        return entry.is_dir(), entry.is_file() or not os.path.exists(entry.path)
    except OSError as error:
        return False, error.errno != errno.ELOOP

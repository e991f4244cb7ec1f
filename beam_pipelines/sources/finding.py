"""The audio files that an annotation names, where they lie."""

from __future__ import annotations

import functools
import os
import posixpath
import stat
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa

from beam_pipelines.runtime import storage
from beam_pipelines.scanning.judge import list_scan
from beam_pipelines.scanning.listing import AudioFile
from schemas.common.errors import UsageError


def find_each(
    paths: Sequence[str],
    find: Callable[[str], AudioFile | None],
    where: str,
    other_name: Callable[[str], str] | None = None,
) -> dict[str, AudioFile]:
    """The files of some paths, as far as they are there.

    Parameters
    ----------
    paths : sequence of str
        As the annotation writes them, with '/'.
    find : callable
        From :func:`under` or :func:`measured`.
    where : str
        What is said where none is there: where the paths begin.
    other_name : callable, optional
        A second name that a path's file may have.

    Returns
    -------
    dict
        Path to its file, whose own path may be spelt otherwise.

    Raises
    ------
    UsageError
        If none is there, or two paths are one file.
    """
    files, owners = dict[str, AudioFile](), dict[str, str]()
    for path in paths:
        file = find(path)
        if file is None and other_name is not None:
            file = find(other_name(path))
        if file is None:
            continue
        first = owners.setdefault(file.path, path)
        if first != path:
            raise UsageError(f"{first} and {path} are one file, {file.path}")
        files[path] = file
    if not files:
        raise UsageError(f"none of the {len(paths):,} files is there: {paths[0]} is not {where}")
    return files


def under(root: str) -> Callable[[str], AudioFile | None]:
    """Looks below a folder; a path in NFC finds a file whose name is in NFD, and the reverse."""
    if not storage.is_local(root):
        return functools.partial(_find_remote, root)

    @functools.cache
    def names(folder: str) -> Mapping[str, str]:
        try:
            entries = sorted(os.listdir(folder))
        except OSError:
            return {}
        return {unicodedata.normalize("NFC", name): name for name in entries}

    def respelt(path: str) -> str | None:
        found = ""
        for part in path.split("/"):
            name: str | None = part
            if not part.isascii():
                folder = os.path.join(root, found) or "."
                name = names(folder).get(unicodedata.normalize("NFC", part))
            if name is None:
                return None
            found = posixpath.join(found, name)
        return found

    def find(path: str) -> AudioFile | None:
        file = _find_local(root, path)
        if file is None and not path.isascii():
            other = respelt(path)
            file = None if other is None else _find_local(root, other)
        return file

    return find


def measured(scan: pa.Table) -> Callable[[str], AudioFile | None]:
    """Looks into the table of a scan instead of a folder."""
    files: Iterable[AudioFile] = list_scan(scan).files
    by_path = {file.path: file for file in files}
    by_spelling = {unicodedata.normalize("NFC", path): file for path, file in by_path.items()}

    def find(path: str) -> AudioFile | None:
        return by_path.get(path) or by_spelling.get(unicodedata.normalize("NFC", path))

    return find


def _find_remote(root: str, path: str) -> AudioFile | None:
    size = storage.size(storage.join(root, path))
    return None if size is None else AudioFile(path, size, 0.0)


def _find_local(root: str, path: str) -> AudioFile | None:
    try:
        status = os.stat(os.path.join(root, path))
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return AudioFile(path, status.st_size, status.st_mtime)

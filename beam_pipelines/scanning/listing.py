"""Every audio file under a root, in a fixed order."""

from __future__ import annotations

import collections
import errno
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from schemas.audio_files import KINDS, ignored_as, ignored_line, is_left_behind
from schemas.common.errors import UsageError
from schemas.common.text import readable

# ASCII digits as str(int) gives them: 007 would be the same id as 7. 18 digits fit an int64.
_NAME = re.compile(r"(0|[1-9][0-9]{0,17})\.clip\.mp3")


class AudioFile(NamedTuple):
    """A listed file.

    Attributes
    ----------
    path : str
        Relative to the root, with '/'.
    size : int
        Bytes.
    mtime : float
        Time of the last change, s since 1970.
    """

    path: str
    size: int
    mtime: float


class Listing(NamedTuple):
    """What lies under a root.

    Attributes
    ----------
    files : list of AudioFile
        Files with an audio suffix, sorted by path.
    ignored : mapping
        Number of other files by suffix, see :func:`schemas.audio_files.ignored_as`.
    """

    files: list[AudioFile]
    ignored: Mapping[str, int]


def list_audio(root: str) -> Listing:
    """List every audio file, by its suffix (``schemas.audio_files``), under a root.

    On this machine links are followed, but never around a loop; pipes, sockets, devices and
    links to themselves are ignored, for reading one might never end. A link into nowhere is
    listed with size 0.

    Parameters
    ----------
    root : str
        A folder of any of Beam's file systems; its name may hold any character.

    Returns
    -------
    Listing

    Raises
    ------
    UsageError
        If the root or a folder under it cannot be read, or holds no audio file.
    """
    try:
        remote = FileSystems.get_scheme(root) is not None
        found = _list_remote(root) if remote else _list_local(root)
        files, ignored = [], collections.Counter[str]()
        for file in found:
            kind = ignored_as(file and file.path)
            if file and kind is None:
                files.append(file)
            elif kind:
                ignored[kind] += 1
    except (OSError, BeamIOError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        where = getattr(error, "filename", None) or root
        raise UsageError(f"the audio folder {where} cannot be listed: {reason}") from error
    if not files:
        passed_over = f"; {ignored_line(ignored)}" if ignored else ""
        raise UsageError(f"no audio file ({KINDS}) under the audio folder {root}{passed_over}")
    return Listing(sorted(files), ignored)


def parse_7digitalid(path: str) -> int | None:
    """The 7digital id in a file's name, or None for a bad name.

    The name is the id, as ``str(int)`` writes it, and ``.clip.mp3``; the folders do not
    matter.
    """
    match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    return int(match[1]) if match else None


def _list_local(root: str) -> Iterator[AudioFile | None]:
    """Walk with one stat a file; None for what is no regular file.

    Beam's own local listing takes every [ or * in the root's name for a pattern, and leaves
    out in silence what it cannot read.
    """
    top = os.stat(root)
    folders = [("", frozenset([(top.st_dev, top.st_ino)]))]
    while folders:
        prefix, above = folders.pop()
        with os.scandir(os.path.join(root, prefix)) as entries:
            for entry in entries:
                path = readable(prefix + entry.name)
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    if entry.is_symlink():  # and not gone since it was listed
                        yield AudioFile(path, 0, 0.0)
                    continue
                except OSError as error:
                    if error.errno != errno.ELOOP:
                        raise
                    yield None
                    continue
                if entry.is_dir() and not is_left_behind(entry.name):
                    identity = (status.st_dev, status.st_ino)
                    if identity not in above:
                        folders.append((prefix + entry.name + "/", above | {identity}))
                elif entry.is_dir() or entry.is_file():
                    yield AudioFile(path, status.st_size, status.st_mtime)
                else:
                    yield None


def _list_remote(root: str) -> Iterator[AudioFile]:
    prefix = root.rstrip("/") + "/"
    quoted = re.sub(r"([*?[])", r"[\1]", prefix)
    for file in FileSystems.match([quoted + "**"])[0].metadata_list:
        modified = file.last_updated_in_seconds or 0.0
        yield AudioFile(file.path[len(prefix) :], file.size_in_bytes, float(modified))


class ListedFile(NamedTuple):
    """An audio file, and what is known against it before it is decoded.

    Attributes
    ----------
    path : str
        Under the audio root.
    size : int
        Bytes.
    reason : str or None
        The audio filter that its size, or an earlier scan, says it fails.
    detail : str
        What was measured.
    """

    path: str
    size: int
    reason: str | None = None
    detail: str = ""

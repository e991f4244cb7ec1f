"""Which files are audio by their names."""

from __future__ import annotations

import os
from collections.abc import Mapping

AUDIO_SUFFIXES = (
    *(".mp3", ".mp2", ".mpga", ".m4a", ".m4b", ".mp4", ".aac", ".flac", ".wav", ".wave", ".w64"),
    *(".aif", ".aiff", ".aifc", ".ogg", ".oga", ".opus", ".spx", ".wma", ".asf", ".ape", ".wv"),
    *(".mpc", ".tta", ".ac3", ".caf", ".au", ".mka", ".webm", ".dsf", ".dff"),
)
KINDS = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)  # as messages name them

# What other systems leave beside the files on a disk that they share.
_PASSED_OVER = {".AppleDouble", "@eaDir", "__MACOSX"}
_NO_SUFFIX, _NO_FILE = "without a suffix", "pipes, sockets, devices and link loops"
_LONGEST_SUFFIX, _MOST_KINDS = 10, 8


def is_audio(path: str) -> bool:
    """Whether a path below a searched folder is audio by its name, in any case.

    ``._song.mp3`` and what lies in ``.AppleDouble``, ``@eaDir`` or ``__MACOSX`` is none.

    Parameters
    ----------
    path : str
        Relative to the folder, with '/'.
    """
    return ignored_as(path) is None


def ignored_as(path: str | None) -> str | None:
    """What a search counts a file as that it passes over; None for audio.

    Parameters
    ----------
    path : str or None
        Relative to the searched folder, with '/'; None for what is no regular file.

    Returns
    -------
    str or None
        The suffix in lower case (``.jpg``), ``._*`` or a folder's name (``@eaDir``) for what
        other systems leave behind, or words.
    """
    if path is None:
        return _NO_FILE
    name = path.rsplit("/", 1)[-1]
    if name.startswith("._"):
        return "._*"
    foreign = next((part for part in path.split("/") if part in _PASSED_OVER), None)
    if foreign is not None:
        return foreign
    if name.lower().endswith(AUDIO_SUFFIXES):
        return None
    suffix = os.path.splitext(name)[1].lower()
    return suffix if 1 < len(suffix) <= _LONGEST_SUFFIX and " " not in suffix else _NO_SUFFIX


def is_left_behind(folder: str) -> bool:
    """Whether a folder of this name is no music's, but what another system leaves on a disk."""
    return folder in _PASSED_OVER


def ignored_line(ignored: Mapping[str, int]) -> str:
    """What was passed over, the most first: ``ignored: 12 .jpg, 3 .cue``.

    Parameters
    ----------
    ignored : mapping
        Files by what :func:`ignored_as` calls them.

    Returns
    -------
    str
        Empty where nothing was.
    """
    kinds = sorted(ignored.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{n:,} {kind}" for kind, n in kinds[:_MOST_KINDS]]
    others = sum(n for _, n in kinds[_MOST_KINDS:])
    named += [f"{others:,} others"] if others else []
    return f"ignored: {', '.join(named)}" if named else ""

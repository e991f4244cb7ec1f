"""Which files are audio by their names."""

from __future__ import annotations

AUDIO_SUFFIXES = (
    *(".mp3", ".mp2", ".mpga", ".m4a", ".m4b", ".mp4", ".aac", ".flac", ".wav", ".wave", ".w64"),
    *(".aif", ".aiff", ".aifc", ".ogg", ".oga", ".opus", ".spx", ".wma", ".asf", ".ape", ".wv"),
    *(".mpc", ".tta", ".ac3", ".caf", ".au", ".mka", ".webm", ".dsf", ".dff"),
)
KINDS = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)  # as messages name them

# What other systems leave beside the files on a disk that they share.
_PASSED_OVER = {".AppleDouble", "@eaDir", "__MACOSX"}


def is_audio(path: str) -> bool:
    """Whether a path below a searched folder is audio by its name, in any case.

    ``._song.mp3`` and what lies in ``.AppleDouble``, ``@eaDir`` or ``__MACOSX`` is none.

    Parameters
    ----------
    path : str
        Relative to the folder, with '/'.
    """
    *folders, name = path.split("/")
    if name.startswith("._") or not _PASSED_OVER.isdisjoint(folders):
        return False
    return name.lower().endswith(AUDIO_SUFFIXES)

"""Which files are audio by their names."""

from __future__ import annotations

AUDIO_SUFFIXES = (".mp3", ".wav", ".flac", ".ogg", ".m4a")
KINDS = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)  # as messages name them


def is_audio(name: str) -> bool:
    """Whether a file's name ends in one of :data:`AUDIO_SUFFIXES`, in any case."""
    return name.lower().endswith(AUDIO_SUFFIXES)

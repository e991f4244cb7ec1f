"""What a file's first bytes and headers say, before anything is decoded."""

from __future__ import annotations

import dataclasses
import io
from typing import Any, TypeVar

from beam_pipelines.audio.errors import AudioError
from schemas.rejects import Reason

# How files of the formats begin that can be told from an MP3, which can begin with anything.
_MAGIC = {b"RIFF": ".wav", b"RF64": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"FORM": ".aiff"}


_LARGEST = 2**31  # one flipped bit makes a bit rate of more
Number = TypeVar("Number", int, float)


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a file's headers say; None where they say nothing.

    Attributes
    ----------
    duration : float or None
        Length in s. May come from a LAME header, which outlives a truncation.
    channels, sample_rate, bit_rate : int or None
        Channels, Hz and bit/s.
    """

    duration: float | None = None
    channels: int | None = None
    sample_rate: int | None = None
    bit_rate: int | None = None


def check_label(name: str, data: bytes) -> None:
    """See that a clip of the 7digital tree is no file of another format.

    There the name is a promise: a WAV file under it is most likely not the clip. A file of
    one's own may have any suffix; what it is, its content decides.

    Raises
    ------
    AudioError
        MISLABELLED.
    """
    suffix = _MAGIC.get(data[:4])
    if suffix is not None and name.endswith(".clip.mp3"):
        raise AudioError(Reason.MISLABELLED, f"it is a {suffix} file")


def probe(data: bytes) -> Probe:
    """Duration, channels and rates as the file's headers give them (mutagen).

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    Probe
        All None where mutagen knows no such file; never raises.
    """
    import mutagen  # here, as the lite player has none

    try:
        info = mutagen.File(io.BytesIO(data)).info
        return Probe(
            duration=_positive(info, "length", float),
            channels=_positive(info, "channels", int),
            sample_rate=_positive(info, "sample_rate", int),
            bit_rate=_positive(info, "bitrate", int),
        )
    except MemoryError:
        raise
    except Exception:  # mutagen lets parsers' errors of every kind through
        return Probe()


def _positive(info: Any, name: str, kind: type[Number]) -> Number | None:
    """A figure of the headers; None for one that no table's column could hold."""
    value = getattr(info, name, None)
    return kind(value) if value and 0 < value < _LARGEST else None

"""How long a file would be if all the bytes were there that its header speaks of.

References
----------
WAV: Microsoft, "Multiple Channel Audio Data and WAVE Files"; EBU Tech 3306 (RF64).
AIFF: Apple, "Audio Interchange File Format", 1.3. FLAC: RFC 9639, 8.2.
MP3: the Xing, Info and VBRI headers as the encoders of LAME and Fraunhofer write them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from beam_pipelines.audio.mpeg import Frame, first_frame

_UNKNOWN = 0x7FFFF000  # sizes from here on are written where the length was not known yet


def claimed_seconds(file: BinaryIO) -> float:
    """Length in s by the header, where it speaks of more bytes than the file has.

    Parameters
    ----------
    file : binary stream
        A whole file.

    Returns
    -------
    float
        0 where nothing is missing, or nothing is known.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
        return _wav(file, size)
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return _aiff(file, size)
    if head[:4] == b"fLaC":
        return _flac(file)
    frame = first_frame(file)
    return 0.0 if frame is None else _mp3(file, size, frame)


def _chunks(file: BinaryIO, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the chunks behind the first 12 bytes."""
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        yield name, place + 8, length
        place += 8 + length + length % 2


def _wav(file: BinaryIO, size: int) -> float:
    rate = whole = 0
    for name, place, length in _chunks(file, size, "<"):
        if name == b"ds64" and length >= 16:
            whole = struct.unpack("<8xQ", file.read(16))[0]
        if name == b"fmt " and length >= 16:
            rate = struct.unpack("<8xI", file.read(12))[0]
        if name == b"data":
            length = whole if length == 0xFFFFFFFF and whole else length
            is_known = length < _UNKNOWN or length == whole
            return length / rate if rate and is_known and place + length > size else 0.0
    return 0.0


def _aiff(file: BinaryIO, size: int) -> float:
    seconds = 0.0
    for name, place, length in _chunks(file, size, ">"):
        if name == b"COMM" and length >= 18:
            frames, exponent, mantissa = struct.unpack(">2xI2xHQ", file.read(18))
            rate = mantissa * 2.0 ** ((exponent & 0x7FFF) - 16446)  # 80-bit extended precision
            seconds = frames / rate if rate > 0 else 0.0
        if name == b"SSND":
            return seconds if length < _UNKNOWN and place + length > size else 0.0
    return 0.0


def _flac(file: BinaryIO) -> float:
    """Of a FLAC only its samples are known, not its bytes."""
    file.seek(18)
    packed = int.from_bytes(file.read(8), "big")
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    return samples / rate if rate else 0.0


def _mp3(file: BinaryIO, size: int, frame: Frame) -> float:
    file.seek(frame.start)
    data = file.read(frame.length)
    n_frames = n_bytes = 0
    for name in (b"Xing", b"Info"):
        if (at := data.find(name, 4, 64)) > 0 and len(data) >= at + 16:
            flags, n_frames, n_bytes = struct.unpack(">III", data[at + 4 : at + 16])
            n_frames, n_bytes = (n_frames, n_bytes) if flags & 3 == 3 else (0, 0)
    if data[36:40] == b"VBRI" and len(data) >= 54:
        n_bytes, n_frames = struct.unpack(">II", data[46:54])
    missing = frame.start + n_bytes - size
    return n_frames * frame.samples / frame.rate if missing > 0 else 0.0

"""Finding the intact frames of a damaged MP3 stream.

libmpg123 gives up at the first 1,024 bytes that are no frames. Real trees hold files
with foreign bytes before or between the frames; what is left of them is music.

References
----------
ISO/IEC 11172-3 and 13818-3: header of 32 bits, Layer III.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

_KBIT = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_HEADER, _ID3V1 = 4, 128
_HEAD = 1 << 13  # bytes in which the first frame is looked for
_NEARLY_ALL = 0.98


def _frame_length(data: bytes, start: int) -> tuple[int, tuple[int, int]]:
    """Bytes of the frame whose header is at `start` (0 where there is none) and its stream.

    The stream is the pair (version and layer, rate index), which all frames of a file share.
    """
    if start + _HEADER > len(data) or data[start] != 0xFF:
        return 0, (0, 0)
    second, third = data[start + 1], data[start + 2]
    version, layer = second >> 3 & 3, second >> 1 & 3
    bitrate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second >> 5 != 7 or version == 1 or layer != 1 or not 0 < bitrate < 15 or rate == 3:
        return 0, (0, 0)
    kbit = _KBIT[1 if version == 3 else 2][bitrate - 1]
    samples = 1152 if version == 3 else 576
    length = samples // 8 * kbit * 1000 // _RATES[version][rate] + padding
    return length, (version, rate)


def constant_rate_seconds(file: BinaryIO) -> float | None:
    """Length of a stream of constant bit rate by the headers of its frames.

    The second frame's header, which differs from the others' in its padding bit alone, is
    looked for in all of the file: at memory's speed, and right where nearly all bytes belong
    to frames that begin with it.

    Parameters
    ----------
    file : binary stream
        A whole file.

    Returns
    -------
    float or None
        s; None for a stream of another kind.
    """
    file.seek(0)
    start, data = 0, file.read(_HEAD)
    if data[:3] == b"ID3" and len(data) > 9:
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
        )
        file.seek(start)
        data = file.read(_HEAD)
    first = next((i for i in range(len(data) - _HEADER) if _frame_length(data, i)[0]), None)
    if first is None:
        return None
    second = first + _frame_length(data, first)[0]
    length, (version, rate) = _frame_length(data, second)
    if not length:
        return None
    begin = data[second : second + 2]
    headers = {begin + bytes([data[second + 2] & 0xFD]), begin + bytes([data[second + 2] | 2])}
    n_frames = sum(_count_all(file, start + first, headers))
    samples = 1152 if version == 3 else 576
    seconds = n_frames * samples / _RATES[version][rate]
    kbit = _KBIT[1 if version == 3 else 2][(data[second + 2] >> 4) - 1]
    file.seek(0, io.SEEK_END)
    n_bytes = file.tell() - start - first
    return seconds if seconds * kbit * 125 >= _NEARLY_ALL * n_bytes - _ID3V1 else None


def _count_all(file: BinaryIO, start: int, patterns: set[bytes]) -> Iterator[int]:
    file.seek(start)
    tail = b""
    while data := file.read(1 << 20):
        yield from ((tail + data).count(pattern) for pattern in patterns)
        tail = data[-2:]


def intact_frames(data: bytes) -> bytes:
    """The frames of an MP3 stream, one after the other, without what lies between them.

    A frame counts when the next frame of the same stream begins where it ends, or the
    data (without an ID3v1 tag) ends there. The stream's version and rate are those of the
    first such pair.

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    bytes
        Whole frames; empty where the data is no MP3.
    """
    if data[-_ID3V1:].startswith(b"TAG"):
        data = data[:-_ID3V1]
    frames = []
    stream = None
    start = 0
    while (start := data.find(b"\xff", start)) >= 0:
        length, kind = _frame_length(data, start)
        following, next_kind = _frame_length(data, start + length) if length else (0, kind)
        at_end = stream is not None and start + length == len(data)
        if length and kind == (stream or kind) and (at_end or following and next_kind == kind):
            stream = kind
            frames.append(data[start : start + length])
            start += length
        else:
            start += 1
    return b"".join(frames)

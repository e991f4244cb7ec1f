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
from typing import BinaryIO, NamedTuple

_KBIT = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_HEADER, _ID3V1 = 4, 128
_LOOK_EVERY = 64  # frames
_HEAD = 1 << 14  # bytes in which the first frame is looked for
_NEARLY_ALL = 0.98


class Frame(NamedTuple):
    """The header of a frame.

    Attributes
    ----------
    start, length : int
        Its place in the file and its length in bytes.
    version : int
        3 for MPEG 1, 2 for MPEG 2, 0 for MPEG 2.5.
    rate : int
        Hz.
    kbit : int
        Bit rate in 1000 bit/s.
    """

    start: int
    length: int
    version: int
    rate: int
    kbit: int

    @property
    def samples(self) -> int:
        """Samples of each channel."""
        return 1152 if self.version == 3 else 576

    @property
    def stream(self) -> tuple[int, int]:
        """What all frames of a file share."""
        return self.version, self.rate


def _read_header(data: bytes, at: int, start: int = 0) -> Frame | None:
    """The frame whose header is at `at`, for data that begin at `start` of a file."""
    if at + _HEADER > len(data) or data[at] != 0xFF:
        return None
    second, third = data[at + 1], data[at + 2]
    version, layer = second >> 3 & 3, second >> 1 & 3
    bitrate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second >> 5 != 7 or version == 1 or layer != 1 or not 0 < bitrate < 15 or rate == 3:
        return None
    kbit = _KBIT[1 if version == 3 else 2][bitrate - 1]
    hertz = _RATES[version][rate]
    length = (144 if version == 3 else 72) * kbit * 1000 // hertz + padding
    return Frame(start + at, length, version, hertz, kbit)


def first_frame(file: BinaryIO) -> Frame | None:
    """The first frame of an MP3 stream, behind an ID3v2 tag: one that another one follows.

    Parameters
    ----------
    file : binary stream
        A whole file.
    """
    file.seek(0)
    start, data = 0, file.read(_HEAD)
    if data[:3] == b"ID3" and len(data) > 9:
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
        )
        file.seek(start)
        data = file.read(_HEAD)
    at = -1
    while (at := data.find(b"\xff", at + 1)) >= 0:
        frame = _read_header(data, at, start)
        following = frame and _read_header(data, at + frame.length)
        if frame and following and following.stream == frame.stream:
            return frame
    return None


def constant_rate_seconds(file: BinaryIO) -> float | None:
    """Length of a stream of constant bit rate by the headers of its frames.

    The frames of such a stream differ in their padding alone, so their places are known: every
    so often one is looked at. A frame of another length in between shifts all that follow.

    Parameters
    ----------
    file : binary stream
        A whole file.

    Returns
    -------
    float or None
        s; None for a stream of another kind, or with foreign bytes in it.
    """
    first = first_frame(file)
    if first is None:
        return None
    begin = first.start + first.length  # the first frame may be a header of the encoder's
    file.seek(begin)
    header = file.read(_HEADER)
    frame = _read_header(header, 0, begin)
    if frame is None or frame.stream != first.stream:
        return None
    same = header[:2], header[2] & 0xFD
    length = frame.samples / 8 * frame.kbit * 1000 / frame.rate
    n_bytes = file.seek(0, io.SEEK_END) - begin
    n_frames = int(n_bytes / length)
    if not n_frames:
        return None
    for number in (*range(_LOOK_EVERY, n_frames, _LOOK_EVERY), n_frames - 1):
        place = begin + int(number * length) - 1  # padding is where the encoder likes it
        file.seek(place)
        data = file.read(_HEADER + 2)
        if not any((data[i : i + 2], data[i + 2] & 0xFD) == same for i in range(len(data) - 3)):
            return _counted_seconds(file, frame, header)
    return (n_frames + 1) * frame.samples / frame.rate


def _counted_seconds(file: BinaryIO, frame: Frame, header: bytes) -> float | None:
    """By all headers like this one, where nearly all bytes belong to frames that have it."""
    headers = {header[:2] + bytes([header[2] & 0xFD]), header[:2] + bytes([header[2] | 2])}
    n_frames = sum(_count_all(file, frame.start, headers))
    seconds = n_frames * frame.samples / frame.rate
    n_bytes = file.seek(0, io.SEEK_END) - frame.start
    return seconds if seconds * frame.kbit * 125 >= _NEARLY_ALL * n_bytes - _ID3V1 else None


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
        frame = _read_header(data, start)
        if frame is None or frame.stream != (stream or frame.stream):
            start += 1
            continue
        end = start + frame.length
        following = _read_header(data, end)
        at_end = stream is not None and end == len(data)
        if at_end or following is not None and following.stream == frame.stream:
            stream = frame.stream
            frames.append(data[start:end])
            start = end
        else:
            start += 1
    return b"".join(frames)

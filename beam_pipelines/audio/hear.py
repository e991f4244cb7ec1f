"""Which decoder hears a file, and whether it has heard the whole of it.

libsndfile is fast, and right for most files; FFmpeg's libraries know the other formats and
read to the end what libsndfile would cut short: streams of MP3 frames without a true count,
joined files, chained Ogg. What a file is, its content decides, not its name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

import numpy as np

from beam_pipelines.audio import ffmpeg, libsndfile
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.mpeg import constant_rate_seconds, intact_frames
from schemas.rejects import Reason

Taken = TypeVar("Taken")
Blocks = Iterator[tuple[np.ndarray, int]]

# How files begin that libsndfile reads, and that cannot be taken for a stream of MP3 frames.
_LIBSNDFILE = (b"RIFF", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd")
# Containers in which libsndfile would find frames of MP3 by chance, and streams it has no name for.
_FFMPEG = (
    *(b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"MAC ", b"wvpk", b"MPCK", b"MP+", b"TTA1"),
    *(b"\x0bw", b"DSD ", b"FRM8", b"\xff\xf1", b"\xff\xf9", b"FLV", b"\x00\x00\x01\xba"),
)
_MISSING_SECONDS, _MISSING_SHARE = 0.5, 0.02


def hear(file: io.BytesIO | BinaryIO, size: int, take: Callable[[Blocks], Taken]) -> Taken:
    """Decode a file with the first decoder that gives the whole of it.

    Where none does, what was heard the longest counts.

    Parameters
    ----------
    file : binary stream
        A whole file; libsndfile reads one of this machine by its descriptor.
    size : int
        Samples of a block, -1 for all at once: the samples are the same.
    take : callable
        Takes the blocks: float32 [samples, channels] with the rate in Hz, the last one shorter
        than `size`. It is called again where another decoder has to begin anew.

    Returns
    -------
    What `take` made of the blocks.

    Raises
    ------
    AudioError
        That of the first decoder, where none gives samples.
    """
    file.seek(0)
    head = file.read(16)
    best: tuple[float, Taken] | None = None
    failure: AudioError | None = None
    for decode in _decoders(file, head):
        heard = [0.0]
        try:
            taken = take(_counted(decode(size), heard))
        except AudioError as error:
            failure = failure or error
            continue
        if best is None or heard[0] > best[0]:
            best = heard[0], taken
        if heard[0] and is_whole(file, head, heard[0]):
            break
    if best is None:
        raise failure or AudioError(Reason.UNDECODABLE)
    return best[1]


def is_whole(file: BinaryIO, head: bytes, seconds: float) -> bool:
    """Whether so many seconds are all that a file has: no more than 0.5 s and 2 % are missing.

    libsndfile says itself where a WAV, an AIFF or a FLAC ends too early. Of an MP3 it goes by
    a header, or a guess, and of an Ogg by its first stream: there the packets are counted.
    """
    if head.startswith(b"OggS"):
        if _count(file, b"OggS\x00\x02") < 2:
            return True
        claimed = ffmpeg.claimed_seconds(file)
    elif head.startswith(_LIBSNDFILE):
        return True
    else:
        constant = constant_rate_seconds(file)
        claimed = ffmpeg.claimed_seconds(file) if constant is None else constant
    missing = claimed - seconds
    return missing <= _MISSING_SECONDS or missing <= _MISSING_SHARE * claimed


def _decoders(file: BinaryIO, head: bytes) -> Iterator[Callable[[int], Blocks]]:
    is_container = head.startswith(_FFMPEG) or head[4:8] == b"ftyp" or head[8:12] == b"AVI "
    if not is_container:
        yield lambda size: libsndfile.decode_blocks(_begin(file), size)
        if not head.startswith(_LIBSNDFILE):
            yield lambda size: _intact(file, size)
    if ffmpeg.is_there():
        yield lambda size: ffmpeg.decode_blocks(file, size)
    elif is_container:
        raise AudioError(Reason.UNDECODABLE, ffmpeg.MISSING)


def _intact(file: BinaryIO, size: int) -> Blocks:
    """The intact frames of a damaged MP3 stream."""
    file.seek(0)
    data = file.read()
    frames = intact_frames(data)
    if not frames or frames == data:
        raise AudioError(Reason.UNDECODABLE, "no format that libsndfile reads")
    yield from libsndfile.decode_blocks(io.BytesIO(frames), size)


def _begin(file: BinaryIO) -> BinaryIO | int:
    file.seek(0)
    # By its descriptor libsndfile reads a file without Python's lock.
    return file if isinstance(file, io.BytesIO) else file.fileno()


def _counted(blocks: Blocks, heard: list[float]) -> Blocks:
    for samples, rate in blocks:
        heard[0] += len(samples) / rate
        yield samples, rate


def _count(file: BinaryIO, pattern: bytes) -> int:
    """How often some bytes stand in a file, read a piece at a time."""
    file.seek(0)
    found, tail = 0, b""
    while data := file.read(1 << 20):
        found += (tail + data).count(pattern)
        tail = data[-(len(pattern) - 1) :]
    return found

"""Which decoder hears a file, and whether it has heard the whole of it.

libsndfile is fast, and right for most files; FFmpeg's libraries know the other formats and
read to the end what libsndfile would cut short: streams of MP3 frames without a true count,
joined files, chained Ogg. What a file is, its content decides, not its name.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Generic, TypeVar

import numpy as np

from beam_pipelines.audio import ffmpeg, libsndfile
from beam_pipelines.audio.blocks import Block
from beam_pipelines.audio.channels import to_mono
from beam_pipelines.audio.claims import claimed_seconds
from beam_pipelines.audio.errors import AudioError, LeftToAnotherError
from beam_pipelines.audio.mpeg import constant_rate_seconds, intact_frames
from schemas.rejects import Reason

Taken = TypeVar("Taken")
Mono = Iterator[tuple[np.ndarray, int]]

# How files begin that libsndfile reads, and that cannot be taken for a stream of MP3 frames.
_LIBSNDFILE = (b"RIFF", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd")
# Containers in which libsndfile would find frames of MP3 by chance, and streams it has no name for.
_FFMPEG = (
    *(b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"MAC ", b"wvpk", b"MPCK", b"MP+", b"TTA1"),
    *(b"\x0bw", b"DSD ", b"FRM8", b"\xff\xf1", b"\xff\xf9", b"FLV", b"\x00\x00\x01\xba"),
)
_MISSING_SECONDS, _MISSING_SHARE = 0.5, 0.02
_LONGER = 0.1  # s: another decoder has to give more than that to be taken
_CANCELS = 1e-4  # of the power: 40 dB
_LOUD = 32 * _CANCELS  # mean power, for two channels of at most four times full scale


@dataclasses.dataclass(frozen=True)
class Hearing:
    """What is known of a recording that was decoded.

    Attributes
    ----------
    decoder : {'libsndfile', 'intact_frames', 'ffmpeg'}
        Which decoder ran; the second one is libsndfile on a damaged MP3's intact frames.
    rate : int
        The file's own rate in Hz.
    channels : int
        Channels in the file.
    duration : float
        Length of what was decoded in s.
    cut_short : float
        s that the file's frames or its header speak of and that were not decoded; 0 where
        that is no more than half a second or 2 %.
    only_channel : int or None
        The channel that was taken alone, because the mix of all cancels out.
    """

    decoder: str
    rate: int
    channels: int
    duration: float
    cut_short: float
    only_channel: int | None


def hear(
    file: BinaryIO, take: Callable[[Mono], Taken], max_seconds: float = np.inf
) -> tuple[Taken, Hearing]:
    """Decode a file with the first decoder that gives the whole of it, and mix its channels.

    Where none does, what was heard the longest counts. A mix whose RMS over the whole file
    lies 40 dB under the loudest channel's (opposite phase) gives way to that channel.

    Parameters
    ----------
    file : binary stream
        A whole file; libsndfile reads one of this machine by its descriptor.
    take : callable
        Takes the blocks: float32 [n] with the rate in Hz. It is called again where another
        decoder has to begin anew.
    max_seconds : float
        Longest recording that is wanted, in s.

    Returns
    -------
    What `take` made of the blocks, and a Hearing.

    Raises
    ------
    AudioError
        That of the first decoder, where none gives samples; TOO_LONG once more than
        `max_seconds` have been decoded; what `take` raises.
    """
    best: _Attempt[Taken] | None = None
    failure: AudioError | None = None
    counted = 0.0
    declined: list[str] = []
    for name, decode in _decoders(file, declined):
        ear = _Ear(max_seconds)
        try:
            attempt = _Attempt(name, decode, ear, take(ear.mono(decode())))
        except LeftToAnotherError:
            declined.append(name)
            continue
        except AudioError as error:
            if error.reason is Reason.TOO_LONG:
                raise
            failure = failure or error
            continue
        if not ear.seconds:
            failure = failure or AudioError(Reason.NO_SAMPLES)
            continue
        if best is None or ear.seconds > best.ear.seconds + _LONGER:
            best = attempt
        counted = counted or _counted_seconds(file)
        if not _missing(counted, ear.seconds):
            break
    if best is None:
        raise _said(failure)
    claimed = max(counted, claimed_seconds(file))
    if best.decoder == "ffmpeg":
        claimed = max(claimed, ffmpeg.header_seconds(file))
    ear, taken = best.ear, best.taken
    if ear.cancels:
        ear = _Ear(max_seconds, _loudest(best.decode()))
        taken = take(ear.mono(best.decode()))
    missing = _missing(claimed, ear.seconds)
    return taken, Hearing(best.decoder, ear.rate, ear.channels, ear.seconds, missing, ear.only)


class _Ear:
    """Mixes the blocks of one decoding, and keeps account of them."""

    def __init__(self, max_seconds: float, only: int | None = None) -> None:
        self.rate = self.channels = self.n_samples = 0
        self.only = only
        self._max_seconds = max_seconds
        self._mixed = self._unmixed = 0.0

    @property
    def seconds(self) -> float:
        return self.n_samples / self.rate if self.rate else 0.0

    @property
    def cancels(self) -> bool:
        """Whether the mix may lie 40 dB under a channel: under all of them together it does."""
        return self.only is None and self._mixed < _CANCELS * self._unmixed

    def mono(self, blocks: Iterator[Block]) -> Mono:
        """The blocks as float32 [n] with the rate."""
        for samples, self.rate, layout in blocks:
            self.channels = samples.shape[1]
            self.n_samples += len(samples)
            if self.seconds > self._max_seconds:
                raise AudioError(Reason.TOO_LONG, f"more than {self._max_seconds:g} s")
            if self.only is not None:
                yield np.ascontiguousarray(samples[:, self.only]), self.rate
                continue
            mono = to_mono(samples, layout)
            if self.channels > 1:
                self._compare(samples, mono)
            yield mono, self.rate

    def _compare(self, samples: np.ndarray, mono: np.ndarray) -> None:
        """Add up the power of the mix and of all channels; not where two cannot cancel out."""
        power = float(np.dot(mono, mono))
        if self.channels > 2 or power < _LOUD * len(mono):
            flat = samples.ravel()
            self._mixed += power
            self._unmixed += float(np.dot(flat, flat))


@dataclasses.dataclass(frozen=True)
class _Attempt(Generic[Taken]):
    decoder: str
    decode: Callable[[], Iterator[Block]]
    ear: _Ear
    taken: Taken


def _loudest(blocks: Iterator[Block]) -> int | None:
    """The loudest channel, if it is 40 dB over the mix."""
    mixed, power = 0.0, np.zeros(1)
    for samples, _, layout in blocks:
        mono = to_mono(samples, layout).astype(np.float64)
        mixed += float(np.dot(mono, mono))
        power = power + np.einsum("ij,ij->j", samples, samples, dtype=np.float64)
    return int(power.argmax()) if mixed < _CANCELS * power.max() else None


def _missing(claimed: float, seconds: float) -> float:
    """Seconds of the claim that are not there; half of one and 2 % are none."""
    missing = claimed - seconds
    return missing if missing > _MISSING_SECONDS and missing > _MISSING_SHARE * claimed else 0.0


def _counted_seconds(file: BinaryIO) -> float:
    """Length in s of the packets or frames that a file has; 0 where libsndfile knows it.

    libsndfile says itself where a WAV, an AIFF or a FLAC ends too early. Of an MP3 it goes by
    a header, or a guess, and of an Ogg by its first stream.
    """
    file.seek(0)
    head = file.read(4)
    if head == b"OggS":
        return ffmpeg.packet_seconds(file) if _count(file, b"OggS\x00\x02") > 1 else 0.0
    if head in _LIBSNDFILE:
        return 0.0
    constant = constant_rate_seconds(file)
    return ffmpeg.packet_seconds(file) if constant is None else constant


def _decoders(
    file: BinaryIO, declined: Sequence[str]
) -> Iterator[tuple[str, Callable[[], Iterator[Block]]]]:
    """Names and decoders, the best first; `declined` gets those that left it to another one."""
    file.seek(0)
    head = file.read(16)
    is_container = head.startswith(_FFMPEG) or head[4:8] == b"ftyp" or head[8:12] == b"AVI "
    has_ffmpeg = ffmpeg.is_there()
    if not is_container:
        yield "libsndfile", lambda: libsndfile.decode_blocks(file, not has_ffmpeg)
        if not head.startswith(_LIBSNDFILE):
            yield "intact_frames", lambda: _intact(file)
    if has_ffmpeg:
        yield "ffmpeg", lambda: ffmpeg.decode_blocks(file)
        if "libsndfile" in declined:
            yield "libsndfile", lambda: libsndfile.decode_blocks(file)
    elif is_container:
        raise AudioError(Reason.UNDECODABLE, ffmpeg.MISSING)


def _said(failure: AudioError | None) -> AudioError:
    """What is said of a file that no decoder hears."""
    if failure is None or failure.detail != libsndfile.NO_FORMAT:
        return failure or AudioError(Reason.UNDECODABLE)
    tried = "neither libsndfile nor FFmpeg reads it"
    return AudioError(Reason.UNDECODABLE, tried if ffmpeg.is_there() else ffmpeg.MISSING)


def _intact(file: BinaryIO) -> Iterator[Block]:
    """The intact frames of a damaged MP3 stream."""
    file.seek(0)
    data = file.read()
    frames = intact_frames(data)
    if not frames or frames == data:
        raise AudioError(Reason.UNDECODABLE, libsndfile.NO_FORMAT)
    yield from libsndfile.decode_blocks(io.BytesIO(frames))


def _count(file: BinaryIO, pattern: bytes) -> int:
    """How often some bytes stand in a file, read a piece at a time."""
    file.seek(0)
    found, tail = 0, b""
    while data := file.read(1 << 20):
        found += (tail + data).count(pattern)
        tail = data[-(len(pattern) - 1) :]
    return found

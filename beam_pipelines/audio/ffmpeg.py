"""Decoding with FFmpeg's libraries (PyAV), for what libsndfile lacks or would cut short."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from beam_pipelines.audio.blocks import Block, block_length, check_stream, has_levels
from beam_pipelines.audio.errors import AudioError
from schemas.rejects import Reason

MISSING = "no format that libsndfile reads; for others pip install 'orpheus-tagging[formats]'"
# Of other containers FFmpeg guesses a length from the bit rate, or counts what is there.
_HONEST = {"mov", "ape", "wv", "tta", "dsf", "mpc", "mpc8"}
_PROBED = {"analyzeduration": "5000000", "probesize": "5000000"}


def is_there() -> bool:
    """Whether PyAV is installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def decode_blocks(file: BinaryIO) -> Iterator[Block]:
    """Decode the first audio stream of a file a block at a time.

    What cannot be decoded inside of the stream is passed over, as ``ffmpeg`` does; frames
    of another rate or layout than the first one's are brought to it.

    Parameters
    ----------
    file : binary stream
        A whole file.

    Yields
    ------
    Block

    Raises
    ------
    AudioError
        UNDECODABLE.
    """
    frames = _frames(file)
    first = next(frames, None)
    if first is None:
        raise AudioError(Reason.UNDECODABLE, "no audio that FFmpeg decodes")
    length = block_length(first.samples.shape[1])
    held, waiting = [first.samples], len(first.samples)
    for frame in frames:
        held.append(frame.samples)
        waiting += len(frame.samples)
        while waiting >= length:
            joined = np.concatenate(held)
            yield first._replace(samples=joined[:length])
            held, waiting = [joined[length:]], len(joined) - length
    yield first._replace(samples=np.concatenate(held))


def packet_seconds(file: BinaryIO) -> float:
    """Length of the audio stream's packets in s, without decoding them; 0 where there are none.

    Parameters
    ----------
    file : binary stream
        A whole file.
    """
    total = 0.0
    with contextlib.suppress(AudioError), _open(file) as (container, stream):
        import av

        with contextlib.suppress(av.FFmpegError):
            for packet in container.demux(stream):
                if packet.duration and packet.time_base:
                    total += float(packet.duration * packet.time_base)
    return total


def header_seconds(file: BinaryIO) -> float:
    """Length in s that a container's header gives; 0 for those whose length is only guessed.

    Parameters
    ----------
    file : binary stream
        A whole file.
    """
    with contextlib.suppress(AudioError), _open(file) as (container, stream):
        if stream.duration and _HONEST & set(container.format.name.split(",")):
            return float(stream.duration * stream.time_base)
    return 0.0


class _Nameless:
    """A file as FFmpeg sees it: without its name, which it would take for a hint of the format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


@contextlib.contextmanager
def _open(file: BinaryIO) -> Iterator[tuple[Any, Any]]:
    """The container and its audio stream."""
    try:
        import av
    except ImportError as error:
        raise AudioError(Reason.UNDECODABLE, MISSING) from error
    av.logging.set_level(None)  # its messages are for programmers, and go to the terminal
    file.seek(0)
    try:
        container = av.open(_Nameless(file), metadata_errors="replace", options=_PROBED)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AudioError(Reason.UNDECODABLE, "no format that FFmpeg reads") from error
    try:
        streams = container.streams.audio
        if not streams:
            raise AudioError(Reason.UNDECODABLE, "no audio in it")
        yield container, streams[0]
    finally:
        container.close()


def _frames(file: BinaryIO) -> Iterator[Block]:
    """Decoded frames, at the rate and in the layout of the first."""
    with _open(file) as (container, stream):
        import av

        kind: tuple[Any, ...] | None = None
        resampler, first = None, None
        try:
            for frame in _raw_frames(container, stream):
                first = first or (frame.layout, frame.sample_rate)
                check_stream(first[1], frame.layout.nb_channels)
                its_kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                if its_kind != kind:  # what changes in mid-stream is brought to what it was
                    yield from _converted(resampler, None, first[1])
                    kind, resampler = its_kind, av.AudioResampler("flt", *first)
                yield from _converted(resampler, frame, first[1])
            if first is not None:
                yield from _converted(resampler, None, first[1])
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(Reason.UNDECODABLE, "frames that FFmpeg cannot convert") from error


def _converted(resampler: Any, frame: Any, rate: int) -> Iterator[Block]:
    """What a resampler makes of a frame, or has left where there is none."""
    if resampler is None:
        return
    if frame is not None:
        frame.pts = None  # joined files begin again at 0, which it would not accept
    for out in resampler.resample(frame):
        # Packed, in one plane: a planar frame of more than eight channels has planes elsewhere.
        samples: np.ndarray = out.to_ndarray().reshape(-1, out.layout.nb_channels)
        if not has_levels(samples):
            raise AudioError(Reason.UNDECODABLE, "samples that are no audio levels")
        yield Block(samples, rate, _names(out.layout))


def _names(layout: Any) -> tuple[str, ...]:
    """What the channels are for; empty where the file does not say."""
    names = tuple(channel.name for channel in layout.channels)
    return () if len(names) != layout.nb_channels or "NONE" in names else names


def _raw_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Frames that decode; a broken packet is passed over."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the file ends in the middle
            packet = None
        if packet is None:
            break
        with contextlib.suppress(av.FFmpegError):
            yield from packet.decode()

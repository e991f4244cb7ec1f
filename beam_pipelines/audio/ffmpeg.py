"""Decoding with FFmpeg's libraries (PyAV), for what libsndfile lacks or would cut short."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.libsndfile import LARGEST_SAMPLE, MOST_CHANNELS, SAMPLE_RATES
from schemas.rejects import Reason

MISSING = "FFmpeg's libraries are not installed: pip install 'orpheus-tagging[formats]'"
_PROBED = {"analyzeduration": "5000000", "probesize": "5000000"}


def is_there() -> bool:
    """Whether PyAV is installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def decode_blocks(file: BinaryIO, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Decode the first audio stream of a file a block at a time.

    What cannot be decoded inside of the stream is passed over, as ``ffmpeg`` does; frames
    of another rate or layout than the first one's are brought to it.

    Parameters
    ----------
    file : binary stream
        A whole file.
    size : int
        Samples of a block, -1 for all at once.

    Yields
    ------
    np.ndarray, float32 [samples, channels]
        Full scale 1; the last block is the first that is shorter than `size`, maybe empty.
    int
        Sample rate in Hz.

    Raises
    ------
    AudioError
        UNDECODABLE.
    """
    frames = _frames(file)
    first = next(frames, None)
    if first is None:
        raise AudioError(Reason.UNDECODABLE, "no audio that FFmpeg decodes")
    rate = first[1]
    if rate not in SAMPLE_RATES:
        raise AudioError(Reason.UNDECODABLE, f"sample rate of {rate} Hz")
    held, waiting = [first[0]], len(first[0])
    for samples, _ in frames:
        held.append(samples)
        waiting += len(samples)
        while 0 < size <= waiting:
            joined = np.concatenate(held)
            yield joined[:size], rate
            held, waiting = [joined[size:]], len(joined) - size
    yield np.concatenate(held), rate


def claimed_seconds(file: BinaryIO) -> float:
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
        container = av.open(file, metadata_errors="replace", options=_PROBED)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AudioError(Reason.UNDECODABLE, "no format that FFmpeg reads") from error
    try:
        streams = container.streams.audio
        if not streams:
            raise AudioError(Reason.UNDECODABLE, "no audio in it")
        yield container, streams[0]
    finally:
        container.close()


def _frames(file: BinaryIO) -> Iterator[tuple[np.ndarray, int]]:
    """Decoded frames as float32 [samples, channels], with the rate of the first."""
    with _open(file) as (container, stream):
        import av

        kind: tuple[Any, ...] | None = None
        resampler, first = None, None
        try:
            for frame in _raw_frames(container, stream):
                first = first or (frame.layout, frame.sample_rate)
                if frame.layout.nb_channels > MOST_CHANNELS:
                    raise AudioError(Reason.UNDECODABLE, "too many channels")
                its_kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                if its_kind != kind:  # what changes in mid-stream is brought to what it was
                    yield from _converted(resampler, None, first[1])
                    kind, resampler = its_kind, av.AudioResampler("flt", *first)
                yield from _converted(resampler, frame, first[1])
            if first is not None:
                yield from _converted(resampler, None, first[1])
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(Reason.UNDECODABLE, "frames that FFmpeg cannot convert") from error


def _converted(resampler: Any, frame: Any, rate: int) -> Iterator[tuple[np.ndarray, int]]:
    """What a resampler makes of a frame, or has left where there is none."""
    if resampler is None:
        return
    if frame is not None:
        frame.pts = None  # joined files begin again at 0, which it would not accept
    for out in resampler.resample(frame):
        # Packed, in one plane: a planar frame of more than eight channels has planes elsewhere.
        samples: np.ndarray = out.to_ndarray().reshape(-1, out.layout.nb_channels)
        if not np.abs(samples).max(initial=0) < LARGEST_SAMPLE:  # `not <` so that NaN fails too
            raise AudioError(Reason.UNDECODABLE, "samples that are no audio levels")
        yield samples, rate


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

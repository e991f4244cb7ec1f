"""Decoding with libsndfile, for what it reads whole: WAV, AIFF, FLAC, Ogg, most MP3s."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import soundfile

from beam_pipelines.audio.blocks import Block, block_length, check_stream, has_levels
from beam_pipelines.audio.errors import AudioError, LeftToAnotherError
from beam_pipelines.audio.mpeg import first_frame
from schemas.rejects import Reason

NO_FORMAT = "no format that libsndfile reads"
# Of more than two channels a Vorbis stream has an order of its own (Vorbis I, 4.3.9).
_VORBIS = {
    3: ("FL", "FC", "FR"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FC", "FR", "BL", "BR"),
    6: ("FL", "FC", "FR", "BL", "BR", "LFE"),
    7: ("FL", "FC", "FR", "SL", "SR", "BC", "LFE"),
    8: ("FL", "FC", "FR", "SL", "SR", "BL", "BR", "LFE"),
}
_EMPTY_ID3 = b"ID3\x04\0\0\0\0\0\x40" + bytes(64)


class _Forwards(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """Never seeks: soundfile does after every block, and an MP3 goes on a little differently."""

    def seekable(self) -> bool:
        return False


def decode_blocks(file: BinaryIO, is_alone: bool = True) -> Iterator[Block]:
    """Decode a file a block at a time.

    Parameters
    ----------
    file : binary stream
        A whole file.
    is_alone : bool
        Otherwise more than two channels are left to a decoder that knows what they are for.

    Yields
    ------
    Block

    Raises
    ------
    AudioError
        UNDECODABLE.
    LeftToAnotherError
    """
    with contextlib.ExitStack() as stack:
        is_mp3 = first_frame(file) is not None  # libmpg123 takes noise for a frame
        try:
            opened = _Forwards(_source(file, is_mp3, stack), closefd=False)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(Reason.UNDECODABLE, NO_FORMAT) from error
        source = stack.enter_context(opened)
        if source.format == "MP3" and not is_mp3:
            raise AudioError(Reason.UNDECODABLE, NO_FORMAT)
        rate, n_channels = source.samplerate, source.channels
        check_stream(rate, n_channels)
        if n_channels > 2 and not is_alone:
            raise LeftToAnotherError(Reason.UNDECODABLE, f"{n_channels} channels")
        layout = _VORBIS.get(n_channels, ()) if source.format == "OGG" else ()
        has_floats = source.subtype in ("FLOAT", "DOUBLE")
        length = block_length(n_channels)
        while True:
            try:
                samples = source.read(length, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(Reason.UNDECODABLE, error.error_string.strip()) from error
            except RuntimeError as error:
                raise AudioError(Reason.UNDECODABLE, str(error)) from error
            if has_floats and not has_levels(samples):
                raise AudioError(Reason.UNDECODABLE, "samples that are no audio levels")
            yield Block(samples, rate, layout)
            if len(samples) < length:
                return


def _source(file: BinaryIO, is_mp3: bool, stack: contextlib.ExitStack) -> BinaryIO | int:
    """The file, for libsndfile: by its descriptor it reads it without Python's lock.

    What is in memory becomes a file where it is no MP3: libsndfile reads a few WAVs otherwise
    from a stream.
    """
    file.seek(0)
    if is_mp3 and _is_led_astray():
        return io.BytesIO(_EMPTY_ID3 + file.read())
    if not isinstance(file, io.BytesIO):
        return file.fileno()
    if is_mp3:
        return file
    copy = _memory_file()
    stack.callback(copy.close)
    shutil.copyfileobj(file, copy)
    copy.seek(0)  # writes what is buffered
    return copy.fileno()


def _memory_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("audio"), "w+b")
    return cast(BinaryIO, tempfile.TemporaryFile())


def _is_led_astray() -> bool:
    """Whether libsndfile would take something of the working directory for the file's other half.

    It looks for a resource fork beside a file of no name, before it knows an MP3 as one that
    does not begin with an ID3v2 tag.
    """
    return os.path.exists("._") or os.path.exists(".AppleDouble")

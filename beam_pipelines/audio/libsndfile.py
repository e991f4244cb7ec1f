"""Decoding with libsndfile, for what it reads whole: WAV, AIFF, FLAC, Ogg, most MP3s."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from beam_pipelines.audio.errors import AudioError
from schemas.rejects import Reason

SAMPLE_RATES = range(1000, 1_000_001)
LARGEST_SAMPLE = 1e6
_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # of the machine, in bytes
MOST_CHANNELS = 256  # more are a claim of a damaged header


class _Forwards(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """Never seeks: soundfile does after every block, and an MP3 goes on a little differently."""

    def seekable(self) -> bool:
        return False


def decode_blocks(file: BinaryIO | int, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Decode a file a block at a time.

    Parameters
    ----------
    file : binary stream or int
        The file, or its descriptor, from which libsndfile reads by itself.
    size : int
        Samples of a block, -1 for all at once: the samples are the same.

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
    try:
        opened = (soundfile.SoundFile if size < 0 else _Forwards)(file, closefd=False)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(Reason.UNDECODABLE, "no format that libsndfile reads") from error
    with opened as source:
        rate, n_claimed = source.samplerate, source.frames
        if rate not in SAMPLE_RATES:
            raise AudioError(Reason.UNDECODABLE, f"sample rate of {rate} Hz")
        if source.channels > MOST_CHANNELS:
            raise AudioError(Reason.UNDECODABLE, f"{source.channels} channels")
        has_floats = source.subtype in ("FLOAT", "DOUBLE")
        is_last = False
        while not is_last:
            try:
                samples = source.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(Reason.UNDECODABLE, error.error_string.strip()) from error
            except MemoryError as error:
                if n_claimed * source.channels * 4 <= _MEMORY:  # it is ours that is full
                    raise
                raise AudioError(Reason.UNDECODABLE, f"{n_claimed} samples claimed") from error
            except (RuntimeError, ValueError) as error:
                raise AudioError(Reason.UNDECODABLE, f"{n_claimed} samples claimed") from error
            # `not <` so that NaN fails too.
            if has_floats and not np.abs(samples).max(initial=0) < LARGEST_SAMPLE:
                raise AudioError(Reason.UNDECODABLE, "samples that are no audio levels")
            is_last = size < 0 or len(samples) < size
            yield samples, rate

"""What a decoder gives: a recording in blocks of bounded size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from beam_pipelines.audio.errors import AudioError
from schemas.rejects import Reason

_MOST_CHANNELS = 256  # more are a claim of a damaged header
_RATES = range(1000, 1_000_001)
_LARGEST_SAMPLE = 1e6
_VALUES = 1 << 17  # of a block: small enough for the cache, which is a tenth faster
_UNIT = 512  # samples of which a block is a multiple


class Block(NamedTuple):
    """Some samples of a recording.

    Attributes
    ----------
    samples : np.ndarray, float32 [n, channels]
        Full scale 1.
    rate : int
        Hz.
    layout : tuple of str
        What each channel is for, as for :func:`beam_pipelines.audio.channels.weights`.
    """

    samples: np.ndarray
    rate: int
    layout: tuple[str, ...]


def block_length(n_channels: int) -> int:
    """Samples of a block of so many channels."""
    return max(_UNIT, _VALUES // n_channels // _UNIT * _UNIT)


def check_stream(rate: int, n_channels: int) -> None:
    """See that a stream can be audio.

    Raises
    ------
    AudioError
        UNDECODABLE, for a rate that no recording has, or too many channels.
    """
    if rate not in _RATES:
        raise AudioError(Reason.UNDECODABLE, f"sample rate of {rate} Hz")
    if n_channels > _MOST_CHANNELS:
        raise AudioError(Reason.UNDECODABLE, f"{n_channels} channels")


def has_levels(samples: np.ndarray) -> bool:
    """Whether floating-point samples can be levels of audio; NaN cannot."""
    return bool(np.abs(samples).max(initial=0) < _LARGEST_SAMPLE)

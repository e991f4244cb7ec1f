"""What the decoders hear of a file, whole."""

import io

import numpy as np

from beam_pipelines.audio.hear import hear
from beam_pipelines.audio.silence import SilenceMeter


def hear_mono(data):
    """float32 [n] at the file's own rate, and the rate in Hz."""
    blocks, hearing = hear(io.BytesIO(data), lambda blocks: [mono for mono, _ in blocks])
    return np.concatenate(blocks), hearing.rate


def measure_silence(mono, rate):
    """Silence statistics of a whole signal."""
    meter = SilenceMeter()
    meter.add(mono)
    return meter.read(rate)

"""From the channels of a recording to one signal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# ITU-R BS.775-3, table 2, "mono": left and right 0.7071, centre 1, left and right surround 0.5;
# here relative to left and right. The low-frequency effects are left out.
_WEIGHTS = {
    **{"FC": math.sqrt(2), "BC": 1.0, "LFE": 0.0, "LFE2": 0.0},
    **dict.fromkeys(("BL", "BR", "SL", "SR"), math.sqrt(0.5)),
}
# What files of so many channels hold that do not say it: the order of WAVE_FORMAT_EXTENSIBLE.
_BY_NUMBER = {
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


def weights(n_channels: int, layout: Sequence[str] = ()) -> np.ndarray:
    """Weights of the channels in the mix.

    Parameters
    ----------
    n_channels : int
    layout : sequence of str
        What each channel is for, in FFmpeg's names (``FL``, ``FC``, ``LFE`` …); empty where
        the file does not say: then as is usual for their number, and equal above eight.

    Returns
    -------
    np.ndarray, float32 [n_channels]
        Their sum is 1, so that the mix stays within full scale.

    References
    ----------
    Recommendation ITU-R BS.775-3, table 2.
    """
    names = layout or _BY_NUMBER.get(n_channels, ())
    found = np.array([_WEIGHTS.get(name, 1.0) for name in names] or [1.0] * n_channels)
    if not found.sum():
        found[:] = 1
    return np.asarray(found / found.sum(), np.float32)


def to_mono(samples: np.ndarray, layout: Sequence[str] = ()) -> np.ndarray:
    """Mix the channels: the mean of two, more of them by :func:`weights`.

    Parameters
    ----------
    samples : np.ndarray, float32 [n, channels]
    layout : sequence of str
        As for :func:`weights`.

    Returns
    -------
    np.ndarray, float32 [n]
    """
    n_channels = samples.shape[1]
    if n_channels == 1:
        return samples[:, 0]
    if n_channels == 2:  # a tenth of the time of mean, the same values
        mono: np.ndarray = (samples[:, 0] + samples[:, 1]) * np.float32(0.5)
        return mono
    if n_channels > max(_BY_NUMBER) and not layout:
        return np.asarray(samples.mean(axis=1, dtype=np.float32))
    mixed = np.zeros(len(samples), np.float32)
    for channel, weight in enumerate(weights(n_channels, layout)):
        if weight:
            mixed += samples[:, channel] * weight
    return mixed

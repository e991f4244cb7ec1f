"""All windows of whole tracks, for validation and scoring."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from schemas.config import Config
from trainer.input.records import read_tracks, to_float
from trainer.input.source import Source
from trainer.input.windows import cut_windows


@dataclasses.dataclass
class WholeTracks:
    """The windows of whole tracks and what they belong to.

    Attributes
    ----------
    tids : list of str
    truth : np.ndarray, bool [tracks, targets]
    counts : np.ndarray, int [tracks]
        Windows of each track.
    windows : tf.data.Dataset of float32 [batch, window, ...]
        All windows, track after track.
    made_with : Config, optional
        The configuration that chose tracks and tags, if it goes with them.
    """

    tids: list[str]
    truth: np.ndarray
    counts: np.ndarray
    windows: tf.data.Dataset
    made_with: Config | None = None

    def average(self, scores: np.ndarray) -> np.ndarray:
        """Scores of windows [windows, targets] as means over each track [tracks, targets]."""
        firsts = np.cumsum(self.counts) - self.counts
        return np.add.reduceat(scores, firsts, axis=0) / self.counts[:, None]


def whole_tracks(source: Source, batch_size: int) -> WholeTracks:
    """All windows of each track, as :func:`trainer.input.windows.cut_windows` cuts them.

    Parameters
    ----------
    source : Source
    batch_size : int
        Windows in a batch; the last one has what is left.
    """
    tracks = read_tracks(source)
    tracks = tracks.cache() if source.cached else tracks
    tids, truth, counts = [], [], []
    lengths = tracks.map(lambda tid, clip, tags: (tid, tf.shape(clip)[0], tags))
    for tid, length, tags in lengths.as_numpy_iterator():
        tids.append(tid.decode())
        counts.append(math.ceil(length / source.window))
        truth.append(tags > 0)
    windows = tracks.flat_map(
        lambda tid, clip, tags: tf.data.Dataset.from_tensor_slices(
            cut_windows(clip[None], source.window)[0]
        )
    )
    batches = windows.batch(batch_size).map(to_float).prefetch(tf.data.AUTOTUNE)
    number = tf.data.experimental.assert_cardinality(math.ceil(sum(counts) / batch_size))
    return WholeTracks(
        tids,
        np.array(truth, bool).reshape(len(tids), len(source.names)),
        np.array(counts, np.int64),
        batches.apply(number),
    )


def window_tracks(batches: tf.data.Dataset) -> WholeTracks:
    """Windows of one's own as tracks of a single window each.

    Parameters
    ----------
    batches : tf.data.Dataset of (windows, tags)
        float32 [batch, window, ...] and [batch, targets], finite and in a fixed order.
    """
    tags = [tags for _, tags in batches.as_numpy_iterator()]
    number = tf.data.experimental.assert_cardinality(len(tags))
    truth = np.concatenate([np.zeros((0, batches.element_spec[1].shape[1])), *tags]) > 0
    tids = [str(k) for k in range(len(truth))]
    counts = np.ones(len(truth), np.int64)
    windows = batches.map(lambda windows, tags: windows).apply(number)
    return WholeTracks(tids, truth, counts, windows)

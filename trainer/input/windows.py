"""How a whole clip is cut into windows: the one rule of evaluation, export and service."""

from __future__ import annotations

import tensorflow as tf


def window_starts(length: tf.Tensor | int, window: int) -> tf.Tensor:
    """Starts of the windows that cover a clip.

    0, W, 2W, … as long as whole windows fit, and one more that ends where the clip
    ends if the last of them does not.

    Parameters
    ----------
    length : int or tf.Tensor, int32 scalar
        Samples or frames of the clip, at least one window.
    window : int
        Samples or frames of a window, W.

    Returns
    -------
    tf.Tensor, int32 [ceil(length / window)]
    """
    length = tf.convert_to_tensor(length, tf.int32)
    count = (length + window - 1) // window
    return tf.minimum(tf.range(count) * window, length - window)


def cut_windows(clips: tf.Tensor, window: int) -> tf.Tensor:
    """Cut equally long clips into the windows of :func:`window_starts`.

    Parameters
    ----------
    clips : tf.Tensor [batch, length, ...]
        Samples or spectrogram frames, at least one window long.
    window : int
        Samples or frames of a window.

    Returns
    -------
    tf.Tensor [batch, windows, window, ...]
    """
    starts = window_starts(tf.shape(clips)[1], window)
    return tf.gather(clips, starts[:, None] + tf.range(window)[None], axis=1)


def cut_unequal(clips: tf.Tensor, lengths: tf.Tensor, window: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Cut each clip of a batch into the windows that it has alone.

    Parameters
    ----------
    clips : tf.Tensor [batch, length, ...]
    lengths : tf.Tensor, int32 [batch]
        Samples or frames of each clip, at least one window.
    window : int
        Samples or frames of a window.

    Returns
    -------
    windows : tf.Tensor [batch, most, window, ...]
        As many as the longest clip has; shorter ones repeat their last.
    shares : tf.Tensor, float32 [batch, most]
        What each window counts in its clip's mean: 0 for the repeated ones.
    """
    counts = (lengths + window - 1) // window
    numbers = tf.range((tf.shape(clips)[1] + window - 1) // window)[None]
    starts = tf.minimum(numbers * window, lengths[:, None] - window)
    places = tf.expand_dims(starts, 2) + tf.range(window)  # LiteRT slices no [:, :, None]
    is_own = tf.cast(numbers < counts[:, None], tf.float32)
    shares = is_own / tf.cast(counts, tf.float32)[:, None]
    return tf.gather(clips, places, axis=1, batch_dims=1), shares


def pad_clips(clips: tf.Tensor, length: int, value: tf.Tensor | float = 0.0) -> tf.Tensor:
    """Lengthen clips at their end to at least `length`.

    Audio is padded with zeros before the front end. A stored spectrogram is padded
    with :func:`trainer.input.log_mel.clip_floor`, which is what those zeros come to: the
    two differ only in the frames that look over the end of the clip, at most
    ``n_fft / (2 hop_length)`` of them.

    Parameters
    ----------
    clips : tf.Tensor [batch, n, ...]
        Samples or spectrogram frames.
    length : int
        Length that the result has at least.
    value : float or tf.Tensor that broadcasts with `clips`
        What is put there.

    Returns
    -------
    tf.Tensor [batch, max(n, length), ...]
    """
    shape = tf.shape(clips)
    missing = tf.maximum(length - shape[1], 0)
    padding = tf.zeros(tf.concat([shape[:1], [missing], shape[2:]], axis=0), clips.dtype) + value
    return tf.concat([clips, padding], axis=1)

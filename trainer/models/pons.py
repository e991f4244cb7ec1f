"""The model of Pons et al. (2018) with its two front ends.

The published network keeps its features on a spatial axis and convolves over
``7 x features`` on one channel; here the features are channels of 1-D
convolutions of width 7. Sums, weights and parameter counts are the same, a
training step on CPUs is some thirty times faster.

References
----------
J. Pons, O. Nieto, M. Prockup, E. Schmidt, A. Ehmann, X. Serra: "End-to-end
learning for music audio tagging at scale", ISMIR 2018, arXiv:1711.02520.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from trainer.models.layers import Standardise, Timbre, conv_norm, dense_head

N_BACKEND = 512  # filters of each back-end convolution


def pons(
    inputs: keras.KerasTensor,
    n_tags: int,
    *,
    n_filters: int = 16,
    n_dense: int = 500,
    dropout: float = 0.5,
    norm_per_channel: bool = False,
    initializer: str = "he_normal",
) -> keras.KerasTensor:
    """Scores of windows by the Pons model.

    Parameters
    ----------
    inputs : tensor [batch, samples] or [batch, frames, bands]
        Windows of samples (waveform front end) or of a log-mel spectrogram.
    n_tags : int
        Number of outputs.
    n_filters : int
        F: the log-mel front end has ``29 F`` features. The waveform front end
        does not use it.
    n_dense : int
        Units of the dense layer before the output, the embedding.
    dropout : float
        Share of the units left out before either dense layer, in training.
    norm_per_channel : bool
        The published code normalises after a transpose, so that the second and
        the third back-end convolution have one mean, variance, gamma and beta for
        all 512 features. That is the default; True gives each feature its own.
    initializer : str
        Keras initialiser of all kernels. He's (variance scaling 2, as published)
        keeps the variance through ReLU layers.

    Returns
    -------
    tensor [batch, n_tags], float32
        Sigmoid scores.
    """
    x = Standardise(name="standardise")(inputs)
    if len(inputs.shape) == 2:
        x = _waveform_front_end(x, initializer)
    else:
        x = _log_mel_front_end(x, n_filters, initializer)
    x = _back_end(x, norm_per_channel, initializer)
    return dense_head(x, n_dense, n_tags, dropout, initializer)


def _waveform_front_end(x: keras.KerasTensor, initializer: str) -> keras.KerasTensor:
    """[batch, samples] to [batch, time, 256], a step each 2,187 samples."""
    x = layers.Reshape((-1, 1), name="channel")(x)
    x = conv_norm(x, 64, 3, "wave_0", initializer, strides=3)
    for index, filters in enumerate((64, 64, 128, 128, 128, 256), start=1):
        x = conv_norm(x, filters, 3, f"wave_{index}", initializer)
        x = layers.MaxPooling1D(3, name=f"wave_{index}_pool")(x)
    return x


def _log_mel_front_end(x: keras.KerasTensor, n_filters: int, initializer: str) -> keras.KerasTensor:
    """[batch, frames, bands] to [batch, frames, 29 F]."""
    n_mels = x.shape[-1]
    widths = {7: n_filters, 3: 2 * n_filters, 1: 4 * n_filters}
    high = Timbre(int(0.9 * n_mels), widths, initializer, name="timbre_high")(x)
    low = Timbre(int(0.4 * n_mels), widths, initializer, name="timbre_low")(x)
    energy = ops.mean(x, axis=-1, keepdims=True)
    temporal = [
        conv_norm(
            energy, factor * n_filters, width, f"temporal_{width}", initializer, padding="same"
        )
        for factor, width in ((1, 165), (2, 128), (4, 64), (8, 32))
    ]
    return layers.Concatenate(name="front_end")([high, low, *temporal])


def _back_end(x: keras.KerasTensor, norm_per_channel: bool, initializer: str) -> keras.KerasTensor:
    """[batch, time, features] to [batch, 1024]: maximum and mean over the time."""
    x = conv_norm(x, N_BACKEND, 7, "back_1", initializer)
    x = _residual(x, "back_2", norm_per_channel, initializer)
    x = layers.MaxPooling1D(2, name="back_pool")(x)
    x = _residual(x, "back_3", norm_per_channel, initializer)
    pooled = [layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)]
    return layers.Concatenate(name="back_end")(pooled)


def _residual(
    x: keras.KerasTensor, name: str, norm_per_channel: bool, initializer: str
) -> keras.KerasTensor:
    """x plus its convolution of width 7."""
    if norm_per_channel:
        return layers.Add(name=f"{name}_add")(
            [x, conv_norm(x, N_BACKEND, 7, name, initializer, padding="same")]
        )
    y = layers.Conv1D(
        N_BACKEND, 7, padding="same", activation="relu", kernel_initializer=initializer, name=name
    )(x)
    y = layers.BatchNormalization(name=f"{name}_norm")(ops.expand_dims(y, -1))
    return layers.Add(name=f"{name}_add")([x, ops.squeeze(y, -1)])

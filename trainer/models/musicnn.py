"""musicnn and its vgg, the networks published with the package musicnn 0.1.0.

References
----------
J. Pons, X. Serra: "musicnn: pre-trained convolutional neural networks for music
audio tagging", ISMIR 2019 late-breaking, arXiv:1909.06654.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from trainer.models.layers import Timbre, conv_norm, dense_head, tag_scores


def musicnn(
    inputs: keras.KerasTensor,
    n_tags: int,
    *,
    n_dense: int = 200,
    dropout: float = 0.5,
    initializer: str = "he_normal",
) -> keras.KerasTensor:
    """Scores of windows by musicnn.

    Parameters
    ----------
    inputs : tensor [batch, frames, bands]
        Windows of a log-mel spectrogram, published for 187 frames of 96 bands.
    n_tags : int
        Number of outputs.
    n_dense : int
        Units of the dense layer before the output, the embedding.
    dropout : float
        Share of the units left out before either dense layer, in training.
    initializer : str
        Keras initialiser of all kernels.

    Returns
    -------
    tensor [batch, n_tags], float32
        Sigmoid scores.
    """
    n_mels = inputs.shape[-1]
    x = _input_norm(inputs)
    low = Timbre(int(0.4 * n_mels), {7: 204}, initializer, name="timbre_low")(x)
    high = Timbre(int(0.7 * n_mels), {7: 204}, initializer, name="timbre_high")(x)
    temporal = [
        ops.max(_band_by_band(x, 51, width, f"temporal_{width}", initializer), axis=2)
        for width in (128, 64, 32)
    ]
    front = layers.Concatenate(name="front_end")([low, high, *temporal])
    first = conv_norm(front, 64, 7, "mid_1", initializer, padding="same")
    second = layers.Add()([first, conv_norm(first, 64, 7, "mid_2", initializer, padding="same")])
    third = layers.Add()([second, conv_norm(second, 64, 7, "mid_3", initializer, padding="same")])
    x = layers.Concatenate(name="mid_end")([front, first, second, third])
    pooled = [layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)]
    x = layers.BatchNormalization(name="back_norm")(layers.Concatenate(name="back_end")(pooled))
    return dense_head(x, n_dense, n_tags, dropout, initializer)


def vgg(
    inputs: keras.KerasTensor,
    n_tags: int,
    *,
    n_filters: int = 128,
    dropout: float = 0.5,
    initializer: str = "he_normal",
) -> keras.KerasTensor:
    """Scores of windows by the vgg of the musicnn package.

    Parameters
    ----------
    inputs : tensor [batch, frames, bands]
        Windows of a log-mel spectrogram, published for 187 frames of 96 bands.
        The number of frames is part of the network.
    n_tags : int
        Number of outputs.
    n_filters : int
        Filters of each of the five convolutions.
    dropout : float
        Share of the units left out before the output, in training.
    initializer : str
        Keras initialiser of all kernels.

    Returns
    -------
    tensor [batch, n_tags], float32
        Sigmoid scores.
    """
    x = ops.expand_dims(inputs, -1)
    x = layers.BatchNormalization(name="input_norm")(x)
    pools = (
        ((4, 1), (2, 2)),
        ((2, 2), (2, 2)),
        ((2, 2), (2, 2)),
        ((2, 2), (2, 2)),
        ((4, 4), (4, 4)),
    )
    for index, (size, strides) in enumerate(pools, start=1):
        x = layers.Conv2D(
            n_filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=initializer,
            name=f"conv_{index}",
        )(x)
        x = layers.BatchNormalization(name=f"conv_{index}_norm")(x)
        x = layers.MaxPooling2D(size, strides, name=f"conv_{index}_pool")(x)
    x = layers.Flatten(name="embedding")(x)
    return tag_scores(layers.Dropout(dropout, name="embedding_dropout")(x), n_tags, initializer)


def _input_norm(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Batch normalisation with one gamma and one beta for the whole spectrogram."""
    x = layers.BatchNormalization(name="input_norm")(ops.expand_dims(inputs, -1))
    return ops.squeeze(x, -1)


def _band_by_band(
    x: keras.KerasTensor, filters: int, width: int, name: str, initializer: str
) -> keras.KerasTensor:
    """The same 1-D filters on each band: [batch, frames, bands, filters]."""
    y = layers.Conv2D(
        filters,
        (width, 1),
        padding="same",
        activation="relu",
        kernel_initializer=initializer,
        name=name,
    )(ops.expand_dims(x, -1))
    return layers.BatchNormalization(name=f"{name}_norm")(y)

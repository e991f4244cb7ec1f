"""The layers of our own that the models share: Keras 3 and its ops, any backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="orpheus")
class Standardise(layers.Layer):
    """Zero mean and unit variance over one window (every axis but the batch).

    The window's minimum is taken away first: a constant window is then exactly
    zero in float32, where ``x - mean(x)`` would leave rounding errors to be blown
    up. Float32 also under a mixed precision policy.

    Parameters
    ----------
    epsilon : float
        Added to the standard deviation; small beside one step of 16-bit audio
        (3e-5), so that quiet windows are scaled up like loud ones.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        axes = tuple(range(1, len(inputs.shape)))
        raised = inputs - ops.min(inputs, axis=axes, keepdims=True)
        centred = raised - ops.mean(raised, axis=axes, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True))
        return centred / (deviation + self.epsilon)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="orpheus")
class Timbre(layers.Layer):
    """Convolutions over time and frequency, ReLU, batch norm, maximum over frequency.

    In the published networks these are 2-D convolutions with one input channel.
    Here the places of a filter on the frequency axis are folded into the batch and
    the bands that it sees are channels of a 1-D convolution over time: the same
    sums and weights, faster on CPUs.

    Parameters
    ----------
    height : int
        Bands that a filter sees.
    filters : mapping of int to int
        Frames that a filter sees (odd; padded with zeros to the same length) to
        the number of such filters.
    initializer : str
        Keras initialiser of the kernels.

    Notes
    -----
    Takes ``[batch, frames, bands]``, gives ``[batch, frames, sum of the filters]``.
    """

    def __init__(
        self, height: int, filters: Mapping[int, int], initializer: str = "he_normal", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if height < 1:
            raise ValueError("the spectrogram has too few mel bands")
        self.height = height
        self.filters = {int(width): count for width, count in filters.items()}
        self.initializer = initializer
        self.convs = [
            layers.Conv1D(
                count,
                width,
                padding="same",
                activation="relu",
                kernel_initializer=initializer,
                name=f"conv_{height}x{width}",
                dtype=self.dtype_policy,
            )
            for width, count in self.filters.items()
        ]
        self.norms = [
            layers.BatchNormalization(name=f"norm_{height}x{width}", dtype=self.dtype_policy)
            for width in self.filters
        ]

    def build(self, input_shape: Shape) -> None:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build((None, None, self.height))
            norm.build((None, None, conv.filters))
        self.built = True

    def call(self, inputs: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        frames, places = ops.shape(inputs)[1], inputs.shape[2] - self.height + 1
        slices = [inputs[:, :, first : first + self.height] for first in range(places)]
        folded = ops.reshape(ops.stack(slices, axis=1), (-1, frames, self.height))
        features = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(folded), training=training)
            x = ops.reshape(x, (-1, places, frames, conv.filters))
            features.append(ops.max(x, axis=1))
        return ops.concatenate(features, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], sum(self.filters.values()))

    def get_config(self) -> dict[str, Any]:
        own = {"height": self.height, "filters": self.filters, "initializer": self.initializer}
        return {**super().get_config(), **own}


def conv_norm(
    x: keras.KerasTensor, filters: int, width: int, name: str, initializer: str, **options: Any
) -> keras.KerasTensor:
    """1-D convolution over time, ReLU, batch normalisation.

    Parameters
    ----------
    x : tensor [batch, time, features]
    filters, width : int
        Filters and the time steps that each sees.
    name : str
        Name of the convolution; that of the normalisation is ``{name}_norm``.
    initializer : str
        Keras initialiser of the kernel.
    **options
        As for ``keras.layers.Conv1D`` (strides, padding).

    Returns
    -------
    tensor [batch, time, filters]
    """
    conv = layers.Conv1D(
        filters, width, activation="relu", kernel_initializer=initializer, name=name, **options
    )
    return layers.BatchNormalization(name=f"{name}_norm")(conv(x))


def dense_head(
    x: keras.KerasTensor, n_dense: int, n_tags: int, dropout: float, initializer: str
) -> keras.KerasTensor:
    """Dropout, dense, ReLU and batch norm ("embedding"), dropout, sigmoid ("scores").

    Parameters
    ----------
    x : tensor [batch, features]
    n_dense, n_tags : int
        Units of the two dense layers.
    dropout : float
        Share of the units left out in training.
    initializer : str
        Keras initialiser of the kernels.

    Returns
    -------
    tensor [batch, n_tags], float32
    """
    x = layers.Dropout(dropout, name="features_dropout")(x)
    x = layers.Dense(n_dense, activation="relu", kernel_initializer=initializer, name="dense")(x)
    x = layers.BatchNormalization(name="embedding")(x)
    x = layers.Dropout(dropout, name="embedding_dropout")(x)
    return tag_scores(x, n_tags, initializer)


def tag_scores(x: keras.KerasTensor, n_tags: int, initializer: str) -> keras.KerasTensor:
    """The output layer ("scores"): sigmoid, one unit a tag, float32 under any policy."""
    return layers.Dense(
        n_tags, activation="sigmoid", kernel_initializer=initializer, name="scores", dtype="float32"
    )(x)

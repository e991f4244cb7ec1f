"""What a training step of the Pons model costs, beside the layout of the published code.

``python -m tests.benchmarks.train_step [--frontend waveform] [--batch_size 16]``
"""

from __future__ import annotations

import argparse
import os
import time

os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from schemas.audio_spec import AUDIO_FORMATS, LOG_MEL, WAVEFORM
from trainer.models.layers import Standardise, conv_norm, dense_head
from trainer.models.pons import N_BACKEND
from trainer.models.registry import build_model

WINDOWS = {WAVEFORM: (240_000,), LOG_MEL: (468, 96)}
N_TAGS = 50


def published_pons(shape: tuple[int, ...]) -> keras.Model:
    """The Pons model with its features on the frequency axis, as it was published."""
    inputs = keras.Input(shape)
    x = Standardise()(inputs)
    x = waveform_features(x) if len(shape) == 1 else log_mel_features(x)
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = layers.Permute((1, 3, 2))(conv2d(x, N_BACKEND, (7, x.shape[2])))
    x = residual(x)
    x = layers.MaxPooling2D((2, 1))(x)
    x = residual(x)
    x = layers.Reshape(x.shape[1:3])(x)
    pooled = [layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)]
    x = dense_head(layers.Concatenate()(pooled), 500, N_TAGS, 0.5, "he_normal")
    return keras.Model(inputs, x)


def log_mel_features(x):
    x = layers.Reshape((*x.shape[1:], 1))(x)
    features = []
    for height in (86, 38):
        for filters, width in ((16, 7), (32, 3), (64, 1)):
            y = conv2d(layers.ZeroPadding2D((width // 2, 0))(x), filters, (width, height))
            y = layers.MaxPooling2D((1, y.shape[2]))(y)
            features.append(layers.Reshape((-1, filters))(y))
    energy = layers.Reshape((-1, 1))(layers.AveragePooling2D((1, x.shape[2]))(x))
    for filters, width in ((16, 165), (32, 128), (64, 64), (128, 32)):
        features.append(conv_norm(energy, filters, width, f"t{width}", "he_normal", padding="same"))
    return layers.Concatenate()(features)


def waveform_features(x):
    x = conv_norm(layers.Reshape((-1, 1))(x), 64, 3, "w0", "he_normal", strides=3)
    for index, filters in enumerate((64, 64, 128, 128, 128, 256), start=1):
        x = layers.MaxPooling1D(3)(conv_norm(x, filters, 3, f"w{index}", "he_normal"))
    return x


def conv2d(x, filters: int, kernel: tuple[int, int]):
    y = layers.Conv2D(filters, kernel, activation="relu", kernel_initializer="he_normal")(x)
    return layers.BatchNormalization()(y)


def residual(x):
    y = layers.ZeroPadding2D((3, 0))(x)
    y = layers.Conv2D(N_BACKEND, (7, N_BACKEND), activation="relu", kernel_initializer="he_normal")(
        y
    )
    return layers.Add()([x, layers.BatchNormalization()(layers.Permute((1, 3, 2))(y))])


def seconds_a_step(model: keras.Model, batch_size: int, steps: int) -> tuple[float, float]:
    """Wall and CPU time of a training step in s, after one to warm up."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch_size, *model.input_shape[1:])).astype(np.float32)
    y = rng.integers(0, 2, (batch_size, N_TAGS)).astype(np.float32)
    model.compile("adam", "binary_crossentropy")
    model.train_on_batch(x, y)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        model.train_on_batch(x, y)
    return (time.perf_counter() - wall) / steps, (time.process_time() - cpu) / steps


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frontend", choices=AUDIO_FORMATS, default=LOG_MEL)
    options.add_argument("--batch_size", type=int, default=16)
    given = options.parse_args()
    shape = WINDOWS[given.frontend]
    fast = build_model("pons", frontend=given.frontend, window=shape[0], n_mels=96, n_tags=N_TAGS)
    published = published_pons(shape)
    assert fast.count_params() == published.count_params()
    costs = {
        "here": seconds_a_step(fast, given.batch_size, 5),
        "as published": seconds_a_step(published, given.batch_size, 1),
    }
    for name, (wall, cpu) in costs.items():
        a_window = f"{wall / given.batch_size:.3f} s wall, {cpu / given.batch_size:.3f} s CPU"
        print(f"{name:14}{a_window} a window")
    ratios = [one / other for one, other in zip(*costs.values(), strict=True)]
    print(f"ratio         {ratios[0]:.3f} wall, {ratios[1]:.3f} CPU")


if __name__ == "__main__":
    main()

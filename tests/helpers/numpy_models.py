"""The published networks in NumPy, float64, one window at a time: what the Keras models must say.

Written from the papers and the layout of the published code: two spatial axes (time,
frequency) and channels; features stand on the frequency axis, each convolution takes
all of them, and transposes bring its filters back to that axis.
"""

import numpy as np

EPSILON = 1e-3  # of the batch normalisations


def scores_and_embedding(model, window):
    """What a Keras model built by the trainer should give for one window.

    Parameters
    ----------
    model : keras.Model
        Its weights are read, its layers are not run.
    window : np.ndarray [samples] or [frames, bands]

    Returns
    -------
    (np.ndarray [tags], np.ndarray [features])
    """
    network = {"pons": pons, "musicnn": musicnn, "vgg": vgg}[model.name]
    return network(model, np.asarray(window, np.float64))


def pons(model, window):
    x = (window - window.mean()) / window.std()
    features = pons_waveform(model, x) if x.ndim == 1 else pons_log_mel(model, x)
    x = features[:, :, None]
    x = norm(relu(convolve(x, spatial(model, "back_1"))), model.get_layer("back_1_norm"))
    x = x.transpose(0, 2, 1)
    x = x + pons_residual(model, x, "back_2")
    x = x[: len(x) // 2 * 2].reshape(-1, 2, *x.shape[1:]).max(axis=1)
    x = x + pons_residual(model, x, "back_3")
    return dense_head(model, np.concatenate([x.max(axis=0), x.mean(axis=0)]).ravel())


def pons_residual(model, x, name):
    y = relu(convolve(pad_time(x, 3, 3), spatial(model, name)))  # [time, 1, 512]
    norm_layer = model.get_layer(f"{name}_norm")
    if norm_layer.moving_mean.shape[0] == 1:  # as published: after the transpose, one channel
        return norm(y.transpose(0, 2, 1), norm_layer)
    return norm(y, norm_layer).transpose(0, 2, 1)


def pons_waveform(model, x):
    x = x[:, None, None]
    for index in range(7):
        name = f"wave_{index}"
        kernel, bias = model.get_layer(name).get_weights()
        x = relu(convolve(x, (kernel[:, None], bias))[:: 3 if index == 0 else 1])
        x = norm(x, model.get_layer(f"{name}_norm"))
        if index:
            x = x[: len(x) // 3 * 3].reshape(-1, 3, *x.shape[1:]).max(axis=1)
    return x[:, 0]


def pons_log_mel(model, x):
    features = []
    for layer_name in ("timbre_high", "timbre_low"):
        features += timbre(model.get_layer(layer_name), x[:, :, None])
    energy = x.mean(axis=1)[:, None, None]
    for width in (165, 128, 64, 32):
        name = f"temporal_{width}"
        kernel, bias = model.get_layer(name).get_weights()
        y = relu(convolve(same_time(energy, width), (kernel[:, None], bias)))
        features.append(norm(y, model.get_layer(f"{name}_norm"))[:, 0])
    return np.concatenate(features, axis=1)


def musicnn(model, window):
    x = norm(window[:, :, None], model.get_layer("input_norm"))
    features = timbre(model.get_layer("timbre_low"), x) + timbre(model.get_layer("timbre_high"), x)
    for width in (128, 64, 32):
        name = f"temporal_{width}"
        y = relu(convolve(same_time(x, width), model.get_layer(name).get_weights()))
        features.append(norm(y, model.get_layer(f"{name}_norm")).max(axis=1))
    front = np.concatenate(features, axis=1)
    maps, x = [front], front
    for index in (1, 2, 3):
        y = relu(convolve(pad_time(x[:, :, None], 3, 3), spatial(model, f"mid_{index}")))
        y = norm(y, model.get_layer(f"mid_{index}_norm"))[:, 0]
        x = y if index == 1 else x + y
        maps.append(x)
    x = np.concatenate(maps, axis=1)
    pooled = np.concatenate([x.max(axis=0), x.mean(axis=0)])
    return dense_head(model, norm(pooled, model.get_layer("back_norm")))


def vgg(model, window):
    x = norm(window[:, :, None], model.get_layer("input_norm"))
    for index in range(1, 6):
        x = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        x = relu(convolve(x, model.get_layer(f"conv_{index}").get_weights()))
        x = norm(x, model.get_layer(f"conv_{index}_norm"))
        size, stride = {1: ((4, 1), 2), 5: ((4, 4), 4)}.get(index, ((2, 2), 2))
        pools = np.lib.stride_tricks.sliding_window_view(x, size, axis=(0, 1))
        x = pools[::stride, ::stride].max(axis=(-1, -2))
    embedding = x.ravel()
    return output(model, embedding), embedding


def timbre(layer, x):
    """Features [time, filters] of each width of a timbre layer; x [time, bands, 1]."""
    features = []
    for conv, norm_layer in zip(layer.convs, layer.norms, strict=True):
        kernel, bias = conv.get_weights()  # [frames, bands, filters]
        side = len(kernel) // 2
        y = relu(convolve(pad_time(x, side, side), (kernel[:, :, None], bias)))
        features.append(norm(y, norm_layer).max(axis=1))
    return features


def dense_head(model, x):
    kernel, bias = model.get_layer("dense").get_weights()
    embedding = norm(relu(x @ kernel.astype(np.float64) + bias), model.get_layer("embedding"))
    return output(model, embedding), embedding


def output(model, embedding):
    kernel, bias = model.get_layer("scores").get_weights()
    return 1 / (1 + np.exp(-(embedding @ kernel.astype(np.float64) + bias)))


def spatial(model, name):
    """Weights of a 1-D convolution with its features on the frequency axis again."""
    kernel, bias = model.get_layer(name).get_weights()
    return kernel[:, :, None], bias


def convolve(x, weights):
    """Valid convolution: x [time, frequency, channels], kernel [.., .., channels, filters]."""
    kernel, bias = (np.asarray(each, np.float64) for each in weights)
    patches = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))
    return np.tensordot(patches, kernel, axes=([3, 4, 2], [0, 1, 2])) + bias


def norm(x, layer):
    gamma, beta, mean, variance = (each.astype(np.float64) for each in layer.get_weights())
    return (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def relu(x):
    return np.maximum(x, 0)


def pad_time(x, before, after):
    return np.pad(x, ((before, after), *[(0, 0)] * (x.ndim - 1)))


def same_time(x, width):
    return pad_time(x, (width - 1) // 2, width // 2)

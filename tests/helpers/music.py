"""Short audio files of one's own."""

import pathlib

import numpy as np
import soundfile


def write_noise(path: pathlib.Path, seed: int = 0, samples: int = 8000, **options) -> pathlib.Path:
    """Write noise at 8 kHz in the format of the suffix, with its folders; gives the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).normal(size=samples)
    soundfile.write(path, noise, 8000, **options)
    return path

"""Short audio files of one's own."""

import pathlib

import numpy as np
import soundfile

from beam_pipelines.dataset.inputs import look
from beam_pipelines.dataset.options import build_parser, check_together


def look_at(*arguments):
    """The source that a build would take, looked at; nothing is planned."""
    args, _ = build_parser().parse_known_args([*map(str, arguments), "--output", "unused"])
    check_together(args)
    return look(args).source


def write_noise(path: pathlib.Path, seed: int = 0, samples: int = 8000, **options) -> pathlib.Path:
    """Write noise at 8 kHz in the format of the suffix, with its folders; gives the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).normal(size=samples)
    soundfile.write(path, noise, 8000, **options)
    return path

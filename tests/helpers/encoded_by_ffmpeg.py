"""Files as FFmpeg's libraries write them, with their own way to write tags."""

from __future__ import annotations

import pathlib

import av
import numpy as np

FORMATS = {  # suffix: container, codec, rate
    ".mp3": ("mp3", "libmp3lame", 22050),
    ".flac": ("flac", "flac", 22050),
    ".ogg": ("ogg", "flac", 22050),
    ".opus": ("opus", "libopus", 48000),
    ".m4a": ("ipod", "aac", 22050),
    ".wma": ("asf", "wmav2", 44100),
    ".wv": ("wv", "wavpack", 22050),
}


def write_with_ffmpeg(
    path: pathlib.Path, seed: int = 0, seconds: float = 0.5, tags: dict | None = None
) -> pathlib.Path:
    """Write noise in the format of the suffix; gives the path."""
    container, codec, rate = FORMATS[path.suffix]
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(size=(1, int(seconds * rate)))
    with av.open(str(path), "w", format=container) as output:
        output.metadata.update(tags or {})
        stream = output.add_stream(codec, rate=rate, layout="mono", bit_rate=64_000)
        converter = av.AudioResampler(stream.format.name, "mono", rate)
        samples = (np.clip(0.1 * noise, -1, 1) * 32767).astype("<i2")
        size = stream.codec_context.frame_size or 1024
        for start in range(0, samples.shape[1], size):
            block = np.ascontiguousarray(samples[:, start : start + size])
            frame = av.AudioFrame.from_ndarray(block, format="s16p", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            for converted in converter.resample(frame):
                output.mux(stream.encode(converted))
        output.mux(stream.encode(None))
    return path

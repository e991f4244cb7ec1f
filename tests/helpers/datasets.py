"""Small real data sets, written as the pipelines write them."""

import hashlib
import json
import pathlib

import numpy as np

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.example import encode_example, tfrecord
from schemas.manifest import MANIFEST, PARTS, audio_layout

SMALL = AudioSpec(sample_rate=2000, n_mels=16, n_fft=256, hop_length=64)


def write_dataset(folder, parts, vocabulary, spec=SMALL, audio_format=WAVEFORM, num_shards=2):
    """Write a data set directory.

    `parts` maps a part to rows of (tid, audio, multi-hot tags); audio is int16 samples or
    float32 frames. Rows are dealt to the shards in turn.
    """
    folder = pathlib.Path(folder)
    dtype = "<i2" if audio_format == WAVEFORM else "<f4"
    described = {}
    for part in PARTS:
        rows, shards = parts.get(part, []), []
        number = min(num_shards, len(rows))
        for k in range(number):
            name = f"{part}/{audio_format}-{k:05d}-of-{number:05d}.tfrecord"
            dealt = rows[k::number]
            data = b"".join(
                tfrecord(encode_example(tid, np.asarray(audio).astype(dtype).tobytes(), tags))
                for tid, audio, tags in dealt
            )
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            sha256 = hashlib.sha256(data).hexdigest()
            shards.append({"name": name, "records": len(dealt), "sha256": sha256})
        described[part] = {"records": len(rows), "shards": shards}
    data = {
        "audio_format": audio_format,
        "audio_spec": spec.to_json(),
        "audio": audio_layout(audio_format, spec),
        "vocabulary": [{"tag": tag} for tag in vocabulary],
        "parts": described,
    }
    (folder / MANIFEST).write_text(json.dumps({"data": data, "run": {}}))
    return str(folder)


TONES = {"low": 150.0, "high": 700.0, "noise": None}


def tones(number, seconds=3.0, spec=SMALL, seed=0, prefix="TR"):
    """Rows whose sound is their tags: a low tone, a high tone, noise, or several at once."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * spec.sample_rate)) / spec.sample_rate
    rows = []
    for k in range(number):
        tags = [int(k >> bit & 1) for bit in range(len(TONES))]
        audio = 0.003 * rng.standard_normal(len(time))
        for has, pitch in zip(tags, TONES.values(), strict=True):
            if has and pitch:
                audio += 0.2 * np.sin(2 * np.pi * (pitch * time + rng.random()))
            elif has:
                audio += 0.1 * rng.standard_normal(len(time))
        rows.append((f"{prefix}{k:05d}", np.round(audio * 32767).astype("<i2"), tags))
    return rows


def spectrograms(rows, spec=SMALL):
    """The rows with librosa's log-mel frames in place of the samples."""
    import librosa

    def frames(samples):
        power = librosa.feature.melspectrogram(
            y=samples.astype(np.float32) / 32768,
            sr=spec.sample_rate,
            n_fft=spec.n_fft,
            hop_length=spec.hop_length,
            n_mels=spec.n_mels,
            pad_mode="constant",
        )
        return librosa.power_to_db(power, ref=1.0, amin=spec.amin, top_db=spec.top_db).T

    return [(tid, frames(samples).astype("<f4"), tags) for tid, samples, tags in rows]


def tone_dataset(folder, audio_format=WAVEFORM, train=24, validation=8, test=16, **options):
    """A data set of tones with the three parts."""
    numbers = {"train": train, "validation": validation, "test": test}
    seconds = options.pop("seconds", 3.0)
    spec = options.get("spec", SMALL)
    parts = {
        part: tones(number, seconds, spec, seed, f"TR{part[:2].upper()}")
        for seed, (part, number) in enumerate(numbers.items())
    }
    if audio_format == LOG_MEL:
        parts = {part: spectrograms(rows, spec) for part, rows in parts.items()}
    return write_dataset(folder, parts, list(TONES), audio_format=audio_format, **options)

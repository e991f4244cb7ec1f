"""How many windows a second one core reads, beside a reader of the 2019 records.

``python -m tests.benchmarks.input [--clips 200]``

Both read the same clips of 30 s at 16 kHz, from files that are in memory already, and
give shuffled batches of random windows of 15 s; urop2019 stored samples as a FloatList.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from schemas.audio_spec import AudioSpec
from schemas.config import fill, read_config
from schemas.manifest import read_dataset
from tests.helpers.datasets import write_dataset
from trainer.input.batches import training_batches, window_start
from trainer.input.source import part_source

SPEC = AudioSpec()
SECONDS, SAMPLES = 30, 15 * SPEC.sample_rate
BATCH, BUFFER, SHARDS, EPOCHS, ROUNDS = 16, 100, 8, 4, 4
TAGS = [f"tag{k}" for k in range(50)]


def clips(number: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Noise: what the samples are makes no difference to a reader."""
    rng = np.random.default_rng(0)
    for k in range(number):
        samples = rng.integers(-(2**15), 2**15, SECONDS * SPEC.sample_rate).astype("<i2")
        yield f"TR{k:05d}", samples, rng.integers(0, 2, len(TAGS))


def write_float_lists(folder: pathlib.Path, rows) -> list[str]:
    """The records of 2019: three features of one type each, the samples as floats."""
    paths = [str(folder / f"waveform_{k}.tfrecord") for k in range(SHARDS)]
    files = [tf.io.TFRecordWriter(path) for path in paths]
    for k, (tid, samples, tags) in enumerate(rows):
        example = tf.train.Example()
        features = example.features.feature
        features["audio"].float_list.value.extend((samples / 32768).astype(np.float32))
        features["tid"].bytes_list.value.append(tid.encode())
        features["tags"].int64_list.value.extend(tags.tolist())
        files[k % SHARDS].write(example.SerializeToString())
    for file in files:
        file.close()
    return paths


def float_list_batches(paths: list[str], reader: str) -> tf.data.Dataset:
    """The same steps as :func:`trainer.input.batches.training_batches`, on such records.

    `reader` is 'sparse', which is how urop2019 parsed the samples, or 'dense', the
    quickest way that TensorFlow has.
    """
    audio = {
        "sparse": tf.io.VarLenFeature(tf.float32),
        "dense": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True),
    }
    features = {"audio": audio[reader], "tags": tf.io.FixedLenFeature([len(TAGS)], tf.int64)}

    def window(position, record):
        row = tf.io.parse_single_example(record, features)
        clip = tf.sparse.to_dense(row["audio"]) if reader == "sparse" else row["audio"]
        start = window_start(tf.size(clip), SAMPLES, "random", tf.stack([position, 0]))
        return tf.ensure_shape(clip[start : start + SAMPLES], [SAMPLES]), row["tags"]

    records = tf.data.Dataset.from_tensor_slices(paths).interleave(
        tf.data.TFRecordDataset, cycle_length=16
    )
    windows = records.enumerate().map(window, num_parallel_calls=tf.data.AUTOTUNE)
    batches = windows.shuffle(BUFFER).batch(BATCH, drop_remainder=True)
    return batches.repeat(EPOCHS).prefetch(tf.data.AUTOTUNE)


def seconds_a_window(batches: tf.data.Dataset, number: int) -> list[float]:
    """CPU time in each epoch but the first: what else the machine does counts little."""
    steps, seconds = iter(batches), []
    for _ in range(EPOCHS):
        started = time.process_time()
        for _ in range(number // BATCH):
            next(steps)
        seconds.append((time.process_time() - started) / (number // BATCH * BATCH))
    return seconds[1:]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clips", type=int, default=200)
    number = options.parse_args().clips
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # before TensorFlow counts the cores
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        write_dataset(folder, {"train": list(clips(number))}, TAGS, SPEC, num_shards=SHARDS)
        dataset = read_dataset(directory)
        settings = [f"batch_size={BATCH}", f"shuffle_buffer={BUFFER}", f"epochs={EPOCHS}"]
        config = fill(read_config(None, settings), dataset)
        float_lists = write_float_lists(folder, clips(number))
        readers = {
            "int16 bytes, training_batches": training_batches(
                part_source(dataset, "train", config), config
            ),
            "FloatList, as in 2019 (sparse)": float_list_batches(float_lists, "sparse"),
            "FloatList, dense": float_list_batches(float_lists, "dense"),
        }
        seconds = {name: [] for name in readers}
        for _ in range(ROUNDS):  # in turns, so that none has the quiet minutes for itself
            for name, batches in readers.items():
                seconds[name] += seconds_a_window(batches, number)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, median in medians.items():
        ratio = median / next(iter(medians.values()))
        print(f"{name:32}{1 / median:6.0f} windows a CPU second   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

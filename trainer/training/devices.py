"""On which devices a training runs."""

from __future__ import annotations

import tensorflow as tf

from schemas.common.errors import UsageError


def make_strategy(gpus: str | None = None) -> tf.distribute.MirroredStrategy:
    """A replica on each of the chosen GPUs, or one on the CPU where there is none.

    Must run before TensorFlow uses its devices: GPUs that are not chosen are then
    left to others, memory and all.

    Parameters
    ----------
    gpus : str, optional
        Numbers with commas between them, '0,1'; all GPUs by default.

    Raises
    ------
    UsageError
        If there is no such GPU.
    """
    found = tf.config.list_physical_devices("GPU")
    if gpus is not None:
        tf.config.set_visible_devices([found[k] for k in _numbers(gpus, len(found))], "GPU")
    devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(devices or ["/cpu:0"])


def _numbers(gpus: str, count: int) -> list[int]:
    there = f"0 to {count - 1}" if count else "none: TensorFlow sees no GPU here"
    try:
        numbers = sorted({int(number) for number in gpus.split(",")})
    except ValueError:
        raise UsageError(f"--gpus {gpus}: allowed are numbers with commas between them") from None
    if not count or numbers[0] < 0 or numbers[-1] >= count:
        raise UsageError(f"--gpus {gpus}: allowed are {there}")
    return numbers

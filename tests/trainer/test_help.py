"""The help of trainer.task names what there is to choose from, as the code knows it."""

import re

import pytest

from schemas.config import LOSSES, OPEN_SCHEDULES, OPTIMIZERS, SCHEDULES
from trainer import task
from trainer.training.callbacks import KERAS_CALLBACKS


def of_key(key):
    """What the help says of a key, in one line."""
    lines = task.parser().format_help().split(f"  model-training.{key}=")[1].splitlines()
    return lines[1]


@pytest.mark.parametrize(
    ("key", "names"), [("loss", LOSSES), ("schedule", SCHEDULES), ("optimizer", OPTIMIZERS)]
)
def test_keys_name_what_is_allowed(key, names):
    assert f"{', '.join(names)}" in of_key(key)


def test_options_name_the_callbacks_and_schedules():
    words = re.sub(r"\s+", " ", task.parser().format_help())
    assert f"Keras' own by their names: {', '.join(KERAS_CALLBACKS)} " in words
    assert f"if its schedule is {' or '.join(OPEN_SCHEDULES)} " in words

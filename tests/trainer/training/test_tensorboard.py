"""What TensorBoard shows: losses and rates of steps, and the tags' areas as text."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from schemas.config import Training
from tests.helpers.tones import STEPS, curve, train_tones
from trainer.descent.schedules import learning_rate


def logged(job_dir, name):
    events = EventAccumulator(str(job_dir / "logs"))
    events.Reload()
    return {
        event.step: tf.make_ndarray(event.tensor_proto).item() for event in events.Tensors(name)
    }


@pytest.mark.parametrize("loop", ["fit", "custom"])
def test_losses_and_rates_of_steps(data, tmp_path, loop):
    found, _ = train_tones(data, tmp_path, f"log_steps={STEPS}", loop=loop)
    losses, rates = (logged(tmp_path, f"steps/{name}") for name in ("loss", "learning_rate"))
    assert list(losses) == list(rates) == [STEPS, 2 * STEPS, 3 * STEPS]
    assert list(losses.values()) == pytest.approx(found[:, 1].tolist(), rel=1e-5)
    assert list(rates.values()) == pytest.approx(found[:, -1].tolist(), rel=1e-4, abs=1e-9)
    text = logged(tmp_path, "val_pr_auc_of_tags")
    assert list(text) == [1, 2, 3]
    lines = text[3].decode().split("\n")
    assert lines[:2] == ["| tag | positives | PR-AUC |", "|---|---|---|"]
    assert sorted(line.split(" | ")[0] for line in lines[2:]) == ["| high", "| low", "| noise"]
    areas = [float(line.split(" | ")[2].rstrip(" |")) for line in lines[2:]]
    assert np.mean(areas) == pytest.approx(found[2, 4], abs=1e-4)


@pytest.mark.slow
def test_steps_are_counted_over_epochs_and_a_resume(data, tmp_path):
    """Twos of five steps an epoch: some begin in one epoch and end in the next."""
    train_tones(data, tmp_path / "whole", "log_steps=2", loop="custom")
    with pytest.raises(KeyboardInterrupt):
        train_tones(data, tmp_path / "parts", "log_steps=2", at=2 * STEPS)
    train_tones(data, tmp_path / "parts", "log_steps=2", resume=True)
    losses = logged(tmp_path / "whole", "steps/loss")
    assert list(losses) == [2, 4, 6, 8, 10, 12, 14]
    total = STEPS * curve(tmp_path / "whole")[:2, 1].sum()
    assert 2 * sum(losses[step] for step in (2, 4, 6, 8, 10)) == pytest.approx(total, rel=1e-5)
    # A stop leaves out a step at most: nothing that was taken waits to be written.
    steps = list(logged(tmp_path / "parts", "steps/loss"))
    gaps = np.diff([0, *steps]).tolist()
    assert set(gaps) <= {2, 3} and gaps.count(3) <= 1 and steps[-1] >= 13
    rates = logged(tmp_path / "whole", "steps/learning_rate")
    schedule = learning_rate(Training(learning_rate=0.003), 3 * STEPS)
    assert rates == pytest.approx({step: float(schedule(step)) for step in losses}, rel=1e-5)


def test_ten_steps_are_the_default(data, tmp_path):
    train_tones(data, tmp_path)
    assert list(logged(tmp_path, "steps/loss")) == [10]

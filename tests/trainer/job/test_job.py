"""What a job directory keeps of each epoch, and which epoch is the best."""

import csv
import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest

from schemas.config import Config, read_config
from trainer.descent.schedules import learning_rate
from trainer.evaluation.validation import validate
from trainer.input.whole_tracks import WholeTracks
from trainer.job.directory import Job, checkpoint_file, clear_job, job_parts
from trainer.training.assemble import start_at_rates


def a_model():
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid", name="scores")(inputs))


def run_epochs(job_dir, rows):
    """End an epoch for each row, the model's bias being the epoch's number."""
    job, model = Job(str(job_dir), Config()), a_model()
    for epoch, values in enumerate(rows, start=1):
        model.layers[-1].bias.assign([epoch, epoch])
        job.rows.append({"epoch": epoch, **values})
        job.write(model)
    return job


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([{"val_loss": v, "val_macro_pr_auc": a} for v, a in ((1, 0.1), (3, 0.5), (2, 0.4))], 2),
        ([{"val_loss": v, "val_macro_pr_auc": None} for v in (4, 3, 2, 1, 5)], 4),
        ([{"val_loss": 1, "val_macro_pr_auc": 0.5}] * 2, 1),
        ([{"loss": 1}, {"loss": 0.5}, {"loss": 2}], 3),
    ],
)
def test_the_best_epoch_is_kept_beside_the_last_three(tmp_path, rows, best):
    job = run_epochs(tmp_path / "job", rows)
    assert job.best_epoch == best
    model = a_model()
    model.load_weights(checkpoint_file(job.job_dir, "best"))
    assert model.layers[-1].bias.numpy().tolist() == [best, best]
    last = [f"epoch-{epoch:02d}.keras" for epoch in range(1, len(rows) + 1)][-3:]
    kept = sorted(path.name for path in (tmp_path / "job" / "checkpoints").iterdir())
    assert kept == ["best.keras", *last]


def test_the_table_of_epochs_has_a_blank_for_what_does_not_exist(tmp_path):
    run_epochs(tmp_path, [{"loss": 0.5, "val_macro_pr_auc": None}, {"loss": 0.25}])
    with open(tmp_path / "epochs.csv", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["epoch", "loss", "val_macro_pr_auc"], ["1", "0.5", ""], ["2", "0.25", ""],
        ]  # fmt: skip


def test_the_figures_of_the_best_and_the_last_epoch(tmp_path):
    rows = [{"val_loss": 3.0, "val_macro_pr_auc": None}, {"val_loss": 1.0}, {"val_loss": 2.0}]
    run_epochs(tmp_path, rows).finish()
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "best": {"epoch": 2, "val_loss": 1.0},
        "last": {"epoch": 3, "val_loss": 2.0},
    }
    assert str(tmp_path / "metrics.json") in job_parts(str(tmp_path))


def test_a_stop_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    job, model = run_epochs(tmp_path, [{"loss": 1.0}]), a_model()
    before = (tmp_path / "checkpoints" / "best.keras").read_bytes()

    def stop(source, output):
        output.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", stop)
    job.rows.append({"epoch": 2, "loss": 0.5})
    with pytest.raises(KeyboardInterrupt):
        job.write(model)
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["best.keras", "epoch-01.keras"]
    assert (tmp_path / "checkpoints" / "best.keras").read_bytes() == before


def test_what_a_kill_left_half_written_goes_with_the_next_start(tmp_path, monkeypatch):
    job = run_epochs(tmp_path, [{"loss": 1.0}])

    def dead(*paths):
        raise OSError

    with monkeypatch.context() as killed, pytest.raises(OSError):
        killed.setattr(os, "replace", dead)
        killed.setattr(os, "remove", dead)
        job.write(a_model())
    assert len(os.listdir(tmp_path / "checkpoints")) == 3
    Job(str(tmp_path), Config())
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["best.keras", "epoch-01.keras"]


def test_clearing_leaves_what_is_not_the_jobs(tmp_path):
    run_epochs(tmp_path, [{"loss": 1.0}])
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    assert len(job_parts(str(tmp_path))) == 4
    clear_job(str(tmp_path))
    assert list(tmp_path.iterdir()) == [other]
    assert job_parts(str(pathlib.Path(tmp_path, "none"))) == []


def test_validation_averages_windows_and_takes_the_loss_of_tracks():
    import tensorflow as tf

    model = a_model()
    model.layers[-1].set_weights([np.eye(2), np.zeros(2)])
    windows = np.array([[0, 1], [2, 3], [-1, -2]], np.float32)
    tracks = WholeTracks(
        ["TR0", "TR1"],
        np.array([[1, 0], [0, 1]], bool),
        np.array([2, 1]),
        tf.data.Dataset.from_tensor_slices(windows).batch(2),
    )
    sigmoid = 1 / (1 + np.exp(-windows))
    scores = np.array([sigmoid[:2].mean(axis=0), sigmoid[2]])
    values, per_tag = validate(model, tracks, ["a", "b"])
    loss = -np.log([scores[0, 0], 1 - scores[0, 1], 1 - scores[1, 0], scores[1, 1]]).mean()
    assert values["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert values["val_macro_roc_auc"] == 0.5  # the first tag is right, the second is not
    assert values["val_micro_roc_auc"] == 0.25  # one of the four pairs
    assert [(row["tag"], row["positives"]) for row in per_tag] == [("a", 1), ("b", 1)]
    assert validate(model, None) == ({}, [])


def test_scores_start_at_the_tags_frequencies():
    model = a_model()
    start_at_rates(model, np.array([0.1, 0.0]))
    assert model(np.zeros((1, 2))).numpy()[0] == pytest.approx([0.1, 0.001])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("cosine", [1, 0.5 + 0.5 * np.cos(0.3 * np.pi), 0.5 + 0.5 * np.cos(0.65 * np.pi), 0]),
        ("one-cycle", [0.04, 1, 0.5, 0]),
        ("triangular", [0.25, 1, 0.625, 0.25]),  # cycles of twenty steps
    ],
)
def test_schedules_at_four_steps_of_a_hundred(schedule, expected):
    training = read_config(None, [f"schedule={schedule}", "learning_rate=1"]).training
    rate = learning_rate(training, 100)
    found = [rate if schedule == "constant" else float(rate(step)) for step in (0, 30, 65, 100)]
    assert found == pytest.approx(expected, abs=1e-3)

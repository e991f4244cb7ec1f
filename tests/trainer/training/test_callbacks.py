"""Keras' callbacks, its own and a user's, in both loops and on the command line."""

import csv
import json

import keras
import numpy as np
import pytest

from schemas.common.errors import UsageError
from tests.helpers.tones import SETTINGS, STEPS, train_tones
from trainer import task
from trainer.training.callbacks import KERAS_CALLBACKS, find_callback


class Witness(keras.callbacks.Callback):
    """Writes down what it is told."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.told, self.logs, self.losses, self.stop_after = [], [], [], stop_after

    def on_train_begin(self, logs=None):
        self.told.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self.told.append(("step", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])
        if len(self.losses) == self.stop_after:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append({"epoch": epoch + 1, **logs})

    def on_train_end(self, logs=None):
        self.told.append("end")


def epochs(job_dir):
    with open(job_dir / "epochs.csv", newline="") as stream:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(stream)]


@pytest.mark.parametrize("loop", ["fit", "custom"])
def test_callbacks_see_the_validation_and_stop_the_training(data, tmp_path, loop, capsys):
    witness = Witness()
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=100, patience=1)
    train_tones(data, tmp_path, "epochs=5", loop=loop, callbacks=[witness, stop])
    rows = epochs(tmp_path)
    assert [row["epoch"] for row in rows] == [1, 2] and stop.stopped_epoch == 1
    assert witness.logs == rows and "val_macro_pr_auc" in rows[0]
    assert "a callback has stopped the training" in capsys.readouterr().out
    steps = [("step", step) for step in range(STEPS)]
    assert witness.told == ["begin", 0, *steps, 1, *steps, "end"]
    assert witness.losses[STEPS - 1 :: STEPS] == pytest.approx([row["loss"] for row in rows])
    assert (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("loop", ["fit", "custom"])
def test_a_callback_stops_within_an_epoch(data, tmp_path, loop):
    witness = Witness(stop_after=STEPS + 2)
    train_tones(data, tmp_path, "epochs=5", loop=loop, callbacks=[witness])
    assert [row["epoch"] for row in epochs(tmp_path)] == [1, 2]
    assert len(witness.losses) == STEPS + 2
    assert epochs(tmp_path)[1]["loss"] == pytest.approx(witness.losses[-1])


def test_a_rate_that_a_callback_has_lowered_is_gone_on_with(data, tmp_path):
    settings = ("epochs=4", "schedule=constant")

    def lower():
        return [keras.callbacks.ReduceLROnPlateau("val_loss", min_delta=100, patience=1)]

    with pytest.raises(KeyboardInterrupt):
        train_tones(data, tmp_path, *settings, at=3 * STEPS - 1, callbacks=lower())
    train_tones(data, tmp_path, *settings, resume=True)
    rates = [row["learning_rate"] for row in epochs(tmp_path)]
    assert rates == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4])


OWN = """
import keras

class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = logs["val_macro_roc_auc"] >= 0

again = keras.callbacks.CSVLogger("logged.csv")
number = 3

def made():
    return Stop()

def wrong():
    raise OSError("no disk")
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_callbacks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.slow
def test_callbacks_of_the_command_line(data, tmp_path, own_module):
    argv = ["--dataset", data, "--job_dir", "job", "--set", *SETTINGS, "epochs=3"]
    argv += ["--callback", "own_callbacks:Stop", "--callback", "own_callbacks:again"]
    assert task.main(argv) == 0
    assert json.loads((tmp_path / "job" / "metrics.json").read_text())["last"]["epoch"] == 1
    with open("logged.csv", newline="") as stream:
        logged = list(csv.DictReader(stream))
    assert len(logged) == 1 and float(logged[0]["val_loss"]) == pytest.approx(
        epochs(tmp_path / "job")[0]["val_loss"]
    )


def test_keras_own_by_their_names(own_module):
    made = [find_callback(name) for name in KERAS_CALLBACKS]
    assert [type(each) for each in made] == [
        keras.callbacks.EarlyStopping,
        keras.callbacks.ReduceLROnPlateau,
        keras.callbacks.TerminateOnNaN,
    ]
    assert type(find_callback("own_callbacks:made")).__name__ == "Stop"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Early", "allowed is module:name or one of EarlyStopping, ReduceLROnPlateau, Term"),
        ("own_callbacks:", "allowed is module:name"),
        ("no_such_module:Stop", "cannot be had: ModuleNotFoundError: No module named"),
        ("own_callbacks:Go", "cannot be had: AttributeError: .* no attribute 'Go'"),
        ("own_callbacks:number", "cannot be had: TypeError: 'int' object is not callable"),
        ("own_callbacks:wrong", "cannot be had: OSError: no disk"),
        ("builtins:dict", "is no callback: allowed is one of Keras' kind"),
    ],
)
def test_what_is_no_callback_is_one_line(data, own_module, tmp_path, text, message):
    argv = ["--dataset", data, "--job_dir", "job", "--callback", text]
    with pytest.raises(UsageError, match=message):
        task.main(argv)
    assert not (tmp_path / "job").exists()


def test_losses_are_not_fetched_for_callbacks_that_see_epochs_only(data, tmp_path):
    from trainer.training.callbacks import Hooks

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    hooks = Hooks([keras.callbacks.EarlyStopping()], model, 1, 2)
    hooks.begin_epoch(0)
    hooks.end_steps(0, "no number", 1)
    seen = []
    each = keras.callbacks.LambdaCallback(on_train_batch_end=lambda k, logs: seen.append(logs))
    Hooks([each], model, 1, 2).end_steps(1, np.float32(3), 2)
    assert seen == [{"loss": 1.5}]

"""Both training loops: the same curve, stopped anywhere and gone on with, on one device or two."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.audio_spec import LOG_MEL
from schemas.common.errors import RunError, UsageError
from schemas.config import Training, fill, read_config
from schemas.manifest import read_dataset
from tests.helpers.datasets import tone_dataset
from tests.helpers.tones import OWN, SETTINGS, STEPS, curve, own, train_tones
from trainer.input.batches import training_batches
from trainer.input.source import part_source
from trainer.input.whole_tracks import WholeTracks
from trainer.job.directory import Job
from trainer.job.state import save_state
from trainer.loop import train
from trainer.models.registry import MODELS, Architecture
from trainer.tagger.clip_tagger import read_checkpoint
from trainer.training import monitor as monitor_module
from trainer.training.assemble import fill_options
from trainer.training.devices import make_strategy
from trainer.training.monitor import Monitor


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A training by ``model.fit`` that nothing stops."""
    folder = tmp_path_factory.mktemp("whole")
    return train_tones(data, folder)


def test_both_loops_have_one_curve_and_resume_joins_it(data, whole, tmp_path):
    """The custom loop, stopped by Ctrl-C in its second epoch, has the curve of model.fit."""
    with pytest.raises(KeyboardInterrupt):
        train_tones(data, tmp_path, loop="custom", at=2 * STEPS - 1)
    with np.load(tmp_path / "checkpoints" / "state.npz") as state:
        progress = json.loads(str(state["progress"]))
    assert progress["epoch"] == 1 and 0 < progress["step"] < STEPS  # some are made ahead
    assert len(curve(tmp_path)) == 1 and signal.getsignal(signal.SIGINT) is not None
    found, weights = train_tones(data, tmp_path, loop="custom", resume=True)
    np.testing.assert_allclose(found, whole[0], rtol=1e-5)
    for one, other in zip(weights, whole[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not (tmp_path / "checkpoints" / "state.npz").exists()


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["fit", "custom"])
def test_compiled_steps_have_the_same_curve(loop, data, tmp_path):
    """Without dropout: under XLA its random numbers are others."""
    plain, _ = train_tones(data, tmp_path / "plain", "dropout=0", loop=loop)
    compiled, _ = train_tones(data, tmp_path / "xla", "dropout=0", "jit_compile=true", loop=loop)
    np.testing.assert_allclose(compiled, plain, rtol=1e-3)  # sums in another order


def test_a_killed_training_goes_on_to_the_same_weights(data, whole, command, tmp_path):
    """kill -9 in the middle of an epoch, then the same command with --resume."""
    job = tmp_path / "job"
    arguments = ["--dataset", data, "--job_dir", str(job), "--epochs", "3", "--resume"]
    arguments += ["--set", *SETTINGS, "save_minutes=0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer.task", *arguments], stdout=subprocess.PIPE, text=True
    )
    while process.poll() is None and reached(job) < STEPS + 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    at = reached(job)
    assert STEPS + 2 <= at < 3 * STEPS
    done = command("trainer.task", *arguments)
    assert done.returncode == 0, done.stderr
    assert "goes on after" in done.stdout
    np.testing.assert_allclose(curve(job), whole[0], rtol=1e-5)
    best = read_checkpoint(str(job / "checkpoints" / "best.keras")).get_weights()
    for one, other in zip(best, whole[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    again = command("trainer.task", *arguments)
    assert again.returncode == 0 and "the training has ended already" in again.stdout
    arguments[arguments.index("3")] = "4"
    other = command("trainer.task", *arguments)
    assert other.returncode == 2
    assert "model-training.epochs is 4: allowed with --resume is what the job" in other.stderr


def reached(job):
    """Steps that the saved state has."""
    try:
        with np.load(job / "checkpoints" / "state.npz") as state:
            progress = json.loads(str(state["progress"]))
    except FileNotFoundError:
        return 0
    return progress["epoch"] * STEPS + progress["step"]


def small_monitor(job_dir, steps=2, **settings):
    """A monitor of a model that does not change, over two validation tracks."""
    training = Training(epochs=9, **settings)
    inputs = keras.Input((2,))
    scores = keras.layers.Dense(2, activation="sigmoid", kernel_initializer="ones")(inputs)
    model = keras.Model(inputs, scores)
    model.compile(keras.optimizers.Adam(training.learning_rate), "binary_crossentropy")
    model.optimizer.build(model.trainable_variables)
    windows = tf.data.Dataset.from_tensor_slices(np.eye(2, dtype=np.float32)).batch(2)
    tracks = WholeTracks(["TR0", "TR1"], np.eye(2, dtype=bool), np.array([1, 1]), windows)
    config = read_config(None)
    return Monitor(model, tracks, training, steps, 4, Job(str(job_dir), config))


def run_epochs(monitor, number):
    for _ in range(number):
        monitor.begin_epoch()
        monitor.end_steps(monitor.steps, 1.0)
        monitor.end_epoch()


def test_plateau_and_early_stopping_watch_the_validation(tmp_path, capsys):
    monitor = small_monitor(
        tmp_path, schedule="plateau", plateau_patience=2, plateau_factor=0.5, early_stopping=5
    )
    run_epochs(monitor, 5)
    assert not monitor.finished
    run_epochs(monitor, 1)  # the first epoch was the best: five have brought nothing
    assert monitor.finished and "not better since epoch 1: stops early" in capsys.readouterr().out
    rows = (tmp_path / "epochs.csv").read_text().splitlines()
    column = rows[0].split(",").index("learning_rate")
    rates = [float(row.split(",")[column]) for row in rows[1:]]
    assert rates == pytest.approx([1e-3] * 3 + [5e-4] * 2 + [2.5e-4])
    again = small_monitor(tmp_path, schedule="plateau", early_stopping=5)
    again.resume()  # the rate and the best epoch are of the state
    assert again.finished and again._job.best_epoch == 1
    rate = again._model.optimizer.learning_rate
    assert float(rate) == float(monitor._model.optimizer.learning_rate) < 2.6e-4


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_a_bar_or_lines(tmp_path, capsys, monkeypatch, terminal):
    for name in ("_SECONDS_A_BAR", "_SECONDS_A_LINE"):
        monkeypatch.setattr(monitor_module, name, 0.0)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monitor = small_monitor(tmp_path, steps=40)
    monitor.begin_epoch()
    monitor.end_steps(10, 5.0)
    monitor.end_steps(30, 30.0)
    monitor.end_epoch()
    clear, bars = (
        ("\r\x1b[K", [f"[{8 * '#'}{22 * '.'}]  ", f"[{30 * '#'}]  "])
        if terminal
        else ("", 2 * [""])
    )
    pattern = "".join(
        re.escape(f"{clear}epoch 1/9  {bar}step {step}/40  loss {loss}  ") + r"[\d.]+ windows/s\n?"
        for bar, step, loss in zip(bars, (10, 40), ("0.5000", "0.7500"), strict=True)
    )
    pattern += re.escape(f"{clear}epoch 1/9  loss 0.75  val_loss ") + r".* \d+ s\n"
    shown = capsys.readouterr().out
    assert re.fullmatch(pattern, shown) and shown.count("\n") == (1 if terminal else 3)


def test_what_the_end_of_an_epoch_left_undone_is_done_on_resume(tmp_path):
    monitor = small_monitor(tmp_path)
    run_epochs(monitor, 2)
    table = (tmp_path / "epochs.csv").read_text()
    for name in ("epochs.csv", "checkpoints/epoch-02.keras", "checkpoints/best.keras"):
        (tmp_path / name).unlink()
    other = small_monitor(tmp_path)
    other._model.layers[-1].kernel.assign(np.zeros((2, 2)))
    other.resume()
    assert (other.epoch, other.step, other.position) == (2, 0, 4)
    assert other._model.layers[-1].kernel.numpy().tolist() == [[1, 1], [1, 1]]
    assert (tmp_path / "epochs.csv").read_text() == table
    assert (tmp_path / "checkpoints" / "epoch-02.keras").exists()


def test_a_state_that_does_not_fit_is_one_line(tmp_path):
    run_epochs(small_monitor(tmp_path), 1)
    with pytest.raises(RunError, match="has 2 steps an epoch, the data set 3: it is another one"):
        small_monitor(tmp_path, steps=3).resume()
    state = tmp_path / "checkpoints" / "state.npz"
    other = small_monitor(tmp_path)
    layers = [keras.Input((3,)), keras.layers.Dense(2)]  # as many variables, of other shapes
    other._model = keras.Sequential(layers)
    other._model.compile("adam")
    other._model.optimizer.build(other._model.trainable_variables)
    with pytest.raises(RunError, match="is the state of another model: start again with"):
        other.resume()
    for damaged in (state.read_bytes()[:-30], b""):
        state.write_bytes(damaged)
        with pytest.raises(RunError, match="state.npz cannot be read"):
            small_monitor(tmp_path).resume()


def test_a_stop_while_the_state_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    state, monitor = tmp_path / "state.npz", small_monitor(tmp_path / "job")
    state.write_bytes(b"before")

    def stop(stream, **contents):
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        save_state(str(state), monitor._model, {})
    assert state.read_bytes() == b"before"
    assert sorted(os.listdir(tmp_path)) == ["job", "state.npz"]


def test_a_loss_that_is_no_number_stops_the_training_and_is_not_saved(tmp_path):
    monitor = small_monitor(tmp_path, save_minutes=0.0)
    monitor.begin_epoch()
    with pytest.raises(RunError, match="the loss is nan in epoch 1: the training has diverged"):
        monitor.end_steps(1, float("nan"))
    assert not (tmp_path / "checkpoints" / "state.npz").exists()


def test_sigterm_saves_as_well(tmp_path):
    monitor = small_monitor(tmp_path)
    with pytest.raises(SystemExit) as stopped, monitor.signals():
        monitor.begin_epoch()
        os.kill(os.getpid(), signal.SIGTERM)
        monitor.end_steps(1, 0.5)
    assert stopped.value.code == 143
    other = small_monitor(tmp_path)
    other.resume()
    assert (other.epoch, other.step, other._carried) == (0, 1, 0.5)
    with pytest.raises(KeyboardInterrupt), other.signals():  # the second does not wait for a step
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_stop_after_the_last_step_of_an_epoch_ends_it_on_resume(tmp_path):
    """Model.fit takes no steps that are left for all that there are."""
    monitor = small_monitor(tmp_path)
    with pytest.raises(SystemExit), monitor.signals():
        monitor.begin_epoch()
        os.kill(os.getpid(), signal.SIGTERM)
        monitor.end_steps(2, 1.0)
    other = small_monitor(tmp_path)
    other.resume()
    assert (other.epoch, other.step, other._carried) == (1, 0, 0.0)
    with open(tmp_path / "epochs.csv", newline="") as stream:
        assert [row["loss"] for row in csv.DictReader(stream)] == ["0.5"]


@pytest.mark.parametrize(
    ("loop", "precision"), [("fit", "mixed_bfloat16"), ("custom", "mixed_float16")]
)
def test_mixed_precision_and_steps_in_one_execution(data, tmp_path, loop, precision):
    settings = [f"precision={precision}", "steps_per_execution=2", "epochs=1", "norm_momentum=0.5"]
    settings += ["name=musicnn", "n_filters=null"]  # half precision is slow on a CPU
    found, weights = train_tones(data, tmp_path, *settings, loop=loop)
    assert np.isfinite(found).all() and {each.dtype for each in weights} == {np.dtype("float32")}
    with open(tmp_path / "epochs.csv", newline="") as stream:
        assert next(csv.DictReader(stream))["input_wait"] == ""  # asked for inside of the graph
    saved = keras.saving.load_model(tmp_path / "checkpoints" / "best.keras")
    assert int(saved.optimizer.iterations.numpy()) in (STEPS - 1, STEPS - 2)  # 4: a multiple of 2
    assert saved.get_layer("mid_1_norm").momentum == 0.5
    assert saved.get_layer("dense").compute_dtype == precision.removeprefix("mixed_")
    full = read_checkpoint(str(tmp_path / "checkpoints" / "best.keras"))
    assert {layer.compute_dtype for layer in full._flatten_layers()} == {"float32"}
    for one, other in zip(full.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_trained_is_said_before_anything_is_written(tmp_path):
    data = tone_dataset(tmp_path / "data", LOG_MEL, train=8, validation=0, test=0)
    for setting in ("early_stopping=2", "schedule=plateau"):
        with pytest.raises(UsageError, match="watch the validation tracks"):
            train_tones_without_validation(data, tmp_path / "job", setting)
    assert not (tmp_path / "job").exists()
    with pytest.raises(UsageError, match="--gpus 0: allowed are none: TensorFlow sees no GPU"):
        make_strategy("0")
    with pytest.raises(UsageError, match="--gpus one: allowed are numbers"):
        make_strategy("one")


def train_tones_without_validation(data, job_dir, *settings):
    dataset = read_dataset(data)
    config = fill_options(fill(read_config(None, [*SETTINGS, *settings]), dataset))
    batches = training_batches(part_source(dataset, "train", config), config)
    return train(batches, None, config, make_strategy(), str(job_dir))


def test_windows_of_ones_own_validate_and_the_tags_must_be_the_configurations(data, tmp_path):
    dataset = read_dataset(data)
    settings = [*SETTINGS, "epochs=1", "name=musicnn", "n_filters=null"]
    config = fill_options(fill(read_config(None, settings), dataset))
    batches = training_batches(part_source(dataset, "train", config), config)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*ran out of data")  # what Keras says of unknown lengths
        train(batches, batches.take(2), config, make_strategy(), str(tmp_path / "job"))
    assert np.isfinite(curve(tmp_path / "job")).all()
    fewer = batches.map(lambda windows, tags: (windows, tags[:, :2]))
    with pytest.raises(UsageError, match="has 2 tags, the configuration's section tags chooses 3"):
        train(fewer, None, config, make_strategy(), str(tmp_path / "other"))
    uncounted = batches.filter(lambda windows, tags: True)
    with pytest.raises(UsageError, match="has -2 batches for 1 epochs: allowed is a known number"):
        train(uncounted, None, config, make_strategy(), str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("loop", ["fit", "custom"])
def test_the_share_of_waiting_is_logged(data, tmp_path, loop):
    """Batches that come slowly are waited for, and the log says how long."""
    settings = ["epochs=2", "name=musicnn", "n_filters=null", "batch_size=4"]
    train_tones(data, tmp_path, *settings, loop=loop, delay=0.5)
    with open(tmp_path / "epochs.csv", newline="") as stream:
        _, row = csv.DictReader(stream)  # the first epoch is full of compilation
    waited = float(row["input_wait"]) * 40 / float(row["examples_per_second"])
    assert 1 < waited < 5.5  # of ten times 0.5 s, some made ahead while the last epoch ended


def test_a_model_of_ones_own_takes_three_lines(data, tmp_path, monkeypatch):
    """Both loops train it, its regularizers too; steps in one call cut no epoch short."""
    monkeypatch.setitem(MODELS, "own", Architecture(own))
    fit, weights = train_tones(data, tmp_path / "fit", *OWN, "steps_per_execution=9")
    custom, others = train_tones(data, tmp_path / "custom", *OWN, loop="custom")
    np.testing.assert_allclose(fit, custom, rtol=1e-5)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    penalty = 0.1 * np.square(weights[0]).sum()
    assert fit[-1][1] - fit[-1][2] == pytest.approx(penalty, rel=0.2)  # loss and val_loss


TWO_DEVICES = """
    import sys
    from schemas.common.command import import_tensorflow, quiet
    quiet()
    tf = import_tensorflow()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    import numpy as np
    from schemas.config import fill, read_config
    from schemas.manifest import read_dataset
    from trainer.training.assemble import fill_options
    from trainer.tagger.saved_model import export_saved_model, load_tagger
    from trainer.input.batches import training_batches
    from trainer.input.source import part_source
    from trainer.input.whole_tracks import whole_tracks
    from trainer.job.directory import BEST
    from trainer.loop import train
    from trainer.training.run import best_model
    from trainer.evaluation.validation import validate
    from trainer.tagger.clip_tagger import config_tagger

    from tests.helpers.tones import OWN, own
    from trainer.models.registry import MODELS, Architecture

    data, folder, *settings = sys.argv[1:]
    dataset = read_dataset(data)
    config = fill_options(fill(read_config(None, settings), dataset))
    source = part_source(dataset, "train", config)
    tracks = whole_tracks(part_source(dataset, "validation", config), 4)
    for name, devices, loop in (("one", 1, "fit"), ("fit", 2, "fit"), ("custom", 2, "custom")):
        strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"][:devices])
        model = train(training_batches(source, config), tracks, config, strategy,
                      f"{folder}/{name}", loop=loop)
        if name == "fit":
            values, _ = validate(model, tracks)
            print(*values.values(), sep=",", file=open(f"{folder}/best.csv", "w"))
            tagger = config_tagger(model, config)
            export_saved_model(tagger, f"{folder}/export")
            audio = np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32)
            served = load_tagger(f"{folder}/export").serve(audio)["scores"]
            difference = float(np.abs(served - tagger.serve(audio)["scores"]).max())
            print(difference, file=open(f"{folder}/difference", "w"))
    MODELS["own"] = Architecture(own)
    half = [*settings, *OWN, "precision=mixed_float16"]
    config = fill_options(fill(read_config(None, half), dataset))
    train(training_batches(source, config), tracks, config, strategy, f"{folder}/half")
"""


def test_two_devices_train_the_model_of_one_and_save_what_they_evaluate(data, tmp_path):
    """Without dropout two replicas, batch norm over both, are one model on the whole batch."""
    settings = [*SETTINGS, "epochs=2", "dropout=0"]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TWO_DEVICES), data, str(tmp_path), *settings],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, fit, custom = (curve(tmp_path / name) for name in ("one", "fit", "custom"))
    np.testing.assert_allclose(fit, custom, rtol=1e-5)
    np.testing.assert_allclose(fit[:, 1], one[:, 1], rtol=1e-3)  # the loss
    best = np.array([float(value) for value in (tmp_path / "best.csv").read_text().split(",")])
    logged = max(fit.tolist(), key=lambda row: row[4])[2:7]
    np.testing.assert_allclose(best, logged, rtol=1e-6)
    assert float((tmp_path / "difference").read_text()) < 1e-6
    assert np.isfinite(curve(tmp_path / "half")).all()  # the scale fell until neither overflowed

"""Keras' optimizers with their arguments, and averages of the weights in both loops."""

import json

import keras
import numpy as np
import pytest

from schemas.common.errors import UsageError
from schemas.config import OPTIMIZERS, Training, read_config
from tests.helpers.datasets import tone_dataset
from tests.helpers.tones import STEPS, train_tones
from trainer.descent.optimizers import LossScaling, make_optimizer
from trainer.tagger.clip_tagger import read_checkpoint


def test_every_optimizer_of_keras_has_its_name():
    found = {
        name
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
    }
    assert set(OPTIMIZERS.values()) == found - {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}


@pytest.mark.parametrize(
    ("setting", "kind", "expected"),
    [
        ("adam", keras.optimizers.Adam, {"beta_1": 0.9}),
        ("AdamW", keras.optimizers.AdamW, {"weight_decay": 0.004}),
        ('{"name": "adam", "beta_1": 0.8}', keras.optimizers.Adam, {"beta_1": 0.8}),
        (
            '{"name": "SGD", "momentum": 0.9, "nesterov": true, "weight_decay": 1e-4}',
            keras.optimizers.SGD,
            {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
        ),
        (
            '{"name": "lion", "use_ema": true, "ema_momentum": 0.5, "clipnorm": 1}',
            keras.optimizers.Lion,
            {"use_ema": True, "ema_momentum": 0.5, "clipnorm": 1},
        ),
    ],
)
def test_arguments_reach_the_optimizer(setting, kind, expected):
    training = read_config(None, [f"optimizer={setting}", "schedule=constant"]).training
    optimizer = make_optimizer(training, 10)
    assert type(optimizer) is kind
    assert {key: optimizer.get_config()[key] for key in expected} == expected
    assert float(optimizer.learning_rate) == pytest.approx(1e-3)
    half = make_optimizer(Training(optimizer=training.optimizer, precision="mixed_float16"), 10)
    assert type(half) is LossScaling and type(half.inner_optimizer) is kind


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("gradient", 'model-training.optimizer is "gradient": allowed are adadelta, adafactor, '),
        ('{"beta_1": 0.8}', "optimizer is .*: allowed is one of adadelta, .*an object with such a"),
        ('{"name": "adam", "beta": 1}', r"beta of adam is 1: allowed are beta_1, beta_2, epsilon"),
        ('{"name": "adam", "beta_1": "x"}', 'beta_1 of adam is "x": allowed is a number'),
        ('{"name": "adam", "beta_1": true}', "beta_1 of adam is true: allowed is a number"),
        ('{"name": "adam", "amsgrad": 1}', "amsgrad of adam is 1: allowed are true and false"),
        ('{"name": "adam", "clipnorm": "x"}', "clipnorm of adam is .*: allowed is a number, a"),
        ('{"name": "adam", "learning_rate": 1}', "model-training.learning_rate and schedule say"),
        ('{"name": "sgd", "momentum": -1}', "model-training.optimizer sgd: .*momentum"),
    ],
)
def test_what_an_optimizer_does_not_take_is_one_line(setting, message):
    with pytest.raises(UsageError, match=message) as raised:
        make_optimizer(read_config(None, [f"optimizer={setting}"]).training, 10)
    assert "\n" not in str(raised.value)


class Recorder(keras.callbacks.Callback):
    """Averages the weights itself, step by step."""

    average = None

    def on_train_batch_end(self, batch, logs=None):
        weights = [variable.numpy() for variable in self.model.trainable_variables]
        before = self.average or weights
        self.average = [0.7 * old + 0.3 * new for old, new in zip(before, weights, strict=True)]


def averages(job_dir):
    model = read_checkpoint(str(job_dir / "checkpoints" / "epoch-02.keras"))
    return [variable.numpy() for variable in model.trainable_variables]


def test_averaged_weights_are_what_is_kept_and_training_goes_on_without_them(tmp_path):
    data = tone_dataset(tmp_path / "data", "log-mel-spectrogram", train=40, validation=5, test=0)
    ema = {"name": "sgd", "momentum": 0.9, "use_ema": True, "ema_momentum": 0.7}
    settings = ("epochs=2", "schedule=constant", "dropout=0", f"optimizer={json.dumps(ema)}")
    curves = {}
    for loop in ("fit", "custom"):
        recorder = Recorder()
        curves[loop], _ = train_tones(
            data, tmp_path / loop, *settings, loop=loop, callbacks=[recorder]
        )
        raw = [variable.numpy() for variable in recorder.model.trainable_variables]
        for one, other in zip(averages(tmp_path / loop), recorder.average, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
        assert max(np.abs(a - b).max() for a, b in zip(raw, recorder.average, strict=True)) > 1e-4
    np.testing.assert_allclose(curves["fit"], curves["custom"], rtol=1e-4)
    with pytest.raises(KeyboardInterrupt):
        train_tones(data, tmp_path / "parts", *settings, at=STEPS - 1)
    again, _ = train_tones(data, tmp_path / "parts", *settings, resume=True)
    np.testing.assert_allclose(again, curves["fit"], rtol=1e-4)

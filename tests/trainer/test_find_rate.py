"""The learning-rate range test, on tones and on a model whose limit is known."""

import keras
import numpy as np
import pytest
from matplotlib.image import imread

from schemas.audio_spec import LOG_MEL
from schemas.common.errors import UsageError
from tests.helpers.datasets import tone_dataset
from tests.helpers.tones import SETTINGS
from trainer import find_rate
from trainer.descent.rate_test import rate_test, suggested_rate


def test_a_quadratic_diverges_above_its_limit():
    """Gradient descent on (w - 1)², a little more or less each time: up to a rate of 1."""
    inputs = keras.Input((1,))
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    rates = np.geomspace(1e-4, 1e3, 200)
    one = np.ones((2, 1), np.float32)
    batches = ((one, one + (-0.5) ** (k % 2 + 1)) for k in range(200))  # 0.5 and 1.25
    losses = rate_test(model, batches, rates)
    assert 0.5 < rates[len(losses)] < 2
    assert losses[0] == pytest.approx(0.25)
    second = (1.25 - rates[0]) ** 2  # one step has brought w to the first rate
    assert losses[1] == pytest.approx((0.9 * 0.25 + second) / 1.9, rel=1e-5)
    assert suggested_rate(rates[: len(losses)], losses) == 0.1 * rates[np.argmin(losses)]
    assert suggested_rate(rates[:3], np.array([1.0, 2.0, 3.0])) is None
    assert suggested_rate(rates[:0], np.zeros(0)) is None


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    return tone_dataset(folder, LOG_MEL, train=40, validation=0, test=0)


def test_the_command_draws_and_suggests(data, tmp_path, capsys):
    picture = tmp_path / "rates.png"
    argv = ["--dataset", data, "--output", str(picture), "--steps", "40", "--highest", "10"]
    assert find_rate.main([*argv, "--set", *SETTINGS, "optimizer=sgd", "dropout=0"]) == 0
    said = capsys.readouterr().out.splitlines()
    [line] = [line for line in said if line.startswith("suggestion: --set learning_rate=")]
    assert 1e-6 < float(line.split("=")[1]) < 1
    assert said[-1] == f"wrote {picture}" and imread(picture).std() > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rates.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "9"], "--steps is 9: it must be at least 10"),
        (["--lowest", "1", "--highest", "1"], "--lowest must be less than --highest"),
        (["--output", "rates.pdf"], "rates.pdf: allowed is a name that ends in .png"),
        (["--set", "batch_size=0"], "batch_size is 0: allowed is a whole number from 1"),
        (["--set", "name=unet"], "there is no model 'unet'"),
    ],
)
def test_what_does_not_fit_is_one_line(data, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        find_rate.main(["--dataset", data, *arguments])
    assert list(tmp_path.iterdir()) == []

"""``trainer.config``: a file with the defaults, the published experiments, one-line errors."""

import json
from dataclasses import replace

import keras
import pytest

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import UsageError
from schemas.config import Config, fill, read_config
from schemas.manifest import Dataset
from trainer.config import main, preset_file, preset_names
from trainer.descent.schedules import Triangular, learning_rate

PAPER = AudioSpec(n_fft=512, hop_length=256, compression="log10")


def test_the_file_holds_the_defaults_and_what_was_set(tmp_path):
    file = tmp_path / "config.json"
    assert main(["--write", str(file)]) == 0
    assert json.loads(file.read_text()) == Config().to_json()
    other = tmp_path / "other.json"
    assert main(["--write", str(other), "batch_size=32", "tags.with=rock,pop"]) == 0
    expected = Config().to_json()
    expected["model-training"]["batch_size"] = 32
    expected["tags"]["with"] = ["rock", "pop"]
    assert json.loads(other.read_text()) == expected
    assert read_config(str(other)).to_json() == expected


@pytest.mark.parametrize(
    ("name", "frontend", "batch_size", "spec"),
    [
        ("urop2019-waveform", WAVEFORM, 64, AudioSpec()),
        ("urop2019-log-mel", LOG_MEL, 64, AudioSpec()),
        ("urop2019-log-mel-cyclic", LOG_MEL, 128, AudioSpec()),
        ("pons2018-log-mel", LOG_MEL, 16, PAPER),
    ],
)
def test_presets_fit_the_data_set_of_their_front_end(tmp_path, name, frontend, batch_size, spec):
    file = tmp_path / "config.json"
    assert main(["--write", str(file), "--preset", name, "epochs=3"]) == 0
    dataset = Dataset("DIR", WAVEFORM, spec, ["rock"], {}, {}, {})
    config = fill(read_config(str(file)), dataset)
    assert config.model.frontend == frontend and config.tfrecords.spec == spec
    training = config.training
    assert (training.epochs, training.batch_size) == (3, batch_size)
    assert (training.window_seconds, training.optimizer, config.tags.top) == (15, "adam", 50)
    assert (config.model.n_dense, config.model.dropout) == (500, 0.5)
    if name.startswith("urop2019"):  # Keras' own statistics and weights, but for He's factor of 2
        assert (config.model.initializer, training.norm_momentum) == ("lecun_normal", 0.99)
        cyclic = name.endswith("cyclic")
        rate = (0.0014, "triangular") if cyclic else (0.001, "constant")
        assert (training.learning_rate, training.schedule) == rate
    else:
        assert config.model.initializer == "he_normal"
    if frontend == LOG_MEL:
        other = Dataset("DIR", WAVEFORM, replace(spec, hop_length=128), ["rock"], {}, {}, {})
        with pytest.raises(UsageError, match=r"hop_length is \d+: allowed is what the data set"):
            fill(read_config(str(file)), other)


def test_all_presets_are_tested_and_the_names_of_their_parts_exist():
    from trainer.training.assemble import fill_options

    assert len(preset_names()) == 4
    for name in preset_names():
        config = fill_options(read_config(preset_file(name)))
        assert keras.initializers.get(config.model.initializer)


def test_the_cyclic_rate_goes_between_a_quarter_and_the_whole_of_it():
    training = read_config(preset_file("urop2019-log-mel-cyclic"), ["epochs=8"]).training
    rate = learning_rate(training, 80)  # two cycles of forty steps
    found = [float(rate(step)) for step in (0, 10, 20, 30, 40, 60, 80)]
    low, middle, high = 0.00035, 0.000875, 0.0014
    assert found == pytest.approx([low, middle, high, middle, low, high, low], rel=1e-5)


def test_a_checkpoint_keeps_the_cyclic_rate():
    optimizer = keras.optimizers.Adam(Triangular(0.1, 0.5, 10.0))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for step, rate in ((0, 0.1), (3, 0.34), (5, 0.5), (12, 0.26)):
        again.iterations.assign(step)
        assert float(again.learning_rate) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["batch_size=0"], "setting: model-training.batch_size is 0: allowed is a whole number"),
        (["batch=1"], "setting batch=1: unknown key 'batch', allowed are model.name"),
        (["batch_size"], "setting batch_size: allowed is key=value"),
        (["optimizer=fast"], 'model-training.optimizer is "fast": allowed are adadelta'),
        (["name=unet"], "there is no model 'unet': allowed are pons"),
        (["--preset", "mine"], "there is no preset 'mine': allowed are pons2018-log-mel, urop"),
    ],
)
def test_bad_settings_write_nothing(tmp_path, arguments, message):
    with pytest.raises(UsageError) as error:
        main(["--write", str(tmp_path / "config.json"), *arguments])
    assert message in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path):
    file = tmp_path / "config.json"
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"config.json is already there"):
        main(["--write", str(file)])
    assert file.read_text() == "mine"
    with pytest.raises(UsageError, match="there is no such directory"):
        main(["--write", str(tmp_path / "none" / "config.json")])

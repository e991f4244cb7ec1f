"""The experiment configuration: defaults, settings, errors that name key, value and allowed."""

import json

import pytest

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import UsageError
from schemas.config import Config, Tags, describe, fill, parse_config, read_config
from schemas.manifest import Dataset
from schemas.tag_choice import select_tags

VOCABULARY = ["rock", "pop", "rap", "hip-hop", "jazz"]


def dataset(audio_format=WAVEFORM, **spec):
    return Dataset("DIR", audio_format, AudioSpec(**spec), VOCABULARY, {}, {}, {})


def test_the_defaults_survive_json():
    config = Config()
    values = json.loads(json.dumps(config.to_json()))
    assert list(values) == ["model", "model-training", "tags", "tfrecords"]
    assert values["model-training"]["window_seconds"] == 15.0
    assert values["tags"] == {"top": None, "with": [], "without": [], "merge": []}
    assert parse_config(values) == config


def test_settings_win_over_the_file(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"model": {"dropout": 0.25}, "model-training": {"batch_size": 64}}')
    config = read_config(
        file,
        ["batch_size=8", "model.n_filters=2", "tags.with=rock, pop", "schedule=cosine"]
        + ['tags.merge=[["rap", "hip-hop"]]', "shuffle_labels=true"],
    )
    assert config.model.dropout == 0.25 and config.model.n_filters == 2
    assert config.model.options == {"dropout": 0.25, "n_filters": 2}
    assert config.training.batch_size == 8 and config.training.schedule == "cosine"
    assert config.training.shuffle_labels is True
    assert config.tags == Tags(with_=["rock", "pop"], merge=[["rap", "hip-hop"]])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batch_size=0", "model-training.batch_size is 0: allowed is a whole number from 1"),
        ("batch_size=1.5", "model-training.batch_size is 1.5: allowed is a whole number from 1"),
        ("seed=4294967296", "seed is 4294967296: allowed is a whole number from 0 to 4294967295"),
        ("epochs=true", "model-training.epochs is true: allowed is a whole number from 1"),
        ("dropout=2", "model.dropout is 2: allowed is a number from 0 to 0.95 or null"),
        ("learning_rate=NaN", "learning_rate is NaN: allowed is a number from 1e-07 to 10"),
        ("schedule=fast", 'schedule is "fast": allowed is constant, cosine'),
        ("frontend=mp3", 'frontend is "mp3": allowed is waveform, log-mel-spectrogram or null'),
        ("shuffle_labels=1", "shuffle_labels is 1: allowed is true or false"),
        ("merge=pop", 'tags.merge is ["pop"]: allowed is a list of lists of two tags or more'),
        ("batchsize=1", "unknown key 'batchsize', allowed are model.name, model.frontend"),
        ("model.batch_size=1", "unknown key 'model.batch_size'"),
        ("batch_size", "--set batch_size: allowed is key=value"),
    ],
)
def test_a_bad_setting_names_key_value_and_allowed(setting, message):
    with pytest.raises(UsageError) as error:
        read_config(None, [setting])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "allowed is an object of the sections model, model-training, tags, tfrecords"),
        ('{"modle": {}}', "unknown section 'modle', allowed are model, model-training"),
        ('{"model": {"layers": 3}}', "unknown key model.layers, allowed are name, frontend"),
        ('{"model": {"n_dense": "many"}}', 'model.n_dense is "many": allowed is a whole number'),
    ],
)
def test_a_bad_file_names_itself(tmp_path, text, message):
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        read_config(file)
    assert message in str(error.value) and "bad.json" in str(error.value)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_config(tmp_path / "none.json")


def test_the_manifest_fills_tfrecords_and_the_front_end():
    config = fill(Config(), dataset(n_mels=64))
    assert config.model.frontend == WAVEFORM
    assert config.tfrecords.spec == AudioSpec(n_mels=64)
    assert config.tfrecords.vocabulary == VOCABULARY
    assert fill(config, dataset(n_mels=64)) == config  # a resolved copy fits its data set


def test_what_differs_from_the_manifest_is_an_error():
    config = read_config(None, ["tfrecords.sample_rate=22050"])
    with pytest.raises(UsageError, match=r"sample_rate is 22050: allowed is .* DIR has, 16000"):
        fill(config, dataset())
    with pytest.raises(UsageError, match="vocabulary"):
        fill(read_config(None, ["vocabulary=rock,pop"]), dataset())


def test_spectrograms_cannot_feed_the_waveform_front_end():
    with pytest.raises(UsageError, match=r"model.frontend is waveform: .* DIR holds log-mel"):
        fill(read_config(None, ["frontend=waveform"]), dataset(LOG_MEL))
    assert fill(read_config(None, [f"frontend={LOG_MEL}"]), dataset()).model.frontend == LOG_MEL


@pytest.mark.parametrize(
    ("tags", "names", "columns"),
    [
        (Tags(), VOCABULARY, [0, 1, 2, 3, 4]),
        (Tags(top=2), ["rock", "pop"], [0, 1, -1, -1, -1]),
        (Tags(top=1, with_=["jazz"]), ["rock", "jazz"], [0, -1, -1, -1, 1]),
        (Tags(with_=["jazz", "pop"]), ["pop", "jazz"], [-1, 0, -1, -1, 1]),
        (Tags(without=["rock", "rap"]), ["pop", "hip-hop", "jazz"], [-1, 0, -1, 1, 2]),
        (Tags(merge=[["hip-hop", "rap"]]), ["rock", "pop", "hip-hop", "jazz"], [0, 1, 2, 2, 3]),
        (Tags(top=3, merge=[["hip-hop", "rap"]]), ["rock", "pop", "hip-hop"], [0, 1, 2, 2, -1]),
    ],
)
def test_tags_are_chosen_then_merged(tags, names, columns):
    assert select_tags(tags, VOCABULARY) == (names, columns)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (Tags(with_=["blues"]), "tags.with names 'blues'"),
        (Tags(without=["blues"]), "tags.without names 'blues'"),
        (Tags(merge=[["rock", "blues"]]), "tags.merge names 'blues'"),
        (Tags(merge=[["rock", "pop"], ["pop", "jazz"]]), "tags.merge names a tag twice"),
        (Tags(without=["pop"], merge=[["rock", "pop"]]), "tags.without names 'pop'"),
        (Tags(without=VOCABULARY), "tags leave none to learn"),
    ],
)
def test_impossible_choices_of_tags(tags, message):
    with pytest.raises(UsageError, match=message):
        select_tags(tags, VOCABULARY)


def test_every_key_is_described():
    text = describe()
    values = Config().to_json()
    for section in values:
        for key in values[section]:
            assert f"{section}.{key}=" in text

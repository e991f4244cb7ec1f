"""Parameter counts, shapes and values of the models, against their publication."""

import importlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.common.errors import UsageError
from tests.helpers import jax_models, numpy_models
from tests.helpers.models import build, outputs, randomise
from trainer.models.layers import Standardise
from trainer.models.registry import MODELS, Architecture, model_options

MODEL_MODULES = ("registry", "layers", "pons", "musicnn")


@pytest.mark.parametrize(
    ("frontend", "window", "n_tags", "n_dense", "n_filters", "total", "trainable"),
    [
        (WAVEFORM, 240_000, 50, 500, 16, 5_380_774, 5_377_082),
        (LOG_MEL, 468, 50, 500, 16, 5_927_110, 5_924_154),
        (WAVEFORM, 240_000, 155, 500, 16, 5_433_379, None),
        (LOG_MEL, 468, 155, 500, 16, 5_979_715, None),
        (LOG_MEL, 468, 50, 1024, 32, 8_206_458, None),
    ],
)
def test_pons_has_the_published_parameters(
    frontend, window, n_tags, n_dense, n_filters, total, trainable
):
    model = build("pons", frontend, window, n_tags, n_dense=n_dense, n_filters=n_filters)
    assert model.count_params() == total
    if trainable:
        assert sum(np.prod(each.shape) for each in model.trainable_variables) == trainable


@pytest.mark.parametrize(("name", "total"), [("musicnn", 792_079), ("vgg", 607_030)])
def test_musicnn_and_vgg_have_the_published_parameters(name, total):
    assert build(name, window=187, n_tags=50).count_params() == total


def test_norm_per_channel_has_more_parameters_than_the_published_quirk():
    quirk, own = build(n_filters=1), build(n_filters=1, norm_per_channel=True)
    assert own.count_params() - quirk.count_params() == 2 * 4 * (512 - 1)


@pytest.mark.parametrize(
    ("frontend", "window", "shapes"),
    [
        (
            LOG_MEL,
            468,
            {
                "standardise": (468, 96),
                "timbre_high": (468, 112),
                "timbre_low": (468, 112),
                "temporal_165_norm": (468, 16),
                "temporal_32_norm": (468, 128),
                "front_end": (468, 464),
                "back_1_norm": (462, 512),
                "back_2_add": (462, 512),
                "back_pool": (231, 512),
                "back_3_add": (231, 512),
                "back_end": (1024,),
                "embedding": (500,),
                "scores": (50,),
            },
        ),
        (
            WAVEFORM,
            240_000,
            {
                "wave_0_norm": (80_000, 64),
                "wave_1_pool": (26_666, 64),
                "wave_2_pool": (8_888, 64),
                "wave_3_pool": (2_962, 128),
                "wave_4_pool": (986, 128),
                "wave_5_pool": (328, 128),
                "wave_6_pool": (108, 256),
                "back_1_norm": (102, 512),
                "back_pool": (51, 512),
                "back_end": (1024,),
            },
        ),
    ],
)
def test_shapes_at_every_stage_of_pons(frontend, window, shapes):
    model = build("pons", frontend, window, 50)
    assert {name: model.get_layer(name).output.shape[1:] for name in shapes} == shapes


def test_shapes_at_every_stage_of_musicnn_and_vgg():
    model = build("musicnn", window=187, n_tags=50)
    names = ("front_end", "mid_1_norm", "mid_end", "back_end", "embedding", "scores")
    shapes = [model.get_layer(name).output.shape[1:] for name in names]
    assert shapes == [(187, 561), (187, 64), (187, 753), (1506,), (200,), (50,)]
    model = build("vgg", window=187, n_tags=50)
    shapes = [model.get_layer(f"conv_{index}_pool").output.shape[1:3] for index in range(1, 6)]
    assert shapes == [(92, 48), (46, 24), (23, 12), (11, 6), (2, 1)]
    assert model.get_layer("embedding").output.shape == (None, 256)


@pytest.mark.parametrize(
    ("name", "frontend", "window", "options"),
    [
        ("pons", LOG_MEL, 41, {}),
        ("pons", LOG_MEL, 30, {"n_filters": 3, "n_dense": 20, "norm_per_channel": True}),
        ("pons", WAVEFORM, 25_000, {}),
        ("pons", WAVEFORM, 22_222, {"norm_per_channel": True, "n_dense": 20}),
        ("musicnn", LOG_MEL, 50, {}),
        ("vgg", LOG_MEL, 187, {"n_filters": 24}),
    ],
)
def test_forward_pass_agrees_with_numpy(name, frontend, window, options):
    model = randomise(build(name, frontend, window, n_tags=20, **options))
    rng = np.random.default_rng(1)
    if frontend == LOG_MEL:
        windows = rng.uniform(-1, 1, (2, window, 96)) + rng.normal(0, 1, (2, 1, 96))
        windows = (windows * 15 - 40 if name == "pons" else windows).astype(np.float32)
    else:
        windows = rng.normal(0.01, 0.1, (2, window)).astype(np.float32)
    scores, embeddings = outputs(model, windows)
    for index, one in enumerate(windows):
        expected_scores, expected_embedding = numpy_models.scores_and_embedding(model, one)
        scale = np.abs(expected_embedding).max()
        assert np.abs(scores[index] - expected_scores).max() < 1e-4
        assert np.abs(embeddings[index] - expected_embedding).max() < 1e-4 * scale
    assert np.median(np.ptp(embeddings, axis=0)) > 0.01  # the windows differ
    assert np.sum((scores > 0.02) & (scores < 0.98)) >= 8  # the sigmoid is not saturated


@pytest.mark.parametrize(
    ("frontend", "lengths"), [(LOG_MEL, (20, 57)), (WAVEFORM, (20_000, 30_001))]
)
def test_a_model_without_a_window_takes_any_length(frontend, lengths):
    free = randomise(build("pons", frontend, None, n_filters=1, n_dense=8))
    for length in lengths:
        fixed = build("pons", frontend, length, n_filters=1, n_dense=8)
        fixed.set_weights(free.get_weights())
        shape = (2, length) if frontend == WAVEFORM else (2, length, 96)
        windows = np.random.default_rng(length).normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(outputs(free, windows)[0], outputs(fixed, windows)[0], atol=1e-6)


@pytest.mark.parametrize("value", [0.0, -80.0, 0.123, 1e6])
def test_a_constant_window_is_standardised_to_zeros(value):
    windows = np.full((2, 468, 96), value, np.float32)
    assert np.all(np.asarray(Standardise()(windows)) == 0)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_each_window_is_standardised_by_itself(scale):
    rng = np.random.default_rng(0)
    windows = (rng.normal(0.2, 0.1, (3, 5000)) * [[1], [10], [0.1]] * scale).astype(np.float32)
    result = np.asarray(Standardise()(windows)).astype(np.float64)
    np.testing.assert_allclose(result.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(result.std(axis=1), 1, atol=0.1 if scale < 1 else 1e-3)
    np.testing.assert_allclose(np.asarray(Standardise()(windows[1:2]))[0], result[1], atol=1e-5)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_saved_model_is_read_back(name, tmp_path):
    options = {"vgg": {"n_filters": 4}, "pons": {"n_filters": 1, "n_dense": 8}}.get(name, {})
    model = randomise(build(name, window=187, **options))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    windows = np.random.default_rng(0).normal(size=(1, 187, 96)).astype(np.float32)
    for one, other in zip(outputs(model, windows), outputs(again, windows), strict=True):
        np.testing.assert_array_equal(one, other)


def test_mixed_precision_keeps_scores_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(n_filters=1, n_dense=8)
    finally:
        keras.config.set_dtype_policy("float32")
    windows = np.random.default_rng(0).normal(-40, 20, (2, 40, 96)).astype(np.float32)
    exact = build(n_filters=1, n_dense=8)
    exact.set_weights(model.get_weights())
    assert model.get_layer("timbre_low").convs[0].compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    np.testing.assert_allclose(outputs(model, windows)[0], outputs(exact, windows)[0], atol=0.05)


def test_options_are_those_of_the_builder():
    assert model_options("pons") == {
        "n_filters": 16,
        "n_dense": 500,
        "dropout": 0.5,
        "norm_per_channel": False,
        "initializer": "he_normal",
    }
    assert list(model_options("vgg")) == ["n_filters", "dropout", "initializer"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "ponz"}, "there is no model 'ponz': allowed are pons, musicnn, vgg"),
        ({"name": "vgg", "frontend": WAVEFORM}, "no front end 'waveform'.*log-mel-spectrogram"),
        ({"n_filtres": 3}, "no option 'n_filtres': allowed are n_filters, n_dense"),
        ({"window": 7}, r"no pons model .* shape \[7, 96\] with its defaults: the window is too"),
        ({"window": 19_000, "frontend": WAVEFORM}, r"shape \[19000\] .* the window is too short"),
        ({"name": "vgg", "window": 60}, r"shape \[60, 96\] .* the window is too short"),
        ({"initializer": "hee"}, "hee"),
    ],
)
def test_what_makes_no_model_is_one_clear_line(arguments, message):
    with pytest.raises(UsageError, match=message) as error:
        build(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["embedding", "scores"])
def test_a_model_without_the_two_names_is_refused(monkeypatch, name):
    def nameless(inputs, n_tags):
        x = keras.layers.GlobalAveragePooling1D(name="mean" if name == "embedding" else "embedding")
        return keras.layers.Dense(n_tags, name="last" if name == "scores" else "scores")(x(inputs))

    monkeypatch.setitem(MODELS, "own", Architecture(nameless))
    with pytest.raises(UsageError, match=f"own has no layer of the name {name}: give it one"):
        build("own")


def test_models_are_keras_and_nothing_below_it():
    sources = [importlib.import_module(f"trainer.models.{name}").__file__ for name in MODEL_MODULES]
    for source in sources:
        with open(source, encoding="utf8") as stream:
            assert not re.search(r"^\s*(import|from) (tensorflow|jax|torch)", stream.read(), re.M)


def test_every_model_gives_the_same_under_jax(tmp_path):
    assert {(name, frontend) for name, frontend, _ in jax_models.CASES.values()} == {
        (name, frontend) for name in MODELS for frontend in MODELS[name].frontends
    }
    rng, expected = np.random.default_rng(2), {}
    for case, (_, frontend, _) in jax_models.CASES.items():
        model, both = jax_models.build(case)
        randomise(model)
        shape = (2, *model.input_shape[1:])
        windows = rng.normal(0, 0.1 if frontend == WAVEFORM else 1, shape).astype(np.float32)
        expected[case] = [np.asarray(each) for each in both(windows, training=False)]
        weights = {f"weight{k}": each for k, each in enumerate(model.get_weights())}
        np.savez(tmp_path / f"{case}.npz", windows=windows, **weights)
    subprocess.run([sys.executable, "-m", "tests.helpers.jax_models", str(tmp_path)], check=True)
    for case, (scores, embeddings) in expected.items():
        found = np.load(tmp_path / f"{case}-jax.npz")
        assert np.abs(found["scores"] - scores).max() < 1e-4
        assert np.abs(found["embeddings"] - embeddings).max() < 1e-4 * np.abs(embeddings).max()
        assert np.sum((scores > 0.02) & (scores < 0.98)) >= 8  # the sigmoid is not saturated

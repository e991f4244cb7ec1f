"""Trainings that start from another one's weights: what is taken over, frozen, gone on with."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.common.errors import UsageError
from schemas.manifest import MANIFEST
from schemas.saved_model import find_saved_model, read_model_info
from tests.helpers.datasets import tone_dataset
from tests.helpers.models import build, randomise
from tests.helpers.tones import STEPS, train_tones
from trainer import task
from trainer.models.musicnn_package import SPEC
from trainer.models.registry import MODELS
from trainer.tagger.clip_tagger import read_checkpoint
from trainer.training.fine_tune import freeze, inherited_licence, take_over


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):  # noqa: F811
    """A job to start from."""
    job_dir = tmp_path_factory.mktemp("first")
    train_tones(data, job_dir, "epochs=1")
    return job_dir


def best(job_dir):
    return read_checkpoint(str(job_dir / "checkpoints" / "best.keras"))


def moved(model, initial):
    """Layers of which a weight or a statistic differs."""
    pairs = zip(model.layers, initial.layers, strict=True)
    return {
        layer.name
        for layer, other in pairs
        for one, two in zip(layer.get_weights(), other.get_weights(), strict=True)
        if one.shape != two.shape or not np.array_equal(one, two)
    }


@pytest.mark.parametrize(
    ("name", "frontend", "front_end"),
    [
        ("pons", LOG_MEL, {"timbre_high", "timbre_low", "temporal_165", "temporal_165_norm"}),
        ("pons", WAVEFORM, {"wave_0", "wave_0_norm", "wave_6"}),
        ("musicnn", LOG_MEL, {"input_norm", "timbre_low", "temporal_128", "temporal_32_norm"}),
        ("vgg", LOG_MEL, None),
    ],
)
def test_all_but_the_output_is_taken_over(name, frontend, front_end):
    window = 20_000 if frontend == WAVEFORM else 187
    initial = randomise(build(name, frontend, window, n_tags=5), seed=1)
    model = randomise(build(name, frontend, window, n_tags=2), seed=2)
    output = model.get_layer("scores").get_weights()
    take_over(model, initial)
    assert moved(model, initial) == {"scores"}
    for one, two in zip(model.get_layer("scores").get_weights(), output, strict=True):
        np.testing.assert_array_equal(one, two)
    if front_end is None:
        with pytest.raises(UsageError, match="vgg are all alike, so allowed is embedding or null"):
            freeze(model, "front_end", MODELS[name].front_end)
    else:
        freeze(model, "front_end", MODELS[name].front_end)
        frozen = {layer.name for layer in model.layers if not layer.trainable}
        assert front_end <= frozen and not frozen & {"dense", "embedding", "scores", "back_norm"}
        other = build(name, frontend, window, n_dense=7)
        with pytest.raises(UsageError, match="do not fit the layer dense"):
            take_over(other, initial)
    freeze(model, "embedding", MODELS[name].front_end)
    assert [variable.path for variable in model.trainable_variables] == [
        "scores/kernel",
        "scores/bias",
    ]


def test_the_output_layer_is_kept_where_the_tags_are_the_same(data, first, tmp_path, capsys):
    """Of a training that hardly moves: it ends with what it began with, in its own order."""
    dataset = json.loads(pathlib.Path(data, MANIFEST).read_text())
    dataset["data"]["vocabulary"] = dataset["data"]["vocabulary"][::-1]
    turned = tmp_path / "turned"
    shutil.copytree(data, turned)
    (turned / MANIFEST).write_text(json.dumps(dataset))
    still = ("optimizer=sgd", "schedule=constant", "learning_rate=1e-7")
    assert fine_tune(turned, tmp_path / "same", first, *still) == 0
    assert f"the tags are those of {first}: its output layer is kept" in capsys.readouterr().out
    for one, other in zip(*(best(job).get_layer("scores").get_weights()
                            for job in (tmp_path / "same", first)), strict=True):  # fmt: skip
        np.testing.assert_allclose(one, other[..., ::-1], atol=1e-5)
    assert fine_tune(data, tmp_path / "two", first, *still, "top=2") == 0
    assert "output layer is kept" not in capsys.readouterr().out
    kernel = best(tmp_path / "two").get_layer("scores").get_weights()[0]
    assert np.abs(kernel - best(first).get_layer("scores").get_weights()[0][:, :2]).max() > 0.01


@pytest.mark.parametrize(("loop", "part"), [("fit", "front_end"), ("custom", "embedding")])
def test_what_is_frozen_stays_to_the_last_bit(data, first, tmp_path, loop, part):  # noqa: F811
    train_tones(data, tmp_path, "epochs=1", f"freeze={part}", loop=loop, initial=best(first))
    found = moved(best(tmp_path), best(first))
    if part == "embedding":
        assert found == {"scores"}
    else:
        assert {"dense", "embedding", "back_1", "back_1_norm", "scores"} <= found
        assert not [name for name in found if name.startswith(("timbre", "temporal"))]


def test_a_stopped_one_goes_on_as_if_it_had_not_been(data, first, tmp_path):  # noqa: F811
    settings = ("epochs=2", "freeze=front_end")
    curve, weights = train_tones(data, tmp_path / "whole", *settings, initial=best(first))
    parts = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        train_tones(data, parts, *settings, at=2 * STEPS - 1, initial=best(first))
    again, others = train_tones(data, parts, *settings, resume=True, initial=best(first))
    np.testing.assert_allclose(again, curve, rtol=1e-5)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def fine_tune(data, job_dir, initial, *settings, arguments=()):  # noqa: F811
    """trainer.task from a job; model and window are the job's own."""
    argv = ["--dataset", data, "--job_dir", job_dir, "--init_from", initial, *arguments]
    return task.main([*map(str, argv), "--set", "batch_size=8", "epochs=1", *settings])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("name=musicnn", 'model.name is "musicnn": allowed with --init_from .* "pons"'),
        ("n_filters=2", "model.n_filters is 2: allowed with --init_from .* what it has, 1"),
        ("freeze=all", 'freeze is "all": allowed is front_end, embedding or null'),
    ],
)
def test_what_does_not_fit_is_one_line(data, first, tmp_path, setting, message):  # noqa: F811
    with pytest.raises(UsageError, match=message):
        fine_tune(data, tmp_path / "job", first, setting)
    assert not (tmp_path / "job").exists()


def test_places_that_cannot_be(data, first, tmp_path):  # noqa: F811
    with pytest.raises(UsageError, match="--init_from: .* holds no finished training"):
        fine_tune(data, tmp_path / "job", tmp_path)
    with pytest.raises(UsageError, match="is also --init_from"):
        fine_tune(data, first, first, arguments=["--overwrite"])
    argv = ["--dataset", data, "--job_dir", str(tmp_path / "job"), "--set", "freeze=embedding"]
    with pytest.raises(UsageError, match="freeze keeps the weights of --init_from, which is miss"):
        task.main(argv)
    assert not (tmp_path / "job").exists() and (first / "checkpoints" / "best.keras").exists()


@pytest.mark.pretrained
def test_a_published_network_learns_new_tags(pretrained, data, tmp_path):  # noqa: F811
    job = tmp_path / "job"
    message = (
        "sample_rate 2000, .* 16000: build it with --sample_rate 16000 --n_mels 96 --n_fft 512 "
        "--hop_length 256 --compression log10"
    )
    with pytest.raises(UsageError, match=message):
        fine_tune(data, job, pretrained)
    own = tone_dataset(tmp_path / "own", train=8, validation=0, test=0, seconds=3.2, spec=SPEC)
    assert fine_tune(own, job, pretrained, "freeze=embedding") == 0
    assert moved(best(job), best(pretrained)) == {"scores"}
    info, given = (read_model_info(find_saved_model(str(path))) for path in (job, pretrained))
    assert (info.window, info.spec, info.frontend) == (187, SPEC, LOG_MEL)
    assert info.labels == ["low", "high", "noise"] and inherited_licence(None) == ""
    assert info.licence == given.licence == inherited_licence(str(job)) != ""
    config = json.loads((job / "config.json").read_text())
    assert config["model"] == given.model["model"]
    assert config["model-training"]["init_from"] == str(pretrained)
    with pytest.raises(UsageError, match="freeze is null: allowed with --resume is what the job"):
        fine_tune(own, job, pretrained, arguments=["--resume"])

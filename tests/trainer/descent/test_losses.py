"""Losses of tags against their formulas, weights, and both loops with them."""

import json

import keras
import numpy as np
import pytest

from schemas.audio_spec import LOG_MEL
from schemas.common.errors import UsageError
from schemas.config import LOSSES, read_config
from tests.helpers.datasets import TONES, tone_dataset
from tests.helpers.tones import train_tones
from trainer import task
from trainer.descent.losses import make_loss, of_windows
from trainer.descent.tag_weights import tag_weights

TAGS = np.array([[1, 0, 1, 0], [0, 0, 1, 1]], np.float32)
SCORES = np.array([[0.9, 0.2, 0.1, 0.04], [0.5, 0.99, 0.7, 0.3]], np.float32)


def expected(kind):
    """The formulas of the papers, pair by pair."""
    found = np.empty(TAGS.shape)
    for place, (tag, p) in enumerate(zip(TAGS.ravel(), SCORES.ravel().astype(float), strict=True)):
        right = p if tag else 1 - p
        loss = -np.log(right)
        if kind == "focal":
            loss *= (1 - right) ** 2
        if kind == "asymmetric" and not tag:
            low = max(p - 0.05, 0)
            loss = -np.log(1 - low) * low**4
        found.flat[place] = loss
    return found


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_are_those_of_the_papers(kind):
    found = np.asarray(of_windows(make_loss(kind))(TAGS, SCORES))
    np.testing.assert_allclose(found, expected(kind).mean(axis=1), rtol=1e-5)
    weights = np.array([2.0, 0.5, 1.0, 0.0])
    loss = make_loss(kind, weights)
    np.testing.assert_allclose(
        np.asarray(of_windows(loss)(TAGS, SCORES)), (expected(kind) * weights).mean(axis=1), 1e-5
    )
    again = type(loss).from_config(loss.get_config())
    assert float(again(TAGS, SCORES)) == pytest.approx((expected(kind) * weights).mean(), rel=1e-5)


def test_the_plain_loss_is_keras_own():
    assert of_windows(make_loss("bce")) is keras.losses.binary_crossentropy


def test_inverse_weights_have_the_mean_one(tmp_path):
    weights = tag_weights("inverse", ["a", "b", "c"], [], np.array([0.5, 0.1, 0.0]))
    assert weights.mean() == pytest.approx(1) and weights[1] == weights[2] == 5 * weights[0]
    assert tag_weights("none", ["a"], [], None) is None
    with pytest.raises(UsageError, match="tag_weights is inverse: that needs rates"):
        tag_weights("inverse", ["a"], [], None)
    file = tmp_path / "weights.csv"
    file.write_text("tag,weight\nb,3\nother,0.5\n")
    assert tag_weights(str(file), ["a", "b"], ["a", "b", "other"], None).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "weights.csv cannot be read: No such file or directory; allowed are none, inverse"),
        ("tag,weight\nrock,1\n", "weights.csv names 'rock': allowed are the data set's tags"),
        ("tag,weight\nlow,-1\n", "line 2: the weight '-1' is no number from 0"),
        ("tag,weight\nlow,nan\n", "line 2: the weight 'nan' is no number from 0"),
        ("tag,weight\nlow,1\nlow,2\n", "line 3: 'low' is there twice"),
        ("low,2\n\n", "weights.csv: the columns must be tag and weight"),
        ("name,weight\nlow,2\n", "weights.csv: the columns must be tag and weight"),
        ("tag,weight\nlow\n", "line 2: the weight None is no number from 0"),
        ("tag,weight\nlow,0\nhigh,0\nnoise,0\n", "gives every tag the weight 0"),
        ("\udcff", "weights.csv is no CSV file in UTF-8"),
    ],
)
def test_a_file_of_weights_that_does_not_fit_is_one_line_before_anything(
    data_set, tmp_path, content, message
):
    file = tmp_path / "weights.csv"
    if content is not None:
        file.write_bytes(content.encode("utf8", "surrogateescape"))
    job = tmp_path / "job"
    (job / "logs").mkdir(parents=True)
    argv = ["--dataset", data_set, "--job_dir", str(job), "--overwrite"]
    with pytest.raises(UsageError, match=message):
        task.main([*argv, "--set", f"tag_weights={file}"])
    assert (job / "logs").exists()


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    return tone_dataset(folder, LOG_MEL, train=40, validation=5, test=0)


def test_both_loops_make_the_same_loss_small(data_set, tmp_path):
    settings = ("epochs=2", "dropout=0", "loss=focal", "tag_weights=inverse")
    fit, _ = train_tones(data_set, tmp_path / "fit", *settings)
    custom, _ = train_tones(data_set, tmp_path / "custom", *settings, loop="custom")
    np.testing.assert_allclose(fit, custom, rtol=1e-4)
    assert fit[0, 1] < 0.5 * fit[0, 2]  # the focal loss beside val_loss, which is no focal one
    config = read_config(str(tmp_path / "fit" / "config.json"))
    assert (config.training.loss, config.training.tag_weights) == ("focal", "inverse")


def test_a_tag_of_no_weight_is_not_learnt(data_set, tmp_path):
    """Its output stays where the tags' frequencies put it; the other one moves."""
    file = tmp_path / "weights.csv"
    file.write_text("tag,weight\nlow,0\nhigh,5\n")
    job = tmp_path / "job"
    settings = ("epochs=1", "schedule=constant", f"tag_weights={file}", "dropout=0")
    train_tones(data_set, job, *settings, "optimizer=sgd", "learning_rate=0.5")
    from trainer.tagger.clip_tagger import read_checkpoint

    model = read_checkpoint(str(job / "checkpoints" / "best.keras"))
    bias = dict(zip(TONES, model.get_layer("scores").get_weights()[1], strict=True))
    assert bias["low"] == pytest.approx(0, abs=1e-6)  # of half of the tracks
    assert abs(bias["high"]) > 1e-3
    assert json.loads((job / "config.json").read_text())["model-training"]["tag_weights"] == str(
        file
    )

"""Datasets and trainings of one's own, from Python."""

import collections
import csv
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.tags.queries_sql import LastFm
from schemas.audio_spec import LOG_MEL
from schemas.common.errors import UsageError
from schemas.config import fill, read_config
from schemas.manifest import read_dataset
from tests.helpers.datasets import TONES, tone_dataset
from tests.helpers.lastfm import make_database
from trainer.datasets import datasets, split_shards
from trainer.input.whole_tracks import window_tracks
from trainer.loop import train
from trainer.tagger.clip_tagger import config_tagger, read_checkpoint

SETTINGS = ["window_seconds=1", "batch_size=3", "epochs=2", "n_filters=1", "n_dense=8"]
SETTINGS += [f"frontend={LOG_MEL}"]


@pytest.fixture(scope="module")
def tone_set(tmp_path_factory):
    return tone_dataset(tmp_path_factory.mktemp("tones"), train=24, num_shards=4)


def test_the_examples_of_2019(tone_set, tmp_path, monkeypatch):
    """Its README: the ten most popular tags, two shards, two tags merged; then a training."""
    monkeypatch.chdir(tmp_path)
    pairs = [(1, 3, 100.0), (2, 1, 80.0), (2, 3, 70.0), (3, 2, 60.0), (3, 3, 5.0), (1, 1, 9.0)]
    make_database("clean_lastfm.db", ["TRA", "TRB", "TRC"], list(TONES), pairs)
    (tmp_path / "config.json").write_text("{}")

    top_tags = LastFm("clean_lastfm.db").popularity()["tag"][:10].tolist()
    spec = read_dataset(tone_set)
    shards = spec.shards("train")[:2]
    config = read_config("config.json", SETTINGS)
    train_dataset, validation_dataset = datasets(
        shards,
        spec,
        split=(1, 1, 0),
        which=(True, True, False),
        with_tags=top_tags,
        merge_tags=[["low", "high"]],
        config=config,
    )
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    wrapped = strategy.experimental_distribute_dataset(train_dataset)
    with pytest.raises(UsageError, match="is distributed: allowed is what was distributed"):
        train(wrapped, validation_dataset, config, strategy, "job")
    four = replace(config.training, epochs=1, steps_per_execution=3)
    uneven = replace(config, training=four)
    with pytest.raises(UsageError, match="is 3: allowed is a number that divides the 4 steps"):
        train(train_dataset, validation_dataset, uneven, strategy, "job")
    assert not os.path.exists("job")
    train(train_dataset, validation_dataset, config, strategy, "job")

    assert top_tags == ["noise", "low", "high"]
    seen = [tuple(row) for _, tags in train_dataset.as_numpy_iterator() for row in tags]
    assert collections.Counter(seen) == {(0, 0): 6, (0, 1): 6}  # low or high, noise: two epochs
    assert sorted(validation_dataset.tids) == [f"TRTR{k:05d}" for k in range(1, 24, 4)]
    with open("job/epochs.csv", newline="", encoding="utf8") as stream:
        epochs = list(csv.DictReader(stream))
    assert [row["epoch"] for row in epochs] == ["1", "2"]
    assert all(0 < float(row["val_loss"]) < 5 for row in epochs)
    with open("job/config.json", encoding="utf8") as stream:
        written = json.load(stream)
    assert written["tags"] == {
        "top": None, "with": top_tags, "without": [], "merge": [["low", "high"]]
    }  # fmt: skip
    assert written["tfrecords"]["vocabulary"] == list(TONES)
    labels = config_tagger(
        read_checkpoint("job/checkpoints/best.keras"), read_config("job/config.json")
    ).info.labels
    assert labels == ["low", "noise"]
    assert os.path.isfile("job/metrics.json")


def test_each_part_has_its_own_tracks_and_a_part_without_share_is_none(tone_set):
    spec = read_dataset(tone_set)
    shards = [*spec.shards("train"), *spec.shards("test")]  # "test" comes first when sorted
    config = fill(read_config(None, [*SETTINGS, "epochs=1", "batch_size=1"]), spec)
    train_dataset, validation, test = datasets(shards, spec, (2, 1, 1), config=config)
    assert int(train_dataset.cardinality()) == 16
    firsts = {f"TRTR{k:05d}" for k in range(24) if k % 4 < 2}  # of the four training shards
    assert set(validation.tids) == firsts and len(validation.tids) == 12
    assert set(test.tids) == {f"TRTR{k:05d}" for k in range(24)} - firsts
    some, none = datasets(shards, spec, (0, 1, 0), (False, True, True), config=config)
    assert len(some.tids) == 40 and none is None


def test_tracks_and_tags_are_chosen_in_place_of_the_configurations(tone_set):
    spec = read_dataset(tone_set)
    config = fill(read_config(None, [*SETTINGS, "top=1", 'with_tids=["TRNONE"]']), spec)
    chosen = {"with_tids": ["TRTR00003", "TRTR00005"], "without_tids": ["TRTR00005"]}
    [tracks] = datasets(
        spec.shards("train"),
        spec,
        (0, 0, 1),
        (False, False, True),
        config=config,
        with_tags=["high", "noise"],
        **chosen,
    )
    assert tracks.tids == ["TRTR00003"]
    assert tracks.truth.tolist() == [[True, False]]  # 3: low and high
    with pytest.raises(UsageError, match="tags.with names 'rock': allowed are the data set's"):
        datasets(spec.shards("train"), spec, with_tags=["rock"])
    with pytest.raises(UsageError, match=r'datasets: tags.merge is \["low", "high"\]: allowed is'):
        datasets(spec.shards("train"), spec, merge_tags=["low", "high"])
    with pytest.raises(UsageError, match=r"which is \(True, False\): allowed are 3 bools"):
        datasets(spec.shards("train"), spec, which=(True, False))


def test_a_job_knows_its_tracks_even_if_the_batches_were_changed(tone_set, tmp_path):
    spec = read_dataset(tone_set)
    config = fill(read_config(None, [*SETTINGS, "epochs=1", "top=2"]), spec)
    batches, tracks = datasets(
        spec.shards("train"), spec, which=(True, True, False), config=config,
        with_tags=["high"], without_tids=["TRTR00000"],
    )  # fmt: skip
    louder = batches.map(lambda windows, tags: (2 * windows, tags))
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    model = train(louder, tracks, config, strategy, str(tmp_path / "job"))
    assert model.output_shape == (None, 1)
    written = read_config(str(tmp_path / "job" / "config.json"))
    assert (written.tags.top, written.tags.with_) == (None, ["high"])
    assert written.training.without_tids == ["TRTR00000"] and written.training.epochs == 1


def test_windows_of_ones_own_are_tracks():
    windows = np.arange(20, dtype=np.float32).reshape(5, 4)
    tags = np.eye(5, 3, dtype=np.float32)
    tracks = window_tracks(tf.data.Dataset.from_tensor_slices((windows, tags)).batch(2))
    assert tracks.truth.tolist() == (tags > 0).tolist()
    found = np.concatenate(list(tracks.windows.as_numpy_iterator()))
    assert found.tolist() == windows.tolist() == tracks.average(found).tolist()


@given(
    st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any),
    st.integers(0, 30),
)
def test_shards_are_dealt_by_share(split, more):
    parts = sum(share > 0 for share in split)
    names = [f"shard-{k:03d}" for k in range(parts + more)]
    dealt = split_shards(names[::-1], split)
    assert sum(dealt, []) == names
    assert [bool(files) for files in dealt] == [share > 0 for share in split]
    exact = [share / sum(split) * len(names) for share in split]
    if min(share for share in exact if share) >= 1:
        assert all(
            abs(len(files) - share) < 1.01 for files, share in zip(dealt, exact, strict=True)
        )


@pytest.mark.parametrize(
    ("shards", "split", "message"),
    [
        (["a"], (1, 1, 0), r"split is \(1, 1, 0\): allowed with 1 shards are as many parts"),
        (["a", "a"], (1, 1, 0), "shards name a file twice"),
        (["a"], (0, 0, 0), "allowed are 3 numbers from 0, not all of them 0"),
        (["a", "b"], (1, 1), "allowed are 3 numbers from 0"),
        (["a", "b"], (1, -1, 1), "allowed are 3 numbers from 0"),
    ],
)
def test_a_split_that_does_not_work_is_said(shards, split, message):
    with pytest.raises(UsageError, match=message):
        split_shards(shards, split)

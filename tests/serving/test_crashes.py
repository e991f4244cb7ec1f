"""Kills and power cuts of predictions at counted points: the same rows follow."""

import os
import random

import numpy as np
import pytest
import soundfile

from schemas.audio_spec import WAVEFORM
from tests.helpers.crashes import Crashes

PREDICT = "serving.predict"


@pytest.fixture(scope="module")
def crashes():
    server = Crashes(PREDICT)
    yield server
    server.close()


def test_predictions(crashes, small_models, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    for number in range(12):
        samples = 0.1 * np.random.default_rng(number).normal(size=9000)
        soundfile.write(music / f"{number}.wav", samples, 2000)

    def options(root):
        model = ["--model", small_models[WAVEFORM], "--direct_num_workers", 1]
        return [*model, "--input", music, "--output", root / "rows.jsonl"]

    whole = tmp_path / "whole"
    ended = crashes.run(PREDICT, options(whole), whole)
    assert ended["code"] == 0, ended["err"]
    changes, rows = int(ended["changes"]), (whole / "rows.jsonl").read_bytes()
    assert changes > 30
    dice, root = random.Random(0), tmp_path / "killed"
    for k in range(3):
        at = dice.randint(1, changes)
        assert crashes.run(PREDICT, options(root), root, at=at, seed=k or None)["code"] <= 0
    assert crashes.run(PREDICT, options(root), root)["code"] == 0
    assert (root / "rows.jsonl").read_bytes() == rows
    assert sorted(os.listdir(root)) == ["rows.jsonl", "tmp"] and os.listdir(root / "tmp") == []

"""What is said of a data set before a training, and of a model after it."""

import numpy as np
import pytest

from schemas.audio_spec import LOG_MEL
from tests.helpers.datasets import SMALL, TONES, spectrograms, tones, write_dataset
from trainer import evaluate, task
from trainer.evaluation.notes import skill_notes, tag_notes, window_notes


def test_tags_that_cannot_be_learnt_or_judged_are_named():
    tags = np.zeros((8, 4))
    tags[:, 0], tags[:3, 1], tags[:5, 2] = 1, 1, 1
    assert tag_notes("validation", ["all", "few", "good", "none"], tags, 8) == [
        "none of the validation tracks has none",
        "all of the validation tracks have all",
        "fewer than 5 of the validation tracks have few (3)",
    ]
    assert tag_notes("train", ["good"], tags[:, 2:3], 9) == []
    assert tag_notes("train", ["few"], tags[:, 1:2], 9000) == [
        "fewer than 5 of the first 8 train tracks have few (3)"
    ]
    assert tag_notes("train", ["all"], np.ones((2, 1)), 2) == ["all of the train tracks have all"]


def test_windows_longer_than_most_clips_are_said_with_the_share_of_padding():
    assert window_notes(2, np.array([100, 50, 50]), 100) == [
        "the window of 2 s is longer than 67 % of the training clips: 33 % of what the model "
        "sees is padding"
    ]
    assert window_notes(2, np.array([100, 100, 50, 50]), 100) == []


def test_a_model_is_no_better_than_frequencies_if_chance_lies_in_its_interval():
    rng = np.random.default_rng(0)
    truth = rng.random((60, 3)) < 0.3
    guess = rng.random((60, 3))
    [note] = skill_notes("test", truth, guess)
    assert note.startswith("on the test tracks the model is no better than the tags' frequencies")
    assert note.endswith("; 0.5 is chance")
    assert skill_notes("test", truth, truth + guess) == []
    assert skill_notes("test", truth, np.full((60, 3), 0.3)) != []
    [nothing] = skill_notes("test", truth[:0], guess[:0])
    assert nothing.startswith("no tag has both tracks with it and without it among the test")


@pytest.fixture(scope="module")
def poor_set(tmp_path_factory):
    """Two more tags, one that no track has and one that two have; clips of half a second."""
    parts = {
        part: [
            (tid, audio, [*tags, 0, int(k in (3, 4))])
            for k, (tid, audio, tags) in enumerate(
                spectrograms(tones(number, 0.5, prefix=part[:2].upper()))
            )
        ]
        for part, number in (("train", 24), ("validation", 8), ("test", 8))
    }
    folder = tmp_path_factory.mktemp("poor")
    return write_dataset(folder, parts, [*TONES, "never", "rare"], SMALL, LOG_MEL)


def test_a_training_is_honest_before_and_after(poor_set, tmp_path, capsys):
    argv = ["--dataset", poor_set, "--job_dir", str(tmp_path / "job"), "--epochs", "1", "--set"]
    argv += ["window_seconds=1", "n_filters=1", "n_dense=8", "learning_rate=1e-7"]
    assert task.main(argv) == 0
    said = capsys.readouterr().out
    before, after = said.split("epoch 1/1")
    assert [line for line in before.splitlines() if line.startswith("note: ")] == [
        "note: none of the train tracks has never",
        "note: fewer than 5 of the train tracks have rare (2)",
        "note: the window of 1 s is longer than 100 % of the training clips: 48 % of what the "
        "model sees is padding",
        "note: none of the validation tracks has never",
        "note: fewer than 5 of the validation tracks have low (4), high (4), noise (4), rare (2)",
    ]
    no_better = "tracks the model is no better than the tags' frequencies: macro ROC-AUC "
    assert f"note: on the validation {no_better}" in after
    argv = ["--dataset", poor_set, "--model", str(tmp_path / "job"), "--resamples", "0"]
    assert evaluate.main(argv) == 0
    assert f"note: on the test {no_better}" in capsys.readouterr().out


def test_without_validation_that_is_said(tmp_path, capsys):
    rows = spectrograms(tones(8))
    data = write_dataset(tmp_path / "data", {"train": rows}, list(TONES), SMALL, LOG_MEL)
    argv = ["--dataset", data, "--job_dir", str(tmp_path / "job"), "--epochs", "1", "--set"]
    assert task.main([*argv, "window_seconds=1", "n_filters=1", "n_dense=8"]) == 0
    said = capsys.readouterr().out
    assert "note: there are no validation tracks: the last epoch counts as the best, and no" in said
    assert "no better" not in said and "padding" not in said

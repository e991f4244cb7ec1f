"""A training that has ended goes on for more epochs, as if they had been asked for at once."""

import json

import numpy as np
import pytest

from schemas.common.errors import UsageError
from tests.helpers.tones import SETTINGS, curve
from trainer import task
from trainer.tagger.clip_tagger import read_checkpoint


def run(data, job_dir, epochs, *settings, resume=True):
    argv = ["--dataset", data, "--job_dir", job_dir, "--epochs", epochs]
    argv += ["--resume"] if resume else []
    return task.main([*map(str, argv), "--set", *SETTINGS, *settings])


def weights(job_dir):
    return read_checkpoint(str(job_dir / "checkpoints" / "epoch-04.keras")).get_weights()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(["schedule=triangular", "cycle_epochs=3"], marks=pytest.mark.slow),
        ["schedule=constant"],
    ],
)
def test_two_epochs_and_then_two_are_four(data, tmp_path, settings, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(data, whole, 4, *settings, resume=False)
    run(data, parts, 2, *settings)
    assert json.loads((parts / "metrics.json").read_text())["last"]["epoch"] == 2
    capsys.readouterr()
    run(data, parts, 4, *settings)
    assert "goes on after epoch 2" in capsys.readouterr().out
    np.testing.assert_allclose(curve(parts), curve(whole), rtol=1e-5)
    for one, other in zip(weights(parts), weights(whole), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert json.loads((parts / "config.json").read_text())["model-training"]["epochs"] == 4
    assert json.loads((parts / "metrics.json").read_text())["last"]["epoch"] == 4
    run(data, parts, 4, *settings)
    assert "the training has ended already" in capsys.readouterr().out
    with pytest.raises(UsageError, match="epochs is 3: allowed with --resume .*, 4, or more$"):
        run(data, parts, 3, *settings)


def test_what_cannot_be_lengthened_is_one_line(data, tmp_path):
    run(data, tmp_path / "cycle", 1)
    message = (
        "epochs is 2: allowed with --resume is what the job in .* began with, 1; the schedule "
        "one-cycle ends with them, of those that can go on there are constant, plateau, triangular$"
    )
    with pytest.raises(UsageError, match=message):
        run(data, tmp_path / "cycle", 2)
    run(data, tmp_path / "old", 1, "schedule=constant")
    (tmp_path / "old" / "checkpoints" / "state.npz").unlink()  # as earlier versions did
    with pytest.raises(UsageError, match="has ended and keeps no state: an earlier version"):
        run(data, tmp_path / "old", 2, "schedule=constant")
    assert (tmp_path / "old" / "metrics.json").exists()

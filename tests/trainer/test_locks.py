"""Two at once: a job belongs to one training, a data set that is read to no build."""

import errno
import fcntl
import os

import keras
import pytest

from beam_pipelines.dataset.claim import claim
from beam_pipelines.runtime.storage import lock
from schemas.audio_spec import LOG_MEL
from schemas.common.errors import UsageError
from tests.helpers.datasets import tone_dataset
from trainer import evaluate, task

SETTINGS = ["window_seconds=1", "n_filters=1", "n_dense=8", "batch_size=8", "epochs=1"]


def train(dataset, job_dir, *more):
    argv = ["--dataset", dataset, "--job_dir", job_dir, "--frontend", LOG_MEL, *more]
    return task.main([*map(str, argv), "--set", *SETTINGS])


class Intruder(keras.callbacks.Callback):
    """While a training is at work, tries another one in its job, and a build of its data set."""

    places = ("", "")
    met: list[str] = []

    def on_epoch_begin(self, epoch, logs=None):
        dataset, job_dir = self.places
        for more in ("--overwrite", "--resume"):
            with pytest.raises(UsageError) as caught:
                train(dataset, job_dir, more)
            self.met.append(str(caught.value))
        with pytest.raises(UsageError) as caught, claim(dataset, "new", overwrite=True):
            pass
        self.met.append(str(caught.value))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tone_dataset(tmp_path_factory.mktemp("set"), train=8, validation=4, test=4)


def test_others_are_refused_while_a_training_is_at_work(dataset, tmp_path):
    job_dir = tmp_path / "job"
    before = sorted(os.listdir(dataset))
    Intruder.places = dataset, str(job_dir)
    assert train(dataset, job_dir, "--callback", f"{__name__}:Intruder") == 0
    another = f"another training is at work in {job_dir}: choose another directory"
    reading = f"--output: {dataset} is being read, by a training or an evaluation: wait for its end"
    assert Intruder.met == [another, another, f"{reading}, or choose another directory"]
    assert (job_dir / "metrics.json").exists() and sorted(os.listdir(dataset)) == before


def test_a_data_set_that_is_being_written_is_not_read(dataset, tmp_path):
    job_dir = tmp_path / "job"
    with lock(dataset):
        for call in (
            lambda: train(dataset, job_dir),
            lambda: evaluate.main(["--dataset", dataset, "--model", str(job_dir)]),
        ):
            with pytest.raises(UsageError, match="is being written by a build: wait for its end"):
                call()
    assert not job_dir.exists()


def test_where_there_are_no_locks_that_is_said(dataset, monkeypatch, capsys):
    def no_locks(handle, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with lock(dataset):
        pass
    said = capsys.readouterr().err
    assert said == f"note: {dataset} cannot be locked here: see that nobody else uses it\n"

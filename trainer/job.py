"""The job directory: what a training leaves behind.

``config.json`` (resolved), ``checkpoints/`` (the last epochs and the best), ``logs/``
(TensorBoard), ``epochs.csv``, ``metrics.json`` (the best and the last epoch, once the
training has ended) and ``export/1/`` (the SavedModel of the best epoch).
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from schemas.config import Config

if TYPE_CHECKING:  # a job directory is looked at before TensorFlow's long import
    import keras

CONFIG, CHECKPOINTS, LOGS = "config.json", "checkpoints", "logs"
EPOCHS, METRICS, EXPORT = "epochs.csv", "metrics.json", "export"
BEST = "best"
KEPT_EPOCHS = 3  # a checkpoint holds the optimizer's state too: three times the weights


def job_parts(job_dir: str) -> list[str]:
    """What a job has left in a directory, as paths; empty where no job was."""
    names = (CONFIG, CHECKPOINTS, LOGS, EPOCHS, METRICS, EXPORT)
    paths = [os.path.join(job_dir, name) for name in names]
    return [path for path in paths if os.path.lexists(path)]


def clear_job(job_dir: str) -> None:
    """Remove what a job has left, and nothing else."""
    for path in job_parts(job_dir):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def write_text(path: str, text: str) -> None:
    """Write a file that is there whole or not at all."""
    partial = f"{path}.partial"
    with open(partial, "w", encoding="utf8") as stream:
        stream.write(text)
    os.replace(partial, path)


class Job:
    """Writes down a training epoch by epoch, the same for every loop.

    Parameters
    ----------
    job_dir : str
        Made if it is not there.
    config : Config
        The resolved configuration.
    """

    def __init__(self, job_dir: str, config: Config) -> None:
        self.job_dir = job_dir
        self.best_epoch = 0
        self._best_rank: tuple[int, float] = (-1, 0.0)
        self._rows: list[dict[str, Any]] = []
        os.makedirs(os.path.join(job_dir, CHECKPOINTS), exist_ok=True)
        text = json.dumps(config.to_json(), indent=2, ensure_ascii=False)
        write_text(os.path.join(job_dir, CONFIG), text + "\n")
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(os.path.join(job_dir, LOGS))

    def checkpoint(self, name: str) -> str:
        """Path of the checkpoint `name`: 'best', 'epoch-07'."""
        return os.path.join(self.job_dir, CHECKPOINTS, f"{name}.keras")

    def end_epoch(self, epoch: int, values: dict[str, float | None], model: keras.Model) -> None:
        """Save the model, log the epoch's values and keep the best model apart.

        Parameters
        ----------
        epoch : int
            From 1.
        values : dict
            Scalars of the epoch; None for one that does not exist. The best epoch has
            the highest ``val_macro_pr_auc``, or the lowest ``val_loss`` where that
            does not exist; without validation tracks it is the last.
        model : keras.Model
        """
        path = self.checkpoint(f"epoch-{epoch:02d}")
        partial = os.path.join(os.path.dirname(path), ".partial.keras")
        model.save(partial)
        os.replace(partial, path)
        rank = _rank(epoch, values)
        if rank > self._best_rank:
            self._best_rank, self.best_epoch = rank, epoch
            shutil.copyfile(path, partial)
            os.replace(partial, self.checkpoint(BEST))
        old = self.checkpoint(f"epoch-{epoch - KEPT_EPOCHS:02d}")
        if os.path.exists(old):
            os.remove(old)
        self._log(epoch, values)

    def finish(self) -> None:
        """Write down what the training has come to: ``metrics.json``."""
        best = next(row for row in self._rows if row["epoch"] == self.best_epoch)
        text = json.dumps({"best": best, "last": self._rows[-1]}, indent=2)
        write_text(os.path.join(self.job_dir, METRICS), text + "\n")

    def _log(self, epoch: int, values: dict[str, float | None]) -> None:
        self._rows.append({"epoch": epoch, **values})
        with open(os.path.join(self.job_dir, EPOCHS), "w", newline="", encoding="utf8") as stream:
            table = csv.DictWriter(stream, list(self._rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(self._rows)
        with self._writer.as_default(step=epoch):
            for name, value in values.items():
                if value is not None:
                    self._summary.scalar(name, value)
        self._writer.flush()


def _rank(epoch: int, values: dict[str, float | None]) -> tuple[int, float]:
    """Higher is better; the kinds do not mix in one training, as the tracks stay the same."""
    if values.get("val_macro_pr_auc") is not None:
        return 2, values["val_macro_pr_auc"]
    if values.get("val_loss") is not None:
        return 1, -values["val_loss"]
    return 0, epoch

"""The job directory: what a training leaves behind.

``config.json`` (resolved), ``checkpoints/`` (the last epochs and the best, and the state of
a training that has not ended or can be lengthened), ``logs/`` (TensorBoard), ``epochs.csv``,
``metrics.json`` (the best and the last epoch, once the training has ended) and ``export/``
(the best epoch as a SavedModel, ``1/``, and for LiteRT).
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from schemas.common.errors import UsageError
from schemas.common.files import locked, make_folder, replacing, write_text
from schemas.config import OPEN_SCHEDULES, Config, read_config

_SUFFIX = ".keras"

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


@contextlib.contextmanager
def lock_job(job_dir: str) -> Iterator[None]:
    """Keep a job directory for one training; it is made, and goes again if it stays empty.

    Raises
    ------
    UsageError
        If another training has it.
    """
    make_folder(job_dir)
    try:
        with locked(job_dir, f"another training is at work in {job_dir}: choose another directory"):
            yield
    finally:
        with contextlib.suppress(OSError):  # it holds a job
            os.rmdir(job_dir)


def clear_job(job_dir: str) -> None:
    """Remove what a job has left, and nothing else."""
    for path in job_parts(job_dir):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def checkpoint_file(job_dir: str, name: str) -> str:
    """Path of the checkpoint `name` of a job: 'best', 'epoch-07'."""
    return os.path.join(job_dir, CHECKPOINTS, f"{name}.keras")


def state_file(job_dir: str) -> str:
    """Path of the state of a training that has not ended."""
    return os.path.join(job_dir, CHECKPOINTS, "state.npz")


def lost_file(job_dir: str) -> str | None:
    """A file that a job cannot go on without and does not have, or only empty; None for none."""
    needed = [os.path.join(job_dir, CONFIG)]
    if os.path.isfile(os.path.join(job_dir, EPOCHS)):
        needed.append(checkpoint_file(job_dir, BEST))
        if not os.path.isfile(os.path.join(job_dir, METRICS)):
            needed.append(state_file(job_dir))
    lost = (path for path in needed if not os.path.isfile(path) or not os.path.getsize(path))
    return next(lost, None)


def check_same(config: Config, job_dir: str) -> None:
    """See that a job can go on under a configuration: the one it began with, or more epochs.

    Raises
    ------
    UsageError
        Naming the key that differs.
    """
    begun = read_config(os.path.join(job_dir, CONFIG)).to_json()
    for section, values in config.to_json().items():
        for key, value in values.items():
            if begun[section][key] == value or _can_lengthen(config, job_dir, key):
                continue
            more = ""
            if key == "epochs" and config.training.schedule in OPEN_SCHEDULES:
                more = ", or more"
            elif key == "epochs":
                more = (
                    f"; the schedule {config.training.schedule} ends with them, of those that can "
                    f"go on there are {', '.join(OPEN_SCHEDULES)}"
                )
            raise UsageError(
                f"{section}.{key} is {json.dumps(value)}: allowed with --resume is what the "
                f"job in {job_dir} began with, {json.dumps(begun[section][key])}{more}"
            )


def _can_lengthen(config: Config, job_dir: str, key: str) -> bool:
    begun = read_config(os.path.join(job_dir, CONFIG)).training
    longer = key == "epochs" and config.training.epochs > begun.epochs
    if not longer or config.training.schedule not in OPEN_SCHEDULES:
        return False
    if os.path.isfile(os.path.join(job_dir, METRICS)) and not os.path.isfile(state_file(job_dir)):
        raise UsageError(
            f"{job_dir} has ended and keeps no state: an earlier version wrote it, --init_from "
            "starts another job from its weights"
        )
    return True


def has_ended(config: Config, job_dir: str) -> bool:
    """Whether a job is there whose epochs are all done."""
    if not os.path.isfile(os.path.join(job_dir, METRICS)):
        return False
    return read_config(os.path.join(job_dir, CONFIG)).training.epochs == config.training.epochs


def config_text(config: Config) -> str:
    """What ``config.json`` holds."""
    return json.dumps(config.to_json(), indent=2, ensure_ascii=False) + "\n"


class Job:
    """Writes down a training epoch by epoch, the same for every loop.

    Parameters
    ----------
    job_dir : str
        Made if it is not there.
    config : Config
        The resolved configuration.

    Attributes
    ----------
    rows : list of dict
        The scalars of the epochs so far, with their number, from 1, as ``epoch``;
        None for a scalar that does not exist.
    """

    def __init__(self, job_dir: str, config: Config) -> None:
        self.job_dir = job_dir
        self.rows: list[dict[str, Any]] = []
        self._keeps_state = config.training.schedule in OPEN_SCHEDULES
        os.makedirs(job_dir, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(job_dir, METRICS))  # of an end that is none: before the epochs
        write_text(os.path.join(job_dir, CONFIG), config_text(config))  # the mark of a job: first
        folder = os.path.join(job_dir, CHECKPOINTS)
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            if name.endswith(".tmp"):  # of a training that was killed while it wrote
                os.remove(os.path.join(folder, name))
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(os.path.join(job_dir, LOGS))

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest :func:`rank`, the first of several; 0 before any."""
        ranks = [rank(row) for row in self.rows]
        return ranks.index(max(ranks)) + 1 if ranks else 0

    @property
    def state(self) -> str:
        """Path of the state of a training that has not ended."""
        return state_file(self.job_dir)

    @property
    def has_state(self) -> bool:
        """Whether there is a state to go on from."""
        return os.path.isfile(self.state)

    def write(self, model: keras.Model, per_tag: Sequence[dict[str, Any]] = ()) -> None:
        """Write down the last of the rows; done again, it leaves the same.

        Parameters
        ----------
        model : keras.Model
            As it is after that epoch. Kept are those of the last epochs and the best.
        per_tag : sequence of dict
            ``tag``, ``positives`` and ``pr_auc`` on the validation tracks, for TensorBoard.
        """
        epoch = len(self.rows)
        names = [f"epoch-{epoch:02d}"] + ([BEST] if self.best_epoch == epoch else [])
        with tempfile.TemporaryDirectory() as folder:  # Keras writes to a path, to no stream
            saved = os.path.join(folder, f"model{_SUFFIX}")
            model.save(saved)
            for name in names:
                _copy(saved, checkpoint_file(self.job_dir, name))
        old = checkpoint_file(self.job_dir, f"epoch-{epoch - KEPT_EPOCHS:02d}")
        if os.path.exists(old):
            os.remove(old)
        table = io.StringIO()
        writer = csv.DictWriter(table, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(os.path.join(self.job_dir, EPOCHS), table.getvalue())
        with self._writer.as_default(step=epoch):
            for name, value in self.rows[-1].items():
                if name != "epoch" and value is not None:
                    self._summary.scalar(name, value)
            if per_tag:
                self._summary.text("val_pr_auc_of_tags", _tag_table(per_tag))
        self._writer.flush()

    def log_steps(self, losses: dict[int, float], rates: dict[int, float]) -> None:
        """Show losses and rates after some steps, counted over all epochs, in TensorBoard."""
        for name, values in (("steps/loss", losses), ("steps/learning_rate", rates)):
            with self._writer.as_default():
                for step, value in values.items():
                    self._summary.scalar(name, value, step=step)
        self._writer.flush()

    def finish(self) -> None:
        """Write down what the training has come to, ``metrics.json``.

        Its state goes, unless the schedule lets the training be lengthened.
        """
        figures = {"best": self.rows[self.best_epoch - 1], "last": self.rows[-1]}
        write_text(os.path.join(self.job_dir, METRICS), json.dumps(figures, indent=2) + "\n")
        if self.has_state and not self._keeps_state:
            os.remove(self.state)


def _tag_table(rows: Sequence[dict[str, Any]]) -> str:
    """PR-AUC of tags in Markdown, the most frequent first."""
    lines = ["| tag | positives | PR-AUC |", "|---|---|---|"]
    for row in sorted(rows, key=lambda row: (-row["positives"], row["tag"])):
        area = "-" if row["pr_auc"] is None else f"{row['pr_auc']:.4f}"
        lines.append(f"| {row['tag']} | {row['positives']} | {area} |")
    return "\n".join(lines)


def _copy(source: str, path: str) -> None:
    """Copy a file whole or not at all."""
    with open(source, "rb") as stream, replacing(path) as output:
        shutil.copyfileobj(stream, output)


def rank(row: dict[str, Any]) -> tuple[int, float]:
    """How good an epoch is: higher is better.

    Parameters
    ----------
    row : dict
        Its scalars: the highest ``val_macro_pr_auc`` is the best, or the lowest
        ``val_loss`` where that does not exist; without validation tracks the last epoch.
        The kinds do not mix in one training, as the tracks stay the same.
    """
    if row.get("val_macro_pr_auc") is not None:
        return 2, row["val_macro_pr_auc"]
    if row.get("val_loss") is not None:
        return 1, -row["val_loss"]
    return 0, row["epoch"]


def find_checkpoint(job_dir: str, name: str) -> str:
    """Path of a checkpoint of a job.

    Parameters
    ----------
    job_dir : str
        Directory that trainer.task wrote.
    name : str
        'best', 'epoch-07', …

    Raises
    ------
    UsageError
        If there is none of that name; says which there are.
    """
    folder = os.path.join(job_dir, CHECKPOINTS)
    files = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    names = [file.removesuffix(_SUFFIX) for file in files if file.endswith(_SUFFIX)]
    names = [name for name in names if not name.startswith(".")]
    if not names:
        raise UsageError(f"{job_dir} holds no checkpoints; trainer.task writes them")
    if name not in names:
        raise UsageError(f"{job_dir} has no checkpoint {name!r}: there are {', '.join(names)}")
    return os.path.join(folder, name + _SUFFIX)

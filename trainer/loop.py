"""Training with ``model.fit`` under a distribution strategy."""

from __future__ import annotations

import dataclasses
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from schemas.config import Config
from schemas.errors import RunError, UsageError
from trainer.input import WholeTracks
from trainer.job import BEST, Job
from trainer.metrics import report
from trainer.models import build_model, model_options
from trainer.schedules import learning_rate


def fill_options(config: Config) -> Config:
    """The configuration with the architecture's own options where none were given.

    Raises
    ------
    UsageError
        If no model or no optimizer has the name.
    """
    options = {
        key: value
        for key, value in model_options(config.model.name).items()
        if getattr(config.model, key, None) is None and hasattr(config.model, key)
    }
    make_optimizer(config.training.optimizer, 1e-3)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **options))


def make_optimizer(name: str, rate) -> keras.optimizers.Optimizer:
    """An optimizer of Keras by name, in any case, with a rate or a schedule.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    optimizers = {
        key.lower(): value
        for key, value in vars(keras.optimizers).items()
        if isinstance(value, type)
        and issubclass(value, keras.optimizers.Optimizer)
        and key not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
    }
    if name.lower() not in optimizers:
        raise UsageError(
            f'model-training.optimizer is "{name}": allowed are {", ".join(sorted(optimizers))}'
        )
    return optimizers[name.lower()](learning_rate=rate)


def make_model(config: Config, window: int, n_tags: int, replicas: int = 1) -> keras.Model:
    """The untrained model of a resolved configuration.

    Parameters
    ----------
    config : Config
    window : int
        Samples or frames of a window.
    n_tags : int
        Outputs.
    replicas : int
        On several, batch normalisation takes its statistics over all of them: else
        each would move its own, and the saved copy would be another model than the
        evaluated one.
    """
    training = config.training
    model = build_model(
        config.model.name,
        frontend=config.model.frontend,
        window=window,
        n_mels=config.tfrecords.n_mels,
        n_tags=n_tags,
        **config.model.options,
    )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = training.norm_momentum
            layer.synchronized = replicas > 1
    return model


def start_at_rates(model: keras.Model, rates: np.ndarray) -> None:
    """Let the untrained model give each tag its frequency, nearly whatever it hears.

    A model that starts at one half for every tag spends its first hundreds of steps on
    learning that tags are rare; small data sets do not have many more.

    Parameters
    ----------
    model : keras.Model
        With a sigmoid layer named "scores".
    rates : np.ndarray [targets]
        Share of the training tracks that have each tag.
    """
    layer = model.get_layer("scores")
    kernel, _ = layer.get_weights()
    rates = np.clip(rates, 1e-3, 1 - 1e-3)
    layer.set_weights([0.1 * kernel, np.log(rates / (1 - rates))])


def train(
    batches: tf.data.Dataset,
    tracks: WholeTracks | None,
    config: Config,
    strategy: tf.distribute.Strategy,
    job_dir: str,
    rates: np.ndarray | None = None,
) -> keras.Model:
    """Train a model and write down every epoch in the job directory.

    Parameters
    ----------
    batches : tf.data.Dataset
        Of :func:`trainer.input.training_batches`: all epochs, its cardinality known.
    tracks : WholeTracks, optional
        The validation tracks, scored after every epoch.
    config : Config
        The resolved configuration.
    strategy : tf.distribute.Strategy
        Where the replicas live.
    job_dir : str
        Gets what :class:`trainer.job.Job` writes.
    rates : np.ndarray [targets], optional
        Where the scores start, see :func:`start_at_rates`.

    Returns
    -------
    keras.Model
        The model of the best epoch, outside of the strategy.

    Raises
    ------
    RunError
        If the training diverges.
    """
    training = config.training
    windows, tags = batches.element_spec
    steps = int(batches.cardinality()) // training.epochs
    keras.utils.set_random_seed(training.seed)
    with strategy.scope():
        replicas = strategy.num_replicas_in_sync
        model = make_model(config, windows.shape[1], tags.shape[1], replicas)
        if rates is not None:
            start_at_rates(model, rates)
        rate = learning_rate(training, steps * training.epochs)
        model.compile(
            make_optimizer(training.optimizer, rate), "binary_crossentropy", jit_compile=False
        )
        job = Job(job_dir, config)
        model.fit(
            batches,
            epochs=training.epochs,
            steps_per_epoch=steps,
            verbose=1 if sys.stdout.isatty() else 0,
            callbacks=[EndOfEpoch(job, tracks, training.epochs)],
        )
    job.finish()
    print(f"best epoch: {job.best_epoch}")
    best = make_model(config, windows.shape[1], tags.shape[1])  # apart from the replicas
    best.load_weights(job.checkpoint(BEST))
    return best


class EndOfEpoch(keras.callbacks.Callback):
    """Scores the validation tracks, hands the epoch to the job and says a line about it."""

    def __init__(self, job: Job, tracks: WholeTracks | None, epochs: int) -> None:
        super().__init__()
        self._job, self._tracks, self._epochs = job, tracks, epochs

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs["loss"]):
            raise RunError(
                f"the loss is {logs['loss']} in epoch {epoch + 1}: the training has diverged, "
                "try a lower model-training.learning_rate"
            )
        values = {"loss": float(logs["loss"]), **validate(self.model, self._tracks)}
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        values["learning_rate"] = float(rate)
        self._job.end_epoch(epoch + 1, values, self.model)
        shown = "  ".join(f"{k} {v:.4g}" for k, v in values.items() if v is not None)
        seconds = time.monotonic() - self._started
        print(f"epoch {epoch + 1}/{self._epochs}  {shown}  {seconds:.0f} s", flush=True)


def validate(model: keras.Model, tracks: WholeTracks | None) -> dict[str, float | None]:
    """What an epoch's model does on whole validation tracks.

    Returns
    -------
    dict
        ``val_loss`` (binary cross-entropy of the tracks' mean scores) and macro and
        micro areas; None for an area that does not exist; empty without tracks.
    """
    if tracks is None:
        return {}
    scores = tracks.average(model.predict(tracks.windows, verbose=0))
    result = report(tracks.truth, scores, [""] * scores.shape[1])
    likely = np.clip(np.where(tracks.truth, scores, 1 - scores), 1e-7, 1)
    return {
        "val_loss": float(-np.log(likely).mean()),
        **{
            f"val_{kind}_{area}": result[kind][area]
            for kind in ("macro", "micro")
            for area in ("roc_auc", "pr_auc")
        },
    }

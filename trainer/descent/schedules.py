"""How the learning rate moves over the steps of a training."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from schemas.config import Training

_WARM_UP = 0.3  # share of the steps that a one-cycle schedule rises
_START, _END = 1 / 25, 1e-4  # where it starts and ends, as a share of the highest rate


def learning_rate(
    training: Training, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The rate of a training of `steps` steps, as Keras' optimizers take it.

    Parameters
    ----------
    training : Training
        ``schedule``: 'constant'; 'cosine' (from the rate to zero); 'one-cycle' (a
        linear rise over the first 30 % of the steps, then a cosine to zero);
        'triangular' (up and down in straight lines, see :class:`Triangular`);
        'plateau' (falls with :func:`plateau_rate`).
    steps : int
        Steps of all epochs.

    References
    ----------
    L. N. Smith, N. Topin: "Super-convergence", 2018, arXiv:1708.07120 (one-cycle;
    with the cosine of I. Loshchilov, F. Hutter: "SGDR", arXiv:1608.03983).
    L. N. Smith: "Cyclical learning rates for training neural networks", 2017,
    arXiv:1506.01186 (triangular; advises cycles of 4 to 20 epochs).
    """
    rate = float(training.learning_rate)  # Keras would go on in whole numbers
    cosine = keras.optimizers.schedules.CosineDecay
    if training.schedule in ("constant", "plateau"):
        return rate
    if training.schedule == "cosine":
        return cosine(rate, steps)
    if training.schedule == "triangular":
        cycle = training.cycle_epochs * steps / training.epochs
        return Triangular(rate * training.cycle_floor, rate, cycle)
    rise = max(int(_WARM_UP * steps), 1)
    return cosine(rate * _START, max(steps - rise, 1), _END, warmup_target=rate, warmup_steps=rise)


def plateau_rate(training: Training, ranks: Sequence[tuple[int, float]]) -> float:
    """The rate after some epochs of the schedule 'plateau'.

    Parameters
    ----------
    training : Training
        Each time that ``plateau_patience`` epochs bring nothing better than the best so
        far, the rate is multiplied by ``plateau_factor``.
    ranks : sequence
        How good the epochs were, higher is better; see :func:`trainer.job.directory.rank`.
    """
    rate, waited = float(training.learning_rate), 0
    for epoch, rank in enumerate(ranks):
        waited = 0 if all(rank > before for before in ranks[:epoch]) else waited + 1
        if waited == training.plateau_patience:
            rate, waited = rate * training.plateau_factor, 0
    return rate


@keras.saving.register_keras_serializable("orpheus")
class Triangular(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that moves in straight lines between two values, again and again.

    Parameters
    ----------
    lowest, highest : float
        The rate at the start and in the middle of a cycle.
    cycle : float
        Steps of one rise and fall.
    """

    def __init__(self, lowest: float, highest: float, cycle: float) -> None:
        super().__init__()
        self.lowest, self.highest, self.cycle = lowest, highest, cycle

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        position = keras.ops.cast(step, "float32") / self.cycle
        height = 1 - keras.ops.abs(1 - 2 * (position - keras.ops.floor(position)))
        return self.lowest + (self.highest - self.lowest) * height

    def get_config(self) -> dict[str, float]:
        """What the schedule is made of, for checkpoints."""
        return {"lowest": self.lowest, "highest": self.highest, "cycle": self.cycle}

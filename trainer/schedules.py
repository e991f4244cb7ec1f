"""How the learning rate moves over the steps of a training."""

from __future__ import annotations

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
        linear rise over the first 30 % of the steps, then a cosine to zero).
    steps : int
        Steps of all epochs.

    References
    ----------
    L. N. Smith, N. Topin: "Super-convergence", 2018, arXiv:1708.07120 (one-cycle;
    with the cosine of I. Loshchilov, F. Hutter: "SGDR", arXiv:1608.03983).
    """
    rate = float(training.learning_rate)  # Keras would go on in whole numbers
    cosine = keras.optimizers.schedules.CosineDecay
    if training.schedule == "constant":
        return rate
    if training.schedule == "cosine":
        return cosine(rate, steps)
    rise = max(int(_WARM_UP * steps), 1)
    return cosine(rate * _START, max(steps - rise, 1), _END, warmup_target=rate, warmup_steps=rise)

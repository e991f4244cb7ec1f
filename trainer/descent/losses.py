"""What a training makes small: cross-entropies of tags, with weights where asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

FOCUS = 2.0  # of 'focal': how much less a pair counts that is right already
NEGATIVE_FOCUS, MARGIN = 4.0, 0.05  # of 'asymmetric': the same for tags that are not there


def make_loss(kind: str, weights: np.ndarray | None = None) -> keras.losses.Loss | str:
    """The loss of a training, as ``model.compile`` takes it.

    Parameters
    ----------
    kind : {'bce', 'focal', 'asymmetric'}
        Binary cross-entropy; with pairs that are right already counting less; the same for
        tags that are not there alone, and not at all where their score is under 0.05.
    weights : np.ndarray, float [tags], optional
        How much each tag counts.

    References
    ----------
    T.-Y. Lin et al.: "Focal loss for dense object detection", 2017, arXiv:1708.02002.
    T. Ridnik et al.: "Asymmetric loss for multi-label classification", 2021,
    arXiv:2009.14119 (without focus on the tags that are there).
    """
    if kind == "bce" and weights is None:
        return "binary_crossentropy"  # Keras' own
    return TagLoss(kind, None if weights is None else weights.tolist())


def of_windows(loss: keras.losses.Loss | str) -> Callable:
    """A function of tags and scores, each [batch, tags], that gives the loss of each window."""
    return keras.losses.get(loss) if isinstance(loss, str) else loss.call


@keras.saving.register_keras_serializable("orpheus")
class TagLoss(keras.losses.Loss):
    """See :func:`make_loss`."""

    def __init__(
        self, kind: str, weights: list[float] | None = None, name: str = "tag_loss"
    ) -> None:
        super().__init__(name=name)
        self.kind, self.weights = kind, weights

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Loss of each window [batch], the mean over the tags."""
        least = keras.config.epsilon()
        scores = ops.clip(y_pred, least, 1 - least)
        there, not_there = ops.log(scores), ops.log(1 - scores)
        if self.kind == "focal":
            there *= (1 - scores) ** FOCUS
            not_there *= scores**FOCUS
        elif self.kind == "asymmetric":
            low = ops.maximum(scores - MARGIN, 0)
            not_there = ops.log(1 - low) * low**NEGATIVE_FOCUS
        tags = ops.cast(y_true, scores.dtype)
        losses = -(tags * there + (1 - tags) * not_there)
        if self.weights is not None:
            losses *= ops.convert_to_tensor(self.weights, losses.dtype)
        return ops.mean(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """What the loss is made of, for checkpoints."""
        return {"kind": self.kind, "weights": self.weights, "name": self.name}

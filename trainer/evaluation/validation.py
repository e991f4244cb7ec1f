"""The figures of a validation set."""

from __future__ import annotations

import keras
import numpy as np

from trainer.evaluation.metrics import report
from trainer.input.whole_tracks import WholeTracks


def validate(model: keras.Model, tracks: WholeTracks | None) -> dict[str, float | None]:
    """What a model does on whole validation tracks.

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

"""The figures of a validation set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from trainer.evaluation.metrics import report
from trainer.input.whole_tracks import WholeTracks


def validate(
    model: keras.Model, tracks: WholeTracks | None, names: Sequence[str] = ()
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """What a model does on whole validation tracks.

    Parameters
    ----------
    model : keras.Model
    tracks : WholeTracks, optional
    names : sequence of str
        The tags in the order of the outputs; without names where none are given.

    Returns
    -------
    figures : dict
        ``val_loss`` (binary cross-entropy of the tracks' mean scores, whatever the loss of the
        training) and macro and micro areas; None for an area that does not exist; empty
        without tracks.
    per_tag : list of dict
        As :func:`trainer.evaluation.metrics.report` gives it; empty without tracks.
    """
    if tracks is None:
        return {}, []
    scores = track_scores(model, tracks)
    result = report(tracks.truth, scores, names or [""] * scores.shape[1])
    likely = np.clip(np.where(tracks.truth, scores, 1 - scores), 1e-7, 1)
    figures = {
        "val_loss": float(-np.log(likely).mean()),
        **{
            f"val_{kind}_{area}": result[kind][area]
            for kind in ("macro", "micro")
            for area in ("roc_auc", "pr_auc")
        },
    }
    return figures, result["per_tag"]


def track_scores(model: keras.Model, tracks: WholeTracks) -> np.ndarray:
    """Scores of whole tracks, the mean over their windows: float [tracks, tags]."""
    return tracks.average(model.predict(tracks.windows, verbose=0))

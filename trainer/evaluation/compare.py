"""The report of a model, and of two on the same tracks."""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.common.arguments import AUTO
from schemas.common.errors import UsageError
from trainer.evaluation.bootstrap import (
    AREAS,
    MEANS,
    RESAMPLES,
    difference,
    draw,
    intervals,
    resample,
)
from trainer.evaluation.decisions import FIXED, calibration, decision_report
from trainer.evaluation.metrics import report
from trainer.evaluation.scoring import Scored


def figures(scored: Scored, resamples: int = RESAMPLES) -> dict[str, Any]:
    """What :func:`trainer.evaluation.metrics.report` says, and what decisions come to.

    Returns
    -------
    dict
        Also ``intervals``, where asked for; ``decisions``, a
        :func:`trainer.evaluation.decisions.decision_report` at each fixed threshold and as
        ``auto`` at the model's own, if it has some; ``calibration``.
    """
    truth, scores = scored.columns(scored.known)
    result = report(truth, scores, scored.known)
    drawn = draw(len(truth), resamples) if resamples else None
    if drawn is not None:
        result["intervals"] = intervals(resample(truth, scores, drawn), scored.known)
    cuts: dict[str, Any] = {str(cut): cut for cut in FIXED}
    if scored.thresholds is not None:
        own = [scored.thresholds[scored.labels.index(tag)] for tag in scored.known]
        cuts = {AUTO: own, **cuts}
    result["decisions"] = {
        name: decision_report(truth, scores, cut, scored.known, drawn) for name, cut in cuts.items()
    }
    result["calibration"] = calibration(truth, scores)
    return result


def compare(scored: Scored, other: Scored, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Two models on the same tracks, over the tags that mean the same to both.

    Returns
    -------
    dict
        ``tags``; ``macro``, ``macro_min_positives`` and ``micro``, each with ``this``,
        ``other``, ``difference`` (this less other) and, where asked for, its
        ``interval``, all by area.

    Raises
    ------
    UsageError
        If no tag means the same to both.
    """
    tags = [
        tag
        for tag in scored.known
        if tag in other.known and np.array_equal(scored.columns([tag])[0], other.columns([tag])[0])
    ]
    if not tags:
        raise UsageError("the two models have no tag in common")
    truth, ours = scored.columns(tags)
    theirs = other.columns(tags)[1]
    this, that = report(truth, ours, tags), report(truth, theirs, tags)
    result: dict[str, Any] = {"tags": tags}
    for mean in MEANS:
        pairs = {area: (this[mean][area], that[mean][area]) for area in AREAS}
        result[mean] = {
            "this": {area: pair[0] for area, pair in pairs.items()},
            "other": {area: pair[1] for area, pair in pairs.items()},
            "difference": {
                area: None if None in pair else pair[0] - pair[1] for area, pair in pairs.items()
            },
        }
    if resamples:
        limits = difference(truth, ours, theirs, draw(len(truth), resamples))
        for mean in MEANS:
            result[mean]["interval"] = limits[mean]
    return result

"""From which score on a track has a tag: learnt on the validation tracks, tag by tag."""

from __future__ import annotations

import numpy as np

from trainer.evaluation.metrics import MIN_POSITIVES, score_curve

NEVER = 1.0  # a threshold that hardly any score reaches


def learn_thresholds(
    truth: np.ndarray, scores: np.ndarray, precision: float | None = None
) -> list[float]:
    """The threshold of each tag.

    Parameters
    ----------
    truth : np.ndarray [tracks, tags]
        Multi-hot, of validation tracks.
    scores : np.ndarray, float [tracks, tags]
    precision : float, optional
        That each tag is wanted with; the best F1 by default.

    Returns
    -------
    list of float [tags]
        Exact in float32. Tags with fewer than five positives, of which thresholds of their
        own would say little, share one, see :func:`shared_threshold`.
    """
    truth, scores = np.asarray(truth) > 0, np.asarray(scores, np.float32)
    positives = truth.sum(axis=0)
    few, enough = positives < MIN_POSITIVES, positives >= MIN_POSITIVES
    seen = few & (positives > 0)
    chosen = seen if seen.any() else enough
    shared = shared_threshold(truth[:, chosen], scores[:, chosen], precision)
    return [
        best_threshold(truth[:, tag], scores[:, tag], precision) if enough[tag] else shared
        for tag in range(truth.shape[1])
    ]


def shared_threshold(
    truth: np.ndarray, scores: np.ndarray, precision: float | None = None
) -> float:
    """The threshold with the best mean F1 of several tags, or a wanted precision of all pairs.

    Parameters and result as in :func:`best_threshold`, truth and scores [tracks, tags], each
    tag with a positive; `NEVER` without tags.
    """
    if not truth.size:
        return NEVER
    if precision is not None:
        return best_threshold(truth.ravel(), scores.ravel(), precision)
    positives = truth.sum(axis=0)
    candidates = np.unique(scores[truth])[::-1]  # the best lies at the score of a positive
    means = [
        np.mean(2 * (truth & decided).sum(axis=0) / (decided.sum(axis=0) + positives))
        for decided in (scores >= candidate for candidate in candidates)
    ]
    return _under(candidates[int(np.argmax(means))], scores)


def best_threshold(truth: np.ndarray, scores: np.ndarray, precision: float | None = None) -> float:
    """The threshold with the best F1, or with the most hits at a wanted precision.

    Parameters
    ----------
    truth : np.ndarray, bool [n]
        At least one is true.
    scores : np.ndarray, float32 [n]
    precision : float, optional

    Returns
    -------
    float
        In the middle between two scores, so that rounding decides nothing; the highest of
        several that are equally good. `NEVER` where the precision is not reached.
    """
    hits, misses = (counts[1:] for counts in score_curve(truth, scores))
    if precision is None:
        best = int(np.argmax(2 * hits / (hits + misses + truth.sum())))
    else:
        reached = np.flatnonzero(hits / (hits + misses) >= precision)
        if not len(reached):
            return NEVER
        best = int(reached[-1])
    return _under(np.unique(scores)[::-1][best], scores)


def _under(score: np.float32, scores: np.ndarray) -> float:
    """The middle between a score and the next lower one."""
    lower = np.max(scores, initial=0, where=scores < score)
    middle = np.float32((float(score) + float(lower)) / 2)
    return float(middle if middle > lower else score)

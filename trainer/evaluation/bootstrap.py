"""How far the areas of some tracks would move with other tracks of the same kind.

The tracks are drawn again, with replacement, as often as there are; each draw gives
the areas another value, and the middle 95 % of these are the interval. A draw is a
number of times that each track counts, so that every tag is sorted only once, and
two models are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from trainer.evaluation.metrics import MIN_POSITIVES

AREAS = ("roc_auc", "pr_auc")
MEANS = ("macro", "macro_min_positives", "micro")
RESAMPLES = 1000
_AT_ONCE = 1 << 21  # sums that are held at once: 8 MiB


def draw(n_tracks: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each track counts in each resample.

    Parameters
    ----------
    n_tracks : int
    resamples : int
    seed : int

    Returns
    -------
    np.ndarray, int16 [tracks, resamples]
        Each column sums to `n_tracks`.
    """
    rng = np.random.default_rng(seed)
    counts = np.empty((n_tracks, resamples), np.int16)
    for column in range(resamples):
        drawn = rng.integers(0, n_tracks, n_tracks)
        counts[:, column] = np.bincount(drawn, minlength=n_tracks)
    return counts


def resampled_areas(
    truth: np.ndarray, scores: np.ndarray, counts: np.ndarray, tracks: np.ndarray | None = None
) -> np.ndarray:
    """ROC-AUC and PR-AUC of some items in every resample.

    Parameters
    ----------
    truth : np.ndarray, bool [n]
    scores : np.ndarray, float [n]
        As for :func:`trainer.evaluation.metrics.roc_auc`.
    counts : np.ndarray, int16 [tracks, resamples]
        See :func:`draw`.
    tracks : np.ndarray, int [n], optional
        The track that each item belongs to; by default item k is track k.

    Returns
    -------
    np.ndarray, float64 [resamples, 2]
        Exactly what the two areas of the items, each repeated by its count, are; NaN
        where a resample has one class only.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = -scores[order]
    hits = np.flatnonzero(truth[order])
    # Among the scores that equal a positive's: the last item above them and the last of them.
    above = np.searchsorted(ranked, ranked[hits], "left") - 1
    upto = np.searchsorted(ranked, ranked[hits], "right") - 1
    # The counts are needed there alone, so they are summed over the stretches in between.
    ends = np.unique(np.concatenate([[-1], above, upto, [len(order) - 1]]))
    rows = order if tracks is None else tracks[order]
    stretches = scipy.sparse.csr_array(
        (np.ones(len(rows), np.int32), rows, ends + 1), (len(ends) - 1, len(counts))
    )
    places = [np.searchsorted(ends, each) for each in (above, upto)]
    hit_places = [np.searchsorted(hits, each, "right") for each in (above, upto)]
    step = max(1, _AT_ONCE // len(ends))
    parts = []
    for start in range(0, counts.shape[1], step):
        drawn = counts[:, start : start + step].astype(np.int32, order="C")
        weights = drawn[rows[hits]]
        total, found = _sums(stretches @ drawn), _sums(weights)
        above_all, upto_all = (total[each] for each in places)
        above_hits, upto_hits = (found[each] for each in hit_places)
        misses = (above_all - above_hits + upto_all - upto_hits) / 2  # a tie is half a swap
        n_hits, n_misses = found[-1].astype(float), (total[-1] - found[-1]).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            roc = 1 - (weights * misses).sum(axis=0) / (n_hits * n_misses)
            precision = upto_hits / np.maximum(upto_all, 1)
            pr = (weights * precision).sum(axis=0) / n_hits
        parts.append(np.where((n_hits > 0) & (n_misses > 0), [roc, pr], np.nan).T)
    return np.concatenate(parts)


def _sums(counts: np.ndarray) -> np.ndarray:
    """Running sums down the rows, after a row of zeros."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]), np.int32)
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def resample(truth: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """What :func:`trainer.evaluation.metrics.report` says, in every resample.

    Parameters
    ----------
    truth : np.ndarray [tracks, tags]
        Multi-hot (0 and 1).
    scores : np.ndarray, float [tracks, tags]
    counts : np.ndarray, int16 [tracks, resamples]
        See :func:`draw`.

    Returns
    -------
    dict of np.ndarray
        ``per_tag`` [tags, resamples, 2]; ``macro``, ``macro_min_positives`` and
        ``micro``, each [resamples, 2]. The last axis is ROC-AUC, PR-AUC. The means are
        over the tags that the report's means are over, less those that have one class
        only in a resample.
    """
    truth = np.asarray(truth).astype(bool)
    n_tracks, n_tags = truth.shape
    positives = truth.sum(axis=0)
    both = (positives > 0) & (positives < n_tracks)
    steady = both & (positives >= MIN_POSITIVES)
    per_tag = np.array([resampled_areas(truth[:, k], scores[:, k], counts) for k in range(n_tags)])
    return {
        "per_tag": per_tag,
        "macro": _mean(per_tag[both]),
        "macro_min_positives": _mean(per_tag[steady]),
        "micro": resampled_areas(
            truth.ravel(), scores.ravel(), counts, np.repeat(np.arange(n_tracks), n_tags)
        ),
    }


def _mean(areas: np.ndarray) -> np.ndarray:
    """Mean over the tags that have an area; NaN where none has."""
    exists = ~np.isnan(areas)
    with np.errstate(invalid="ignore"):
        return np.where(exists, areas, 0).sum(axis=0) / exists.sum(axis=0)


def interval(areas: np.ndarray) -> dict[str, list[float] | None]:
    """The middle 95 % of both areas.

    Parameters
    ----------
    areas : np.ndarray [resamples, 2]
        NaN where an area does not exist.

    Returns
    -------
    dict
        ``roc_auc`` and ``pr_auc``, each ``[lower, upper]``; None if it never exists.
    """
    known = [column[~np.isnan(column)] for column in areas.T]
    return {
        name: np.percentile(values, [2.5, 97.5]).tolist() if len(values) else None
        for name, values in zip(AREAS, known, strict=True)
    }


def intervals(resampled: dict[str, np.ndarray], tags: Sequence[str]) -> dict[str, Any]:
    """The 95 % intervals of a whole report, from :func:`resample`."""
    return {
        "resamples": resampled["macro"].shape[0],
        **{mean: interval(resampled[mean]) for mean in MEANS},
        "per_tag": {
            tag: interval(areas) for tag, areas in zip(tags, resampled["per_tag"], strict=True)
        },
    }


def difference(
    truth: np.ndarray, scores: np.ndarray, others: np.ndarray, counts: np.ndarray
) -> dict[str, dict[str, list[float] | None]]:
    """95 % intervals of how much better `scores` are than `others` on the same tracks.

    Parameters as in :func:`resample`; both models count in the same resamples, which
    takes out of the difference what makes a draw easy or hard for both.

    Returns
    -------
    dict
        The means, each as :func:`interval` gives it.
    """
    ours, theirs = (resample(truth, each, counts) for each in (scores, others))
    return {mean: interval(ours[mean] - theirs[mean]) for mean in MEANS}

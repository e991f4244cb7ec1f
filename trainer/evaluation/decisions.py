"""How good decisions are, at thresholds, and how far scores can be taken as probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

FIXED = (0.1, 0.2, 0.5)
BINS = 10
FIGURES = ("precision", "recall", "f1")


def decision_report(
    truth: np.ndarray,
    scores: np.ndarray,
    thresholds: Sequence[float] | float,
    tags: Sequence[str],
    drawn: np.ndarray | None = None,
) -> dict[str, Any]:
    """Precision, recall and F1 of the decisions at thresholds.

    Parameters
    ----------
    truth : np.ndarray [tracks, tags]
        Multi-hot.
    scores : np.ndarray, float [tracks, tags]
    thresholds : sequence of float, or float
        Of each tag, or of all; a track has a tag from that score on.
    tags : sequence of str
    drawn : np.ndarray, int16 [tracks, resamples], optional
        How often each track counts, see :func:`trainer.evaluation.bootstrap.draw`.

    Returns
    -------
    dict
        ``macro`` (the mean over the tags that some track has) and ``micro`` (over all pairs),
        each with precision, recall, f1 and, where resamples are given, ``interval`` of each,
        the middle 95 %; ``per_tag`` with ``threshold``, ``decided`` and the three. What is
        decided for no track has precision 0, as ``sklearn`` has it with zero_division=0; a
        figure that does not exist is None.
    """
    truth = np.asarray(truth) > 0
    limits = np.broadcast_to(np.asarray(thresholds, np.float32), truth.shape[1:])
    decided = np.asarray(scores, np.float32) >= limits
    once = np.ones((len(truth), 1), np.int64)
    per_tag = _figures(*_counts(truth, decided, once))[..., 0]
    seen: np.ndarray = np.any(truth, axis=0)
    result: dict[str, Any] = {
        "per_tag": [
            {
                "tag": tag,
                "threshold": float(limit),
                "decided": int(number),
                **(_named(figures) if has else dict.fromkeys(FIGURES)),
            }
            for tag, limit, number, figures, has in zip(
                tags, limits, decided.sum(axis=0), per_tag.T, seen, strict=True
            )
        ]
    }
    means = _means(truth, decided, once)
    spread = None if drawn is None else _means(truth, decided, drawn)
    for mean in ("macro", "micro"):
        result[mean] = _named(means[mean][:, 0]) if seen.any() else dict.fromkeys(FIGURES)
        if spread is not None and seen.any():
            ends = np.nanpercentile(spread[mean], [2.5, 97.5], axis=1).T.tolist()
            result[mean]["interval"] = dict(zip(FIGURES, ends, strict=True))
    return result


def _counts(
    truth: np.ndarray, decided: np.ndarray, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, decisions and positives of each tag in each resample, float32 [tags, resamples]."""
    weights = drawn.astype(np.float32)  # exact up to 16 million tracks
    hits, decisions, positives = (
        each.T.astype(np.float32) @ weights for each in (truth & decided, decided, truth)
    )
    return hits, decisions, positives


def _figures(hits: np.ndarray, decisions: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Precision, recall and F1, [3, ...]; 0 where there is nothing to divide by."""
    pairs = ((hits, decisions), (hits, positives), (2 * hits, decisions + positives))
    return np.array([above.astype(np.float64) / np.maximum(below, 1) for above, below in pairs])


def _means(truth: np.ndarray, decided: np.ndarray, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Macro and micro figures, each [3, resamples]."""
    counts = _counts(truth, decided, drawn)
    there = counts[2] > 0  # in a resample a tag may be lost
    with np.errstate(invalid="ignore"):
        macro = np.where(there, _figures(*counts), 0.0).sum(axis=1) / there.sum(axis=0)
    sums = (each.sum(axis=0, dtype=np.float64) for each in counts)
    return {"macro": macro, "micro": _figures(*sums)}


def _named(figures: np.ndarray) -> dict[str, Any]:
    return dict(zip(FIGURES, map(float, figures), strict=True))


def calibration(truth: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """How often pairs of a track and a tag are true, by their score.

    Parameters
    ----------
    truth : np.ndarray [tracks, tags]
        Multi-hot.
    scores : np.ndarray, float [tracks, tags]
        From 0 to 1.

    Returns
    -------
    dict
        ``bins``: of ten equally wide ones those with pairs, each with ``pairs``, the mean
        ``score`` and the ``share`` of true ones; ``ece``, the expected calibration error: the
        mean distance of score and share over the pairs. None without pairs.

    References
    ----------
    C. Guo et al.: "On calibration of modern neural networks", 2017, arXiv:1706.04599.
    """
    likely, true = np.asarray(scores, np.float64).ravel(), np.asarray(truth).ravel() > 0
    places = np.minimum((likely * BINS).astype(int), BINS - 1)
    bins = [
        {
            "pairs": int((places == place).sum()),
            "score": float(likely[places == place].mean()),
            "share": float(true[places == place].mean()),
        }
        for place in np.unique(places)
    ]
    distances = [each["pairs"] * abs(each["score"] - each["share"]) for each in bins]
    return {"bins": bins, "ece": sum(distances) / len(likely) if len(likely) else None}


def decision_table(decisions: dict[str, dict[str, Any]]) -> str:
    """The macro and micro figures of several thresholds, as lines for the terminal."""
    head = "  ".join(f"{name:>9}" for name in FIGURES)
    lines = [f"{'decisions at':14}  {'':5}  {head}  F1, 95 %"]
    for name, report in decisions.items():
        for mean in ("macro", "micro"):
            row = report[mean]
            cells = ["-" if row[key] is None else f"{row[key]:.4f}" for key in FIGURES]
            ends = row.get("interval", {}).get("f1")
            between = f"{ends[0]:.4f} - {ends[1]:.4f}" if ends else ""
            text = f"{name if mean == 'macro' else '':14}  {mean}  "
            lines.append(
                (text + "  ".join(f"{cell:>9}" for cell in cells) + f"  {between}").rstrip()
            )
    return "\n".join(lines)

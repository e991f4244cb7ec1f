"""How good the scores of whole tracks are: ROC-AUC and PR-AUC by tag, macro and micro.

The literature takes each tag's area and the mean over tags (macro). One curve over
all tracks x tags (micro) already rewards knowing which tags are frequent, so the two
are never compared, and both stand beside what the tag prior alone would reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.common.errors import RunError

MIN_POSITIVES = 5


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve.

    Parameters
    ----------
    truth : np.ndarray, bool [n]
        Which items have the tag.
    scores : np.ndarray, float [n]
        Higher is more likely; equal scores count as half a swap.

    Returns
    -------
    float
        In [0, 1]; NaN where only one class is present.

    References
    ----------
    Agrees with ``sklearn.metrics.roc_auc_score``.
    """
    hits, misses = score_curve(truth, scores)
    if hits[-1] == 0 or misses[-1] == 0:
        return float("nan")
    return float(np.trapezoid(hits, misses) / (hits[-1] * misses[-1]))


def pr_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Average precision: the step-wise area under precision against recall.

    Parameters and result as in :func:`roc_auc`; agrees with
    ``sklearn.metrics.average_precision_score``.
    """
    hits, misses = score_curve(truth, scores)
    if hits[-1] == 0 or misses[-1] == 0:
        return float("nan")
    precision = hits[1:] / (hits[1:] + misses[1:])
    return float(np.sum(np.diff(hits) * precision) / hits[-1])


def score_curve(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives at or above each distinct score, from the highest, after a zero."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan))
    hits = np.cumsum(truth[order], dtype=np.float64)[ends]
    return np.append(0.0, hits), np.append(0.0, ends + 1 - hits)


def report(truth: np.ndarray, scores: np.ndarray, tags: Sequence[str]) -> dict[str, Any]:
    """Everything that is reported about the scores of some tracks.

    Parameters
    ----------
    truth : np.ndarray [tracks, tags]
        Multi-hot (0 and 1).
    scores : np.ndarray, float [tracks, tags]
        One row a track: the mean over its windows.
    tags : sequence of str
        The columns' names.

    Returns
    -------
    dict
        ``tracks``; ``macro`` (mean over the tags with both classes) and
        ``macro_min_positives`` (over those with at least five positives, steadier on
        small sets), each with roc_auc, pr_auc and the number of tags; ``micro`` (one
        curve over all tracks x tags); ``prior``: what each tag's frequency in these
        very tracks would score; ``one_class``: tags without an area, left out of the
        means; ``per_tag``. An area that does not exist is None.

    Raises
    ------
    RunError
        If a score is not a number: the training has diverged.
    """
    truth = np.asarray(truth).astype(bool)
    scores = np.asarray(scores, np.float64)
    if not np.isfinite(scores).all():
        raise RunError("the model gives scores that are not numbers: its training has diverged")
    positives = truth.sum(axis=0)
    prior = positives / max(len(truth), 1)
    areas = np.array(
        [[f(truth[:, k], scores[:, k]) for f in (roc_auc, pr_auc)] for k in range(len(tags))]
    ).reshape(len(tags), 2)
    both = (positives > 0) & (positives < len(truth))
    steady = both & (positives >= MIN_POSITIVES)
    constant = np.broadcast_to(prior, scores.shape)
    return {
        "tracks": len(truth),
        "macro": _mean(areas, both),
        "macro_min_positives": {"min_positives": MIN_POSITIVES, **_mean(areas, steady)},
        "micro": _micro(truth, scores),
        "prior": {
            "macro": _mean(np.column_stack([np.full(len(tags), 0.5), prior]), both),
            "micro": _micro(truth, constant),
        },
        "one_class": [tag for tag, has_both in zip(tags, both, strict=True) if not has_both],
        "per_tag": [
            {"tag": tag, "positives": int(n), **_areas(*area), "prior_pr_auc": float(p)}
            for tag, n, area, p in zip(tags, positives, areas, prior, strict=True)
        ],
    }


def _mean(areas: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    means = areas[chosen].mean(axis=0) if chosen.any() else (np.nan, np.nan)
    return {**_areas(*means), "tags": int(chosen.sum())}


def _micro(truth: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    truth, scores = truth.ravel(), scores.ravel()
    return _areas(roc_auc(truth, scores), pr_auc(truth, scores))


def _areas(roc: float, pr: float) -> dict[str, float | None]:
    """The two areas as JSON has them: NaN is no JSON, None is."""
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in (("roc_auc", roc), ("pr_auc", pr))
    }


def table(report: dict[str, Any]) -> str:
    """A report as lines for the terminal, the tags from the most frequent.

    Where it has ``intervals`` (of `bootstrap.py`), they stand beside the areas.
    """
    known = report.get("intervals")
    limits = known or {"per_tag": {}}
    rows = [
        ("macro", report["macro"], limits.get("macro"), f"{report['macro']['tags']} tags"),
        (
            f"macro, {report['macro_min_positives']['min_positives']}+ positives",
            report["macro_min_positives"],
            limits.get("macro_min_positives"),
            f"{report['macro_min_positives']['tags']} tags",
        ),
        ("micro", report["micro"], limits.get("micro"), ""),
        ("prior only, macro", report["prior"]["macro"], None, ""),
        ("prior only, micro", report["prior"]["micro"], None, ""),
    ]
    width = max([24] + [len(row["tag"]) for row in report["per_tag"]])
    gap = f"  {'95 %':^15}" if known else ""
    head = f"  ROC-AUC{gap}   PR-AUC{gap}"
    lines = [f"{report['tracks']:,} tracks".ljust(width) + head.rstrip()]
    for name, areas, limit, note in rows:
        lines.append(f"{name:{width}}  {_row(areas, limit, bool(known))}  {note}".rstrip())
    lines += ["", "tag".ljust(width) + head + "  positives"]
    for row in sorted(report["per_tag"], key=lambda row: (-row["positives"], row["tag"])):
        areas = _row(row, limits["per_tag"].get(row["tag"]), bool(known))
        lines.append(f"{row['tag']:{width}}  {areas}  {row['positives']:9,}")
    if report["one_class"]:
        lines.append(
            f"{len(report['one_class'])} tags with one class only are left out of the means"
        )
    return "\n".join(lines)


def _row(areas: dict[str, Any], limits: dict[str, Any] | None, wide: bool) -> str:
    cells = []
    for area in ("roc_auc", "pr_auc"):
        cells.append("-" if areas[area] is None else f"{areas[area]:.4f}")
        if wide:
            between = (limits or {}).get(area)
            cells.append(f"{between[0]:.4f} - {between[1]:.4f}" if between else " " * 15)
    return "  ".join(f"{cell:>7}" for cell in cells)


def comparison_table(comparison: dict[str, Any]) -> str:
    """What ``trainer.evaluate --compare`` found, as lines for the terminal."""
    lines = [f"{len(comparison['tags'])} tags".ljust(24) + "     this    other  difference  95 %"]
    names = {"macro": "macro", "macro_min_positives": f"macro, {MIN_POSITIVES}+ positives"}
    for mean in ("macro", "macro_min_positives", "micro"):
        for area, title in (("roc_auc", "ROC"), ("pr_auc", "PR")):
            row = comparison[mean]
            values = [row[key][area] for key in ("this", "other")]
            cells = ["-" if value is None else f"{value:.4f}" for value in values]
            moved = row["difference"][area]
            cells.append(f"{'-' if moved is None else f'{moved:+.4f}':>10}")
            limits = row.get("interval", {}).get(area)
            cells.append(f"{limits[0]:+.4f} to {limits[1]:+.4f}" if limits else "")
            name = f"{names.get(mean, mean)} {title}"
            lines.append(f"{name:24}  " + "  ".join(f"{cell:>7}" for cell in cells).rstrip())
    return "\n".join(lines)

"""What a user should know before a training starts, and after it has ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.evaluation.bootstrap import draw, interval, resample
from trainer.evaluation.metrics import MIN_POSITIVES, report

_RESAMPLES = 200  # enough for a yes or no


def tag_notes(part: str, names: Sequence[str], tags: np.ndarray, tracks: int) -> list[str]:
    """Which tags cannot be learnt or judged in a part.

    Parameters
    ----------
    part : {'train', 'validation'}
    names : sequence of str
        The tags that are learnt.
    tags : np.ndarray [seen, tags]
        Multi-hot, of the tracks that were looked at.
    tracks : int
        Tracks of the part.

    Returns
    -------
    list of str
        A sentence for each kind of trouble, with the tags it is about.
    """
    where = (
        f"the {part} tracks" if len(tags) == tracks else f"the first {len(tags):,} {part} tracks"
    )
    counts = (tags > 0).sum(axis=0)
    in_all = (counts == len(tags)) & (counts > 0)
    kinds = {
        f"none of {where} has": counts == 0,
        f"all of {where} have": in_all,
        f"fewer than {MIN_POSITIVES} of {where} have": (counts > 0)
        & (counts < MIN_POSITIVES)
        & ~in_all,
    }
    notes = []
    for kind, chosen in kinds.items():
        named = [
            f"{name} ({count})" if kind.startswith("fewer") else name
            for name, count, is_meant in zip(names, counts, chosen, strict=True)
            if is_meant
        ]
        if named:
            notes.append(f"{kind} {', '.join(named)}")
    return notes


def window_notes(seconds: float, lengths: np.ndarray, needed: int) -> list[str]:
    """Whether most clips are shorter than a window, and how much of it is then padding.

    Parameters
    ----------
    seconds : float
        Length of a window in s.
    lengths : np.ndarray, int [tracks]
        Lengths of clips.
    needed : int
        How long a clip must be to fill a window, in the unit of `lengths`.
    """
    short = lengths < needed
    if not short.mean() > 0.5:
        return []
    padded = np.maximum(needed - lengths, 0).mean() / needed
    return [
        f"the window of {seconds:g} s is longer than {100 * short.mean():.0f} % of the training "
        f"clips: {100 * padded:.0f} % of what the model sees is padding"
    ]


def skill_notes(part: str, truth: np.ndarray, scores: np.ndarray) -> list[str]:
    """Whether scores are no better than the tags' frequencies.

    They are if the 95 % interval of the macro ROC-AUC holds 0.5, which is what the
    frequencies alone would score.

    Parameters
    ----------
    part : {'train', 'validation', 'test'}
        Of which the tracks are.
    truth : np.ndarray [tracks, tags]
        Multi-hot.
    scores : np.ndarray, float [tracks, tags]
    """
    area = report(truth, scores, [""] * truth.shape[1])["macro"]["roc_auc"]
    if area is None:
        return [f"no tag has both tracks with it and without it among the {part} tracks: what the "
                "model has learnt is not known"]  # fmt: skip
    limits = interval(resample(truth, scores, draw(len(truth), _RESAMPLES))["macro"])["roc_auc"]
    if limits is not None and limits[0] > 0.5:
        return []
    between = f", 95 % {limits[0]:.3f} - {limits[1]:.3f}" if limits else ""
    return [
        f"on the {part} tracks the model is no better than the tags' frequencies: macro ROC-AUC "
        f"{area:.3f}{between}; 0.5 is chance"
    ]

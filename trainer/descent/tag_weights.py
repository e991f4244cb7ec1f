"""How much each tag counts in the loss."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence

import numpy as np

from schemas.common.errors import UsageError
from schemas.config import INVERSE, NO_WEIGHTS


def tag_weights(
    given: str, names: Sequence[str], vocabulary: Sequence[str], rates: np.ndarray | None
) -> np.ndarray | None:
    """The weights of ``model-training.tag_weights``.

    Parameters
    ----------
    given : str
        'none'; 'inverse': one over the tag's frequency, the mean over the tags being 1; or
        the path of a CSV file with the columns ``tag`` and ``weight``, where tags that are
        not named have 1.
    names : sequence of str
        The tags that are learnt.
    vocabulary : sequence of str
        The data set's tags, which a file may name.
    rates : np.ndarray [tags], optional
        Share of the training tracks that have each tag.

    Returns
    -------
    np.ndarray, float64 [tags], or None for 'none'

    Raises
    ------
    UsageError
        If the file cannot be read or is no such table, or there are no rates.
    """
    if given == NO_WEIGHTS:
        return None
    if given == INVERSE:
        if rates is None:
            raise UsageError(
                "model-training.tag_weights is inverse: that needs rates, the share of the "
                "training tracks that have each tag"
            )
        seen = rates[rates > 0]
        inverse = 1 / np.maximum(rates, seen.min() if len(seen) else 1.0)
        return inverse / inverse.mean()
    listed = _read(given)
    for tag in listed:
        if tag not in vocabulary:
            raise UsageError(f"{given} names {tag!r}: allowed are the data set's tags")
    weights = np.array([listed.get(name, 1.0) for name in names])
    if not weights.any():
        raise UsageError(f"{given} gives every tag the weight 0: allowed is one above it")
    return weights


def _read(path: str) -> dict[str, float]:
    try:
        with open(path, newline="", encoding="utf8") as stream:
            reader = csv.DictReader(stream)
            rows, columns = list(reader), reader.fieldnames or ()
    except OSError as error:
        raise UsageError(
            f"model-training.tag_weights: {path} cannot be read: {error.strerror}; allowed are "
            f"{NO_WEIGHTS}, {INVERSE} and a CSV file"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV file in UTF-8") from error
    if not {"tag", "weight"} <= set(columns):
        raise UsageError(f"{path}: the columns must be tag and weight")
    weights: dict[str, float] = {}
    for line, row in enumerate(rows, start=2):
        tag, text = row["tag"], row["weight"]
        try:
            weight = float(text)
        except (TypeError, ValueError):  # None where the line ends early
            weight = -1.0
        if not 0 <= weight < math.inf:
            raise UsageError(f"{path}, line {line}: the weight {text!r} is no number from 0")
        if tag in weights:
            raise UsageError(f"{path}, line {line}: {tag!r} is there twice")
        weights[tag] = weight
    return weights

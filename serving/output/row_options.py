"""Options for what a row holds."""

from __future__ import annotations

import argparse

from schemas.common.arguments import AUTO, positive, positive_int, share_or_auto
from schemas.common.errors import UsageError
from schemas.saved_model import ModelInfo


def add_row_options(parser: argparse.ArgumentParser) -> None:
    """Options for what a row holds, and which files get one with tags."""
    add_threshold(parser)
    parser.add_argument(
        "--top", type=positive_int, help="leave out all but so many best tags of a file"
    )
    parser.add_argument(
        "--taggram", action="store_true", help="add each window's scores and start to the rows"
    )
    parser.add_argument(
        "--embeddings",
        action="store_true",
        help="add the features under the output layer to the rows",
    )
    parser.add_argument(
        "--max_seconds",
        type=positive,
        help="refuse files with more s of audio than that; without it none",
    )


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """The option for a lowest score."""
    parser.add_argument(
        "--threshold",
        type=share_or_auto,
        metavar=f"SCORE or {AUTO}",
        help=f"leave out tags with a lower score; {AUTO}: than each tag's own threshold, which "
        "the training has learnt",
    )


def lowest_scores(threshold: float | str | None, info: ModelInfo) -> float | list[float] | None:
    """What ``--threshold`` means for a model.

    Returns
    -------
    float, list of float [labels] or None

    Raises
    ------
    UsageError
        If the model has no thresholds of its own and they are asked for.
    """
    if threshold != AUTO:
        return None if threshold is None else float(threshold)
    if info.thresholds is None:
        raise UsageError(
            f"--threshold {AUTO}: the model has no thresholds, for it was trained without "
            "validation tracks or by an earlier version; trainer.export --dataset learns them"
        )
    return info.thresholds


def check_row_options(options: argparse.Namespace) -> None:
    """See that the options for rows fit together.

    Raises
    ------
    UsageError
    """
    if (options.taggram or options.embeddings) and not options.output:
        raise UsageError("--taggram and --embeddings add to the rows of --output, which is missing")

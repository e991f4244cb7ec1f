"""Options for what a row holds."""

from __future__ import annotations

import argparse

from schemas.common.errors import UsageError


def add_row_options(parser: argparse.ArgumentParser) -> None:
    """Options for what a row holds."""
    parser.add_argument("--threshold", type=float, help="leave out tags with a lower score")
    parser.add_argument("--top", type=int, help="leave out all but so many best tags of a file")
    parser.add_argument(
        "--taggram", action="store_true", help="add each window's scores and start to the rows"
    )
    parser.add_argument(
        "--embeddings",
        action="store_true",
        help="add the features under the output layer to the rows",
    )


def check_row_options(options: argparse.Namespace) -> None:
    """See that the options for rows fit together.

    Raises
    ------
    UsageError
    """
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise UsageError(f"--threshold is {options.threshold}: scores lie between 0 and 1")
    if options.top is not None and options.top < 1:
        raise UsageError(f"--top is {options.top}: it must be 1 or more")
    if (options.taggram or options.embeddings) and not options.output:
        raise UsageError("--taggram and --embeddings add to the rows of --output, which is missing")

"""Options for what a row holds."""

from __future__ import annotations

import argparse

from schemas.common.arguments import positive, positive_int, share
from schemas.common.errors import UsageError


def add_row_options(parser: argparse.ArgumentParser) -> None:
    """Options for what a row holds, and which files get one with tags."""
    parser.add_argument("--threshold", type=share, help="leave out tags with a lower score")
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


def check_row_options(options: argparse.Namespace) -> None:
    """See that the options for rows fit together.

    Raises
    ------
    UsageError
    """
    if (options.taggram or options.embeddings) and not options.output:
        raise UsageError("--taggram and --embeddings add to the rows of --output, which is missing")

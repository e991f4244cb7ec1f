"""Files that were there and could not be read, and how many of them a run puts up with."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterable

import pyarrow as pa

from beam_pipelines.runtime.patience import PASSING
from schemas.common.arguments import percentile
from schemas.common.errors import RunError, UsageError
from schemas.rejects import FILE, Reason


def add_input_options(group: argparse._ActionsContainer) -> None:
    """Add the options that say what failing and changing inputs mean."""
    group.add_argument(
        "--max_unreadable",
        type=percentile,
        default=1.0,
        metavar="PERCENT",
        help="of the files may fail with a disk's error that can pass (EIO, ESTALE and the like); "
        "with more nothing is finished, and the same command tries those again",
    )
    group.add_argument(
        "--changed",
        choices=("reject", "stop"),
        default="reject",
        help="what becomes of a file that is no more as it was listed: a reject, or the run ends",
    )


def count_unread(rejects: pa.Table) -> collections.Counter[str]:
    """Files whose reading failed with an error that may pass, by its name.

    Parameters
    ----------
    rejects : pa.Table
        Columns kind, reason and detail of :data:`schemas.tables.REJECTS`.
    """
    columns = (rejects[name].to_pylist() for name in ("kind", "reason", "detail"))
    return collections.Counter(
        detail
        for kind, reason, detail in zip(*columns, strict=True)
        if kind == FILE and reason == Reason.UNREADABLE and detail in PASSING
    )


def too_many_unread(
    counts: Iterable[collections.Counter[str]], n_files: int, most: float
) -> RunError | None:
    """The error of a run in which more than `most` percent of the files failed so."""
    total = sum(counts, collections.Counter[str]())
    if total.total() * 100 <= most * n_files:
        return None
    names = ", ".join(f"{name} {n:,}" for name, n in sorted(total.items()))
    return RunError(
        f"{total.total():,} of {n_files:,} files could not be read ({names}), more than "
        f"--max_unreadable {most:g} %: nothing is finished, the same command tries those again"
    )


def changed_error(path: str | None, detail: str) -> UsageError:
    """The error of a run that is to end where an input has changed."""
    return UsageError(
        f"{path} has changed since it was listed ({detail}); --changed reject goes on"
    )

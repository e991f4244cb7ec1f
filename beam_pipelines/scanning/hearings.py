"""How many recordings were decoded by what, and how well."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def count_hearings(tracks: pa.Table) -> dict[str, Any]:
    """How the tracks of a table were decoded.

    Parameters
    ----------
    tracks : pa.Table
        Columns of ``schemas.tables.TRACKS`` or ``SCAN``.

    Returns
    -------
    dict
        ``decoders`` ({name: tracks}); ``cut_short`` and ``one_channel``, tracks whose file ends
        early, and of which one channel was taken alone.
    """
    decoders = collections.Counter[str](tracks["decoder"].to_pylist())
    return {
        "decoders": dict(sorted(decoders.items())),
        "cut_short": pc.sum(pc.greater(tracks["cut_short"], 0)).as_py() or 0,
        "one_channel": len(tracks) - tracks["only_channel"].null_count,
    }


def format_hearings(hearings: Mapping[str, Any]) -> str:
    """What :func:`count_hearings` counted, in a line of words."""
    decoders = ", ".join(f"{name} {n:,}" for name, n in hearings["decoders"].items())
    words = f"decoded by {decoders or 'nothing'}"
    if hearings["cut_short"]:
        words += f"; {hearings['cut_short']:,} cut short (see --max_missing)"
    if hearings["one_channel"]:
        words += f"; {hearings['one_channel']:,} in one channel alone, as the mix cancels out"
    return words

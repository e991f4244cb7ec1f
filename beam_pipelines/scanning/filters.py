"""The audio filters: their options, and what fails them."""

from __future__ import annotations

import argparse
import dataclasses

from beam_pipelines.audio.silence import SilenceStats
from schemas.common.arguments import not_negative, not_negative_int
from schemas.rejects import Reason


@dataclasses.dataclass(frozen=True)
class Limits:
    """The audio filters; each is off at 0.

    Attributes
    ----------
    min_file_size : int
        Bytes; a file must be larger.
    min_effective_length : float
        Shortest ``effective_clip_length`` in s, inclusive.
    max_total_silence : float
        Longest ``mid_silence_length`` in s, inclusive.
    max_silence : float
        Longest ``max_silence_length`` in s, inclusive.
    max_missing : float
        Most s of a file that may be missing, inclusive; see ``cut_short`` of a Hearing.
    """

    min_file_size: int = 0
    min_effective_length: float = 0.0
    max_total_silence: float = 0.0
    max_silence: float = 0.0
    max_missing: float = 0.0


def failed_filter(
    size: int, stats: SilenceStats | None, limits: Limits, cut_short: float = 0.0
) -> Reason | None:
    """The first of the filters that a file does not pass.

    Parameters
    ----------
    size : int
        Bytes.
    stats : SilenceStats or None
        None judges the size alone, before the file is decoded.
    limits : Limits
    cut_short : float
        s that are missing of the file.

    Returns
    -------
    Reason or None
        TOO_SMALL, EFFECTIVE_LENGTH, TOTAL_SILENCE, MAX_SILENCE, CUT_SHORT; None for a file to
        keep.
    """
    if limits.min_file_size and size <= limits.min_file_size:
        return Reason.TOO_SMALL
    if stats is None:
        return None
    if limits.min_effective_length and stats.effective_clip_length < limits.min_effective_length:
        return Reason.EFFECTIVE_LENGTH
    if limits.max_total_silence and stats.mid_silence_length > limits.max_total_silence:
        return Reason.TOTAL_SILENCE
    if limits.max_silence and stats.max_silence_length > limits.max_silence:
        return Reason.MAX_SILENCE
    if limits.max_missing and cut_short > limits.max_missing:
        return Reason.CUT_SHORT
    return None


def failure_detail(
    reason: Reason, stats: SilenceStats | None, limits: Limits, cut_short: float = 0.0
) -> str:
    """What :func:`failed_filter` measured, and the limit, in words for the rejects."""
    if stats is None or reason is Reason.TOO_SMALL:
        return f"not over {limits.min_file_size} bytes"
    if reason is Reason.EFFECTIVE_LENGTH:
        return f"{stats.effective_clip_length:.3f} s, under {limits.min_effective_length} s"
    if reason is Reason.TOTAL_SILENCE:
        return f"{stats.mid_silence_length:.3f} s, over {limits.max_total_silence} s"
    if reason is Reason.CUT_SHORT:
        return f"{cut_short:.3f} s missing, over {limits.max_missing} s"
    return f"{stats.max_silence_length:.3f} s, over {limits.max_silence} s"


def add_filters(group: argparse._ActionsContainer) -> None:
    """Add the audio filters to a parser or a group of one."""
    group.add_argument(
        "--min_file_size", type=not_negative_int, default=0, help="bytes; a file must be larger"
    )
    group.add_argument(
        "--min_effective_length",
        type=not_negative,
        default=0.0,
        help="s from the first to the last sound, at least",
    )
    group.add_argument(
        "--max_total_silence",
        type=not_negative,
        default=0.0,
        help="s of silence between sounds in all, at most",
    )
    group.add_argument(
        "--max_silence", type=not_negative, default=0.0, help="s of one silence, at most"
    )
    group.add_argument(
        "--max_missing",
        type=not_negative,
        default=0.0,
        help="s that a file may be cut short by, at most; half a second and 2%% are never counted",
    )


def read_limits(args: argparse.Namespace) -> Limits:
    """The audio filters that the options describe."""
    return Limits(
        args.min_file_size,
        args.min_effective_length,
        args.max_total_silence,
        args.max_silence,
        args.max_missing,
    )

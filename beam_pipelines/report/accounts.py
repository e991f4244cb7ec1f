"""The accounts: every listed file and every summary row is written once or rejected once."""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from schemas.common.errors import RunError
from schemas.rejects import FILE, SONG, Stage

MEANING = {
    Stage.LIST: "with a good name",
    Stage.JOIN: "one file and one song an id",
    Stage.MISMATCHES: "not a mismatch",
    Stage.TAGS: "with a tag",
    Stage.SPLIT: "in the split",
    Stage.AUDIO: "decoded, with sound",
    Stage.FILTERS: "past the audio filters",
    Stage.COPIES: "one copy a song: written",
}


def count_stages(
    rejects: pa.Table, n_files: int, n_songs: int, upto: Stage = Stage.COPIES
) -> list[dict[str, Any]]:
    """Inputs left after each stage, and why the others went.

    Parameters
    ----------
    rejects : pa.Table
        Columns of ``schemas.tables.REJECTS``.
    n_files, n_songs : int
        What came in.
    upto : Stage
        The last stage that has been run.

    Returns
    -------
    list of dict
        ``stage``, ``files``, ``songs`` left after it, ``reasons`` ({kind: {reason: n}}).
    """
    grouped = rejects.group_by(["kind", "stage", "reason"]).aggregate([([], "count_all")])
    reasons: dict[str, dict[str, dict[str, int]]] = collections.defaultdict(
        lambda: {FILE: {}, SONG: {}}
    )
    for row in sorted(grouped.to_pylist(), key=lambda row: (row["kind"], row["reason"])):
        reasons[row["stage"]][row["kind"]][row["reason"]] = row["count_all"]
    left = {FILE: n_files, SONG: n_songs}
    stages = []
    for stage in Stage:
        for kind in left:
            left[kind] -= sum(reasons[stage.value][kind].values())
        stages.append(
            {
                "stage": stage.value,
                "files": left[FILE],
                "songs": left[SONG],
                "reasons": reasons[stage.value],
            }
        )
        if stage is upto:
            break
    return stages


def check_accounts(stages: Sequence[Mapping[str, Any]], written: int) -> None:
    """Every listed file and every summary row is written once or rejected once.

    Raises
    ------
    RunError
        If the sums differ.
    """
    files, songs = stages[-1]["files"], stages[-1]["songs"]
    if (files, songs) != (written, written):
        raise RunError(
            f"the accounts do not close: {written} tracks written, but the rejects leave "
            f"{files} files and {songs} songs"
        )


def why_none(rejects: pa.Table) -> str:
    """Which reasons took most, and the suffixes of the files that they took.

    Parameters
    ----------
    rejects : pa.Table
        Columns of ``schemas.tables.REJECTS``.

    Returns
    -------
    str
        ``undecodable 12 (.wma 9, .mp3 3), no_audio 4``; the four largest reasons.
    """
    counts = {FILE: collections.Counter[str](), SONG: collections.Counter[str]()}
    suffixes = collections.defaultdict[str, collections.Counter[str]](collections.Counter)
    columns = (rejects[name].to_pylist() for name in ("kind", "reason", "path"))
    for kind, reason, path in zip(*columns, strict=True):
        counts[kind][reason] += 1
        if kind == FILE:
            suffixes[reason][os.path.splitext(path)[1].lower() or "no suffix"] += 1
    worst = _most({**counts[SONG], **counts[FILE]}, 4)
    return ", ".join(
        f"{reason} {n:,}"
        + (f" ({_listed(_most(suffixes[reason], 3))})" if suffixes[reason] else "")
        for reason, n in worst
    )


def _most(counts: Mapping[str, int], n: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]


def _listed(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts)


def format_counts(stages: Sequence[Mapping[str, Any]], listed: Mapping[str, int]) -> str:
    """What was left after each stage and why the others went, as a table of text.

    Parameters
    ----------
    stages : sequence of mapping
        From :func:`count_stages`.
    listed : mapping
        ``files`` and ``songs`` that came in.
    """
    rows = [("listed", listed["files"], listed["songs"], "")]
    for stage in stages:
        reasons = collections.Counter[str]()
        for kind in (FILE, SONG):
            for reason, n in stage["reasons"][kind].items():
                reasons[f"{reason} ({kind}s)"] += n
        gone = ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items()))
        meaning = MEANING[Stage(stage["stage"])]
        rows.append((meaning, stage["files"], stage["songs"], gone))
    lines = [f"{'left after each stage':<32}{'files':>11}{'songs':>11}  gone"]
    lines += [
        f"{name:<32}{files:>11,}{songs:>11,}  {gone}".rstrip() for name, files, songs, gone in rows
    ]
    return "\n".join(lines)

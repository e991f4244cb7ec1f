"""What a run tells its user, and the manifest of itself."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_pipelines.dataset.finish import plan_rejects
from beam_pipelines.report.accounts import count_stages, format_counts
from beam_pipelines.runtime import storage
from beam_pipelines.scanning.hearings import format_hearings
from schemas.audio_files import ignored_line
from schemas.manifest import PARTS
from schemas.rejects import Stage


def format_accounts(data: Mapping[str, Any]) -> str:
    """What was left after each stage, what was passed over, and what has no tag, as text.

    Parameters
    ----------
    data : mapping
        The ``data`` half of a manifest.
    """
    counts = format_counts(data["stages"], data["listed"])
    lines = [counts, ignored_line(data["ignored"])]
    if data["untagged"]:
        lines.append(
            f"planned without a tag: {data['untagged']:,} tracks, negatives of every tag "
            "(--untagged drop leaves them out)"
        )
    if missing := data.get("retagged_from", {}).get("missing"):
        lines.append(f"not in the data set that was retagged: {missing:,} tracks, which stay out")
    return "\n".join(filter(None, lines))


def print_plan(planned: dict[str, Any], work: str) -> None:
    """Print what a plan would write."""
    rejects = plan_rejects(work)
    stages = count_stages(rejects, planned["n_files"], planned["n_songs"], upto=Stage.SPLIT)
    listed = {"files": planned["n_files"], "songs": planned["n_songs"]}
    print(format_accounts(planned | {"stages": stages, "listed": listed}))
    songs = ", ".join(f"{n} {part}" for part, n in planned["planned"].items())
    n_shards, n_tags = len(planned["shards"]), len(planned["vocabulary"])
    print(f"planned: {songs} songs in {n_shards} shards, {n_tags} tags; nothing was written")


def format_end(output: str, data: Mapping[str, Any]) -> str:
    """What a finished data set holds, in words.

    Parameters
    ----------
    output : str
        Its directory.
    data : mapping
        The ``data`` half of its manifest.
    """
    tracks = ", ".join(f"{data['parts'][part]['records']} {part}" for part in PARTS)
    report = storage.join(output, "report.html")
    told = f"{format_accounts(data)}\n{format_hearings(data['hearings'])}"
    return f"{told}\n{output}: {tracks} tracks; look at {report}"


def describe_run(beam_options: PipelineOptions, started: float) -> dict[str, Any]:
    """Who built the data set, when, with what: the half of the manifest that may differ."""
    return {
        "runner": beam_options.view_as(StandardOptions).runner or "DirectRunner",
        "host": platform.node(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }

"""Finish: tables, accounts, manifest and report, from what plan and shards left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from beam_pipelines.dataset import layout
from beam_pipelines.dataset.layout import TRANSFORM, Shard
from beam_pipelines.report.accounts import check_accounts, count_stages, why_none
from beam_pipelines.report.page import render_report
from beam_pipelines.runtime import storage
from beam_pipelines.scanning.hearings import count_hearings
from beam_pipelines.scanning.losses import count_unread, too_many_unread
from schemas import tables
from schemas.audio_spec import AudioSpec
from schemas.common.errors import RunError, UsageError
from schemas.example import AUDIO, TAGS, TID
from schemas.manifest import MANIFEST, PARTS, audio_layout
from schemas.rejects import SONG, Reason

VERSION = 1
_REJECT_ORDER = [(name, "ascending") for name in tables.REJECTS.names]


def read_sides(output: str, work: str, shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """Side tables of all shards, in order; their rows as tables, not as dictionaries of GiB.

    Raises
    ------
    RunError
        If a shard is not finished.
    """
    sides, missing = [], []
    for shard in shards:
        side = layout.read_side(output, work, shard)
        if side is None:
            missing.append(shard.name)
        else:
            sides.append(_compact(side))
    if missing:
        raise RunError(f"{len(missing)} shards are not finished, {missing[0]} first: run it again")
    return sides


def _compact(side: dict[str, Any]) -> dict[str, Any]:
    rows = {
        name: pa.Table.from_pylist(side[name], schema=schema)
        for name, schema in (("tracks", tables.TRACKS), ("rejects", tables.REJECTS))
    }
    return side | rows


def plan_rejects(work: str) -> pa.Table:
    """Rejects of the plan, from the pieces in the work folder."""
    pieces = [
        storage.read_table(storage.join(work, name))
        for name in storage.list_names(work)
        if name.startswith(("rejects-", "dealt-")) and name.endswith(".parquet")
    ]
    return pa.concat_tables([tables.REJECTS.empty_table(), *pieces])


def all_rejects(work: str, sides: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rejects of plan and shards, in one order whatever the order of the work."""
    table = pa.concat_tables([plan_rejects(work), *(side["rejects"] for side in sides)])
    return table.sort_by(_REJECT_ORDER).combine_chunks()


def all_tracks(sides: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Tracks of all shards, in the shards' order."""
    found = (side["tracks"] for side in sides)
    return pa.concat_tables([tables.TRACKS.empty_table(), *found]).combine_chunks()


def count_tags(tracks: pa.Table) -> dict[str, int]:
    """Tracks of each tag that one has."""
    tags = pc.list_flatten(tracks["tags"])
    return {row["values"]: row["counts"] for row in pc.value_counts(tags).to_pylist()}


def merge_moments(sides: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of the features per band, over shards in order."""
    sides = list(sides)
    count = sum(side["moments"]["count"] for side in sides)
    if not count:
        return {"count": 0, "mean": [], "std": []}
    total = np.sum([side["moments"]["total"] for side in sides], axis=0)
    squares = np.sum([side["moments"]["squares"] for side in sides], axis=0)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0)
    return {"count": count, "mean": mean.tolist(), "std": np.sqrt(variance).tolist()}


def feature_schema(n_tags: int) -> str:
    """The examples' features as a tensorflow_metadata schema in text form."""
    schema = schema_pb2.Schema()
    for name, kind, n in ((TID, "BYTES", 1), (AUDIO, "BYTES", 1), (TAGS, "INT", n_tags)):
        feature = schema.feature.add(name=name, type=kind)
        feature.presence.min_fraction = 1.0
        feature.shape.dim.add(size=n)
        if name == TAGS:
            feature.int_domain.min, feature.int_domain.max = 0, 1
    return text_format.MessageToString(schema)


def _parts(shards: Sequence[Shard], sides: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    parts: dict[str, Any] = {part: {"records": 0, "shards": []} for part in PARTS}
    for shard, side in zip(shards, sides, strict=True):
        entry = {"name": shard.name} | {key: side[key] for key in ("records", "bytes", "sha256")}
        parts[shard.part]["shards"].append(entry)
        parts[shard.part]["records"] += side["records"]
    return parts


def _moments(shards: Sequence[Shard], sides: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    of_part: dict[str, list[Mapping[str, Any]]] = {part: [] for part in PARTS}
    for shard, side in zip(shards, sides, strict=True):
        of_part[shard.part].append(side)
    return {part: merge_moments(found) for part, found in of_part.items()}


def _copy_transform(names: Sequence[str], source: str, output: str) -> None:
    storage.delete(storage.join(output, TRANSFORM))  # what a killed run left of it
    for name in names:
        target = storage.join(output, TRANSFORM, *name.split("/"))
        storage.make_folder(target.rsplit("/", 1)[0])
        storage.write_bytes(target, storage.read_bytes(storage.join(source, *name.split("/"))))


def _check_unread(
    work: str,
    shards: Sequence[Shard],
    sides: Sequence[Mapping[str, Any]],
    n_files: int,
    most: float,
) -> None:
    unread = [count_unread(side["rejects"]) for side in sides]
    error = too_many_unread(unread, n_files, most)
    if error is None:
        return
    for shard, counts in zip(shards, unread, strict=True):
        if counts:
            storage.delete(layout.side_path(work, shard.key))
    raise error


def _write_tables(
    output: str, tracks: pa.Table, rejects: pa.Table, data: Mapping[str, Any]
) -> None:
    storage.write_table(storage.join(output, "tracks.parquet"), tracks)
    storage.write_table(storage.join(output, "rejects.parquet"), rejects)
    schema = feature_schema(len(data["vocabulary"]))
    storage.write_bytes(storage.join(output, "schema.pbtxt"), schema.encode())
    storage.write_bytes(storage.join(output, "report.html"), render_report(data, tracks).encode())


def _describe_data(
    plan: Mapping[str, Any],
    audio_format: str,
    spec: AudioSpec,
    sides: Sequence[Mapping[str, Any]],
    written: Mapping[str, int],
    stages: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The manifest's part that the same inputs make the same."""
    shards = [Shard(**shard) for shard in plan["shards"]]
    given = (
        *("plan_id", "split", "ignored", "untagged", "spellings", "ignored_names"),
        *("fingerprints", "options"),
    )
    of_songs = (stage["reasons"][SONG] for stage in stages)
    missing = sum(reasons.get(Reason.NOT_IN_DATASET, 0) for reasons in of_songs)
    before = plan.get("retagged_from")
    return {
        "version": VERSION,
        **{name: plan[name] for name in given},
        **({"retagged_from": {"plan_id": before, "missing": missing}} if before else {}),
        "audio_format": audio_format,
        "audio_spec": spec.to_json(),
        "layout": audio_layout(audio_format, spec),
        "vocabulary": [
            {"tag": tag, "planned": planned, "written": written.get(tag, 0)}
            for tag, planned in plan["vocabulary"]
        ],
        "parts": _parts(shards, sides),
        "listed": {"files": plan["n_files"], "songs": plan["n_songs"]},
        "stages": stages,
        "moments": _moments(shards, sides),
    }


def finish(
    output: str,
    work: str,
    plan: Mapping[str, Any],
    audio_format: str,
    spec: AudioSpec,
    run: Mapping[str, Any],
    max_unreadable: float,
) -> dict[str, Any]:
    """Write everything but the shards; the manifest comes last.

    Parameters
    ----------
    output, work : str
        The data set's directory and its work folder.
    plan : mapping
        The plan, as the build wrote it.
    audio_format, spec
        What the shards hold.
    run : mapping
        Runner, times and versions.
    max_unreadable : float
        Percent of the files that may have failed with an error that can pass.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    RunError
        If a shard is missing, the accounts do not close or too many files were not read: the
        shards that lack them count as unfinished then.
    UsageError
        If not one track was written; then the directory holds nothing of the data set.
    """
    shards = [Shard(**shard) for shard in plan["shards"]]
    sides = read_sides(output, work, shards)
    _check_unread(work, shards, sides, plan["n_files"], max_unreadable)
    tracks = all_tracks(sides)
    rejects = all_rejects(work, sides)
    if not tracks.num_rows:
        layout.delete_data_set(output)
        raise UsageError(f"no track is left, nothing was written: {why_none(rejects)}")
    stages = count_stages(rejects, plan["n_files"], plan["n_songs"])
    check_accounts(stages, tracks.num_rows)
    data = _describe_data(plan, audio_format, spec, sides, count_tags(tracks), stages)
    data["hearings"] = count_hearings(tracks)
    manifest = {"data": data, "run": run}
    _write_tables(output, tracks, rejects, data)
    _copy_transform(plan["transform"], storage.join(work, TRANSFORM), output)
    layout.delete_attempts(output)
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    storage.write_bytes(storage.join(output, MANIFEST), text.encode())
    storage.delete(work)
    return manifest

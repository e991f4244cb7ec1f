"""Who may write into an output directory, and what a killed run left in it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from beam_pipelines.dataset.layout import OWNER, PLAN, TABLES, TRANSFORM, WORK, delete_attempts
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.locks import lock
from schemas.common.errors import UsageError
from schemas.manifest import MANIFEST, PARTS, Dataset, parse_manifest


@dataclasses.dataclass(frozen=True)
class Claim:
    """An output directory that is ours to write.

    Attributes
    ----------
    work : str
        Its work folder.
    plan : dict or None
        The plan that an earlier run made.
    """

    work: str
    plan: dict[str, Any] | None


@contextlib.contextmanager
def claim(output: str, plan_id: str, overwrite: bool) -> Iterator[Claim | Dataset]:
    """Take an output directory for one plan; no second run on this machine gets it.

    Parameters
    ----------
    output : str
        Directory of the data set; made if it is not there.
    plan_id : str
        What is to stand in it.
    overwrite : bool
        Whether another data set in it is deleted (what its manifest or plan names).

    Yields
    ------
    Claim or Dataset
        The claim, or the data set itself if it is finished.

    Raises
    ------
    UsageError
        If the directory holds something else, or another run works on it. A directory
        that was made for this run goes again when the run ends in a UsageError.
    """
    made = storage.is_local(output) and not os.path.exists(output)
    if storage.is_local(output) and os.path.exists(output) and not os.path.isdir(output):
        raise UsageError(f"--output: {output} is a file, not a directory")
    storage.make_folder(output)
    with lock(output):
        # Under the lock, for --overwrite deletes: a running build keeps its files.
        state = _inspect(output, plan_id, overwrite)
        if isinstance(state, Dataset):
            yield state
            return
        try:
            yield _open(output, plan_id)
        except UsageError:
            storage.delete(storage.join(output, WORK))
            if made and not os.listdir(output):
                os.rmdir(output)
            raise


def keep_plan(work: str, plan: Mapping[str, Any]) -> None:
    """Write the finished plan; from now on the planning is not done again."""
    storage.write_bytes(storage.join(work, PLAN), json.dumps(plan).encode())


def keep_folder(local: str, destination: str) -> list[str]:
    """Copy a local folder; returns the relative names of its files, sorted."""
    names = sorted(
        os.path.relpath(os.path.join(folder, name), local).replace(os.sep, "/")
        for folder, _, files in os.walk(local)
        for name in files
    )
    for name in names:
        target = storage.join(destination, *name.split("/"))
        storage.make_folder(target.rsplit("/", 1)[0])
        storage.write_bytes(target, storage.read_bytes(os.path.join(local, name)))
    return names


def _inspect(output: str, plan_id: str, overwrite: bool) -> Dataset | None:
    manifest = storage.join(output, MANIFEST)
    if storage.exists(manifest):
        dataset = parse_manifest(storage.read_bytes(manifest).decode("utf8"), output)
        same = dataset.data["plan_id"] == plan_id
        if same and _is_whole(dataset):
            return dataset
        if not overwrite:
            what = "a damaged copy of this" if same else "another"
            raise UsageError(
                f"--output: {output} holds {what} data set; choose another directory, or "
                "--overwrite to replace it"
            )
        _delete_dataset(dataset)
    work = storage.join(output, WORK)
    owner = storage.join(work, OWNER)
    if storage.exists(owner):
        if json.loads(storage.read_bytes(owner))["plan_id"] != plan_id:
            if not overwrite:
                raise UsageError(
                    f"--output: {output} holds an unfinished data set of other inputs or "
                    "options; choose another directory, or --overwrite to replace it"
                )
            _delete_unfinished(output)
    elif not overwrite and storage.list_names(output):
        raise UsageError(f"--output: {output} is not empty and holds no data set; nothing done")
    return None


def _is_whole(dataset: Dataset) -> bool:
    return all(
        storage.size(storage.join(dataset.path, *shard["name"].split("/"))) == shard["bytes"]
        for part in dataset.parts.values()
        for shard in part["shards"]
    )


def _open(output: str, plan_id: str) -> Claim:
    work = storage.join(output, WORK)
    storage.make_folder(work)
    storage.write_bytes(storage.join(work, OWNER), json.dumps({"plan_id": plan_id}).encode())
    found = storage.join(work, PLAN)
    return Claim(work, json.loads(storage.read_bytes(found)) if storage.exists(found) else None)


def _delete_dataset(dataset: Dataset) -> None:
    names = [shard["name"] for part in dataset.parts.values() for shard in part["shards"]]
    _delete_all(dataset.path, names)


def _delete_unfinished(output: str) -> None:
    plan = storage.join(output, WORK, PLAN)
    names = []
    if storage.exists(plan):
        names = [shard["name"] for shard in json.loads(storage.read_bytes(plan))["shards"]]
    _delete_all(output, names)


def _delete_all(output: str, shards: list[str]) -> None:
    # The manifest first: a directory without one is never taken for a data set.
    for name in (MANIFEST, *shards, *TABLES, TRANSFORM, WORK):
        storage.delete(storage.join(output, *name.split("/")))
    delete_attempts(output)
    if storage.is_local(output):
        for part in PARTS:
            with contextlib.suppress(OSError):  # not there, or holds files that are not ours
                os.rmdir(os.path.join(output, part))

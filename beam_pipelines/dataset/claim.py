"""Who may write into an output directory, and what a killed run left in it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beam_pipelines.dataset import layout
from beam_pipelines.dataset.layout import OWNER, PLAN, TRANSFORM, WORK
from beam_pipelines.runtime import sealed, storage
from schemas.common.errors import UsageError
from schemas.manifest import MANIFEST, Dataset, parse_manifest, read_dataset

_KEPT = (OWNER, "side-")  # when the planning is done again: its halves are no pieces
_PIECES = ("rejects-", "dealt-", "plan-")  # what the planning leaves to write and finish


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
        Whether another data set in it is deleted: its files by their names, nothing else.

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
    with contextlib.ExitStack() as stack:
        finished = _lock(output, plan_id, stack)
        if finished is not None:
            yield finished
            return
        # Under the lock, for --overwrite deletes: a running build keeps its files.
        state = _inspect(output, plan_id, overwrite)
        layout.delete_attempts(output)
        if isinstance(state, Dataset):
            storage.delete(storage.join(output, WORK))  # of a run that was killed at its very end
            yield state
            return
        try:
            yield _open(output, plan_id)
        except UsageError:
            work = storage.join(output, WORK)
            if not layout.has_sides(work):  # finished shards outlive whatever a user can put right
                storage.delete(work)
            if made and not os.listdir(output):
                os.rmdir(output)
            raise


def _lock(output: str, plan_id: str, stack: contextlib.ExitStack) -> Dataset | None:
    """Lock an output for writing; a finished data set that is being read is only looked at."""
    try:
        stack.enter_context(storage.lock(output))
        return None
    except UsageError:
        stack.enter_context(storage.lock(output, shared=True))  # else another run is writing it
    try:
        dataset = read_dataset(output)
        if dataset.data.get("plan_id") == plan_id and _is_whole(dataset):
            return dataset
    except UsageError:
        pass
    raise UsageError(
        f"--output: {output} is being read, by a training or an evaluation: wait for its end, or "
        "choose another directory"
    )


def keep_plan(work: str, plan: Mapping[str, Any]) -> None:
    """Write the finished plan; from now on the planning is not done again."""
    names = [
        n for n in storage.list_names(work) if n.startswith(_PIECES) and n.endswith(".parquet")
    ]
    names += [f"{TRANSFORM}/{name}" for name in plan["transform"]]
    files = dict(zip(names, _checksums(work, names), strict=True))
    sealed.write_json(storage.join(work, PLAN), {**plan, "files": files})


def _checksums(work: str, names: Sequence[str]) -> list[str | None]:
    return storage.sha256_of_each([storage.join(work, *name.split("/")) for name in names])


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
    layout.refuse_links(output)
    if storage.exists(storage.join(output, MANIFEST)):
        dataset = _read_manifest(output, overwrite)
        same = dataset is not None and dataset.data.get("plan_id") == plan_id
        if dataset and same and _is_whole(dataset):
            return dataset
        if not overwrite:
            what = "a damaged copy of this" if same else "another"
            raise UsageError(
                f"--output: {output} holds {what} data set; choose another directory, or "
                "--overwrite to replace it"
            )
        layout.delete_data_set(output)
    _inspect_work(output, plan_id, overwrite)
    return None


def _inspect_work(output: str, plan_id: str, overwrite: bool) -> None:
    """Leave an unfinished data set if it is this plan's; delete, or refuse, another."""
    work = storage.join(output, WORK)
    owners = (sealed.read_json(storage.join(work, name)) for name in (OWNER, PLAN))
    owner = next((found["plan_id"] for found in owners if found), None)
    if owner == plan_id:
        return
    if owner is not None and not overwrite:
        raise UsageError(
            f"--output: {output} holds an unfinished data set of other inputs or options; choose "
            "another directory, or --overwrite to replace it"
        )
    if owner is None and not storage.exists(storage.join(work, OWNER)):
        if not overwrite and not layout.is_unused(output):
            raise UsageError(f"--output: {output} is not empty and holds no data set; nothing done")
        return
    if owner is None:
        print(f"{work} is damaged: the work is done again", file=sys.stderr)
    layout.delete_data_set(output)


def _read_manifest(output: str, overwrite: bool) -> Dataset | None:
    """The manifest; None for one that is damaged and may be replaced."""
    path = storage.join(output, MANIFEST)
    try:
        return parse_manifest(storage.read_text(path, "--output"), output)
    except UsageError as error:
        if not overwrite:
            raise UsageError(f"{error} (--overwrite builds it again)") from error
        if not layout.has_data_set(output):
            raise UsageError(f"{error}; there is no data set beside it, nothing done") from error
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
    sealed.write_json(storage.join(work, OWNER), {"plan_id": plan_id})
    plan = sealed.read_json(storage.join(work, PLAN))
    if plan is not None:
        files = plan["files"]
        if list(files.values()) != _checksums(work, list(files)):
            plan = None
    if plan is None and storage.exists(storage.join(work, PLAN)):
        print(f"the plan in {work} is damaged: it is made again", file=sys.stderr)
    for name in storage.list_names(work):
        if name.endswith(".tmp") or (plan is None and not name.startswith(_KEPT)):
            storage.delete(storage.join(work, name))
    return Claim(work, plan)

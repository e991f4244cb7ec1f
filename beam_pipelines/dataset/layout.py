"""Names of files in a data set and its work folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from typing import Any

from beam_pipelines.runtime import storage
from schemas.common.errors import UsageError
from schemas.common.files import sync_folder
from schemas.manifest import MANIFEST, PARTS, SHARD

WORK = "_work"
OWNER, PLAN = "build.json", "plan.json"
TRANSFORM = "transform"
TABLES = ("tracks.parquet", "rejects.parquet", "schema.pbtxt", "report.html")
_ATTEMPT = re.compile(r"(.+)\.[0-9a-f]+\.tmp")  # what a killed run leaves under no final name


def side_path(work: str, key: str) -> str:
    """Where a shard's side table lies."""
    return storage.join(work, f"side-{key}.json")


def read_side(output: str, work: str, shard: Shard) -> dict[str, Any] | None:
    """The side table of a finished shard, or None where the shard is not finished."""
    path = side_path(work, shard.key)
    if not storage.exists(path):
        return None
    side = json.loads(storage.read_bytes(path))
    agrees = storage.size(storage.join(output, shard.name)) == side["bytes"]
    return side if agrees else None


def refuse_links(output: str) -> None:
    """See that the folders of a data set, as far as they are there, lie under its directory.

    Raises
    ------
    UsageError
        Naming a link that leads elsewhere.
    """
    for name in (*PARTS, TRANSFORM, WORK):
        path = os.path.join(output, name)
        if storage.is_local(output) and os.path.islink(path):
            raise UsageError(f"--output: {path} is a link: a data set must lie in its directory")


def has_data_set(output: str) -> bool:
    """Whether a directory holds shards, or the work folder of a build."""
    shards = (name for part in PARTS for name in storage.list_names(storage.join(output, part)))
    return any(map(SHARD.fullmatch, shards)) or storage.exists(storage.join(output, WORK, OWNER))


def delete_data_set(output: str) -> None:
    """Delete a data set, finished or not, by the names that its files can have."""
    # The manifest first: a directory without one is never taken for a data set.
    storage.delete(storage.join(output, MANIFEST))
    if storage.is_local(output):
        sync_folder(output)
    for part in PARTS:
        folder = storage.join(output, part)
        for name in filter(SHARD.fullmatch, storage.list_names(folder)):
            storage.delete(storage.join(folder, name))
    for name in (*TABLES, TRANSFORM, WORK):
        storage.delete(storage.join(output, name))
    delete_attempts(output)
    if storage.is_local(output):
        for part in PARTS:
            with contextlib.suppress(OSError):  # not there, or holds files that are not ours
                os.rmdir(os.path.join(output, part))


def delete_attempts(output: str) -> None:
    """Delete what killed runs left under temporary names."""
    for folder in (output, *(storage.join(output, part) for part in PARTS)):
        for name in storage.list_names(folder):
            begun = _ATTEMPT.fullmatch(name)
            if begun is None:
                continue
            if SHARD.fullmatch(begun[1]) if folder != output else begun[1] in (MANIFEST, *TABLES):
                storage.delete(storage.join(folder, name))


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file to be written.

    Attributes
    ----------
    name : str
        ``part/format-00000-of-00080.tfrecord``, numbered per part.
    part : str
        train, validation or test.
    planned : int
        Songs dealt to it.
    """

    name: str
    part: str
    planned: int

    @property
    def key(self) -> str:
        """Name of its files in the work folder."""
        return self.name.replace("/", "-").removesuffix(".tfrecord")


def plan_path(folder: str, key: str) -> str:
    """Where a shard's rows lie in the work folder."""
    return storage.join(folder, f"plan-{key}.parquet")

"""Names of files in a data set and its work folder."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Any

from beam_pipelines.runtime import sealed, storage
from schemas.common.errors import UsageError
from schemas.common.files import sync_folder
from schemas.manifest import MANIFEST, PARTS, SHARD

WORK = "_work"
OWNER, PLAN = "build.json", "plan.json"
TRANSFORM = "transform"
CSV_TABLES = ("tracks.csv", "rejects.csv")
TABLES = ("tracks.parquet", "rejects.parquet", "schema.pbtxt", "report.html", *CSV_TABLES)
_ATTEMPT = re.compile(r"(.+)\.[0-9a-f]+\.tmp")  # what a killed run leaves under no final name


def side_path(work: str, key: str) -> str:
    """Where a shard's side table lies."""
    return storage.join(work, f"side-{key}.json")


def read_side(output: str, work: str, shard: Shard) -> dict[str, Any] | None:
    """The side table of a finished shard, or None where the shard is not finished."""
    side: dict[str, Any] | None = sealed.read_json(side_path(work, shard.key))
    if side is None or storage.size(storage.join(output, shard.name)) != side["bytes"]:
        return None
    return side


def delete_damaged(output: str, work: str, shards: Sequence[Shard]) -> list[Shard]:
    """Shards that stand there as finished and are not: their side tables are deleted.

    Every shard that has a side table is read, and its checksum compared.
    """
    names = set(storage.list_names(work))
    begun = [s for s in shards if os.path.basename(side_path(work, s.key)) in names]
    claimed = [_claimed(work, shard) for shard in begun]
    found = storage.sha256_of_each([storage.join(output, shard.name) for shard in begun])
    damaged = [
        shard
        for shard, claim, sha256 in zip(begun, claimed, found, strict=True)
        if claim is None or claim != sha256
    ]
    for shard in damaged:
        storage.delete(side_path(work, shard.key))
    return damaged


def _claimed(work: str, shard: Shard) -> str | None:
    side = sealed.read_json(side_path(work, shard.key))
    return None if side is None else str(side["sha256"])


def has_sides(work: str) -> bool:
    """Whether a work folder knows of finished shards."""
    return any(name.startswith("side-") for name in storage.list_names(work))


def is_unused(output: str) -> bool:
    """Whether a directory is empty, but for a work folder that a build was killed in at once."""
    work = storage.list_names(storage.join(output, WORK))
    others = [name for name in storage.list_names(output) if name != WORK]
    return not others and all(name.startswith(f"{OWNER}.") for name in work)


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

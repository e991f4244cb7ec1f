"""Names of files in a data set and its work folder."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from beam_pipelines.runtime import storage
from schemas.manifest import PARTS

WORK = "_work"
OWNER, PLAN = "build.json", "plan.json"
TRANSFORM = "transform"
TABLES = ("tracks.parquet", "rejects.parquet", "schema.pbtxt", "report.html")


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


def delete_attempts(output: str) -> None:
    """Delete what killed attempts at shards left under temporary names."""
    for part in PARTS:
        folder = storage.join(output, part)
        for name in storage.list_names(folder):
            if ".tfrecord." in name and name.endswith(".tmp"):
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

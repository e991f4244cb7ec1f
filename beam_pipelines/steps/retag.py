"""Write the shards of a data set that gets other tags: records are copied, nothing is decoded."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from beam_pipelines.audio.decode import from_pcm16
from beam_pipelines.dataset.rules import Candidate
from beam_pipelines.dataset.write import Failure, Side, WriteSettings, WriteShard
from beam_pipelines.runtime import storage
from schemas.audio_spec import LOG_MEL
from schemas.common.errors import UsageError
from schemas.example import locate_tids, read_audio
from schemas.manifest import PARTS, Dataset
from schemas.rejects import FILE, Reason, Stage

_RECORDS = pa.schema(
    [
        ("track_id", pa.string()),
        ("shard", pa.string()),
        ("start", pa.int64()),
        ("length", pa.int64()),
    ]
)
_HEARD = (Stage.AUDIO, Stage.FILTERS)  # what a build says of a file once it has decoded it


def index_records(dataset: Dataset) -> pa.Table:
    """Where each track of a data set lies: track_id, shard, start and length of its example.

    Raises
    ------
    UsageError
        If a shard is missing or damaged.
    """
    rows = []
    for part in PARTS:
        for path in dataset.shards(part):
            try:
                rows += [(tid, path, start, size) for tid, start, size in locate_tids(path)]
            except (OSError, ValueError) as error:
                raise UsageError(f"{path} cannot be read: {error}") from error
    return storage.make_table(rows, _RECORDS)


class CopyShard(WriteShard):
    """Copy the audio of the songs of one shard, and give them their tags.

    Parameters
    ----------
    settings : WriteSettings
        Those of the new data set.
    dataset : str
        Directory of the data set that is copied.
    records : str
        Parquet file with the table of :func:`index_records`.
    """

    def __init__(self, settings: WriteSettings, dataset: str, records: str) -> None:
        super().__init__(settings)
        self.dataset, self.records = dataset, records

    def setup(self) -> None:
        """Nothing is decoded: no pool to hold, no filters to build."""

    def teardown(self) -> None:
        pass

    @functools.cached_property
    def places(self) -> Mapping[str, tuple[str, int, int]]:
        """Where each track's record lies."""
        columns = (column.to_pylist() for column in storage.read_table(self.records).columns)
        return {tid: tuple(place) for tid, *place in zip(*columns, strict=True)}

    @functools.cached_property
    def tracks(self) -> Mapping[str, tuple[pa.Table, int]]:
        """The table and the row of each track."""
        table = storage.read_table(storage.join(self.dataset, "tracks.parquet"))
        return {tid: (table, k) for k, tid in enumerate(table["track_id"].to_pylist())}

    @functools.cached_property
    def rejects(self) -> Mapping[str, tuple[str, str, str]]:
        """Stage, reason and detail of each file that was not written."""
        table = storage.read_table(storage.join(self.dataset, "rejects.parquet"))
        columns = (
            table[name].to_pylist() for name in ("kind", "path", "stage", "reason", "detail")
        )
        return {
            path: tuple(about) for kind, path, *about in zip(*columns, strict=True) if kind == FILE
        }

    def record(self, copy: Candidate, side: Side) -> bytes:
        """The record of a copy that the data set has; see :meth:`WriteShard.record`."""
        row = self._row(copy)
        try:
            audio = read_audio(*self.places[copy.track_id])
        except (OSError, ValueError, KeyError) as error:
            raise OSError(f"{self.dataset}: {copy.track_id} cannot be read ({error})") from error
        if self.settings.audio_format == LOG_MEL:
            features = np.frombuffer(audio, "<f4").reshape(-1, self.settings.spec.n_mels)
        else:
            features = from_pcm16(np.frombuffer(audio, "<i2"))[:, np.newaxis]
        side.moments.add(features)
        tags = [self.settings.vocabulary[number] for number in copy.tags]
        side.tracks.append({**row, **copy._asdict(), "shard": side.shard, "tags": tags})
        return self.tagged(copy, audio)

    def _row(self, copy: Candidate) -> dict[str, Any]:
        table, k = self.tracks.get(copy.track_id, (None, 0))
        if table is not None:
            row: dict[str, Any] = table.slice(k, 1).to_pylist()[0]
            if row["path"] == copy.path:
                return row
        stage, reason, detail = self.rejects.get(copy.path, ("", "", ""))
        if stage in _HEARD:
            raise Failure(Reason(reason), detail)
        raise Failure(Reason.NOT_IN_DATASET, f"there it is {reason or 'not listed'}")

"""What is measured of one file: its row in a table, or the reason why it has none."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystem import BeamIOError
from apache_beam.metrics import Metrics

from beam_pipelines.audio.decode import Measured, measure
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.headers import Probe, check_label, probe
from beam_pipelines.runtime import sealed, storage
from beam_pipelines.runtime.patience import error_name
from beam_pipelines.runtime.preflight import check_sight
from beam_pipelines.runtime.resumable import Chunk
from beam_pipelines.scanning.filters import Limits, failed_filter, failure_detail
from beam_pipelines.scanning.listing import AudioFile, parse_7digitalid
from beam_pipelines.scanning.losses import changed_error, count_unread, too_many_unread
from beam_pipelines.scanning.trial import in_hand, refuse_crashing
from schemas import tables
from schemas.common.errors import RunError
from schemas.rejects import FILE, Reason, Reject

# A row of a chunk is a row of the one table or of the other: its reason says which.
_CHUNK = pa.schema(
    [*tables.SCAN, *(tables.REJECTS.field(name) for name in ("kind", "stage", "reason", "detail"))]
)


def measured_columns(measured: Measured, headers: Probe) -> dict[str, Any]:
    """The columns that both ``tracks.parquet`` and a scan have.

    Parameters
    ----------
    measured : Measured
        What was decoded.
    headers : Probe
        What the file's headers say.

    Returns
    -------
    dict
        ``probe_duration`` to ``silence_detail`` of :data:`schemas.tables.SCAN`.
    """
    columns: dict[str, Any] = {
        f"probe_{name}": value for name, value in dataclasses.asdict(headers).items()
    }
    columns.update(dataclasses.asdict(measured.hearing))
    columns["sample_rate"] = columns.pop("rate")
    columns.update(dataclasses.asdict(measured.stats))
    del columns["is_silent"]
    return columns


def measure_file(
    audio_dir: str,
    file: AudioFile,
    limits: Limits,
    any_name: bool = False,
    is_suspect: bool = False,
) -> dict[str, Any] | Reject:
    """Decode one listed file and judge it.

    What its name or its size rules out is not decoded.

    Parameters
    ----------
    audio_dir : str
        Root of the audio.
    file : AudioFile
        What the listing says of it.
    limits : Limits
        The audio filters.
    any_name : bool
        Whether a file need not be named by its 7digital id.
    is_suspect : bool
        Whether its decoding is tried in another process first.

    Returns
    -------
    dict or Reject
        A row of :data:`schemas.tables.SCAN`, or the reason why there is none.
    """
    number = parse_7digitalid(file.path)

    def reject(reason: Reason, detail: str = "") -> Reject:
        return Reject(FILE, file.path, None, number, reason, detail)

    if number is None and not any_name:
        return reject(Reason.BAD_NAME)
    if file.size and (reason := failed_filter(file.size, None, limits)):
        return reject(reason, failure_detail(reason, None, limits))
    try:
        data, mtime = storage.read_clip(storage.join(audio_dir, file.path))
        if len(data) != file.size or mtime not in (None, file.mtime):
            return reject(Reason.CHANGED, f"{len(data)} bytes, listed were {file.size}")
        check_label(file.path, data)
        if is_suspect:
            refuse_crashing(data)
        measured = measure(data)
    except (OSError, BeamIOError) as error:
        return reject(Reason.UNREADABLE, error_name(error))
    except AudioError as error:
        return reject(error.reason, error.detail)
    hearing, stats = measured.hearing, measured.stats
    if stats.is_silent:
        return reject(Reason.SILENT, f"{hearing.duration:.2f} s without sound")
    if reason := failed_filter(file.size, stats, limits, hearing.cut_short):
        return reject(reason, failure_detail(reason, stats, limits, hearing.cut_short))
    columns = measured_columns(measured, probe(data))
    return {
        "path": file.path,
        "track_7digitalid": number,
        "size": file.size,
        "mtime": file.mtime,
        **columns,
    }


class MeasureChunk(beam.DoFn):
    """Measures the files of one chunk and commits its table."""

    def __init__(
        self,
        audio_dir: str,
        listing_path: str,
        limits: Limits,
        must_see: Sequence[str] = (),
        any_name: bool = False,
        stop_at_change: bool = False,
        deaths: int = 0,
    ) -> None:
        self.stop_at_change, self.deaths = stop_at_change, deaths
        self.audio_dir, self.listing_path, self.limits = audio_dir, listing_path, limits
        self.must_see, self.any_name = must_see, any_name

    @functools.cached_property
    def listed(self) -> pa.Table:
        """The listing."""
        return storage.read_table(self.listing_path)

    def process(self, element: tuple[str, int, int]) -> Iterator[str]:
        check_sight(self.must_see)
        chunk = Chunk(*element)
        marker = storage.join(os.path.dirname(chunk.path), f"begun-{chunk.name}")
        with in_hand(marker, self.deaths) as is_suspect:
            rows = self._measure(chunk, is_suspect)
            sealed.write_table(chunk.path, pa.Table.from_pylist(rows, _CHUNK))
        yield chunk.path

    def _measure(self, chunk: Chunk, is_suspect: bool) -> list[dict[str, Any]]:
        rows = []
        for values in self.listed.slice(chunk.start, chunk.stop - chunk.start).to_pylist():
            file = AudioFile(**values)
            found = measure_file(self.audio_dir, file, self.limits, self.any_name, is_suspect)
            if self.stop_at_change and isinstance(found, Reject) and found.reason == Reason.CHANGED:
                raise changed_error(found.path, found.detail)
            rows.append(found.row() if isinstance(found, Reject) else found)
            kind = "rejects" if isinstance(found, Reject) else "kept"
            Metrics.counter("scan", kind).inc()
        return rows


def gather(chunks: Sequence[Chunk], n_listed: int) -> tuple[pa.Table, pa.Table]:
    """Put the two tables together from the chunks, in the listing's order.

    Parameters
    ----------
    chunks : sequence of Chunk
        In order.
    n_listed : int
        Files listed.

    Returns
    -------
    kept, rejects : pa.Table
        Columns of :data:`schemas.tables.SCAN` and :data:`schemas.tables.REJECTS`.

    Raises
    ------
    RunError
        If they do not hold every listed file once.
    """
    tables_of_chunks = [sealed.read_table(chunk.path) for chunk in chunks]
    rows = pa.concat_tables([table for table in tables_of_chunks if table is not None])
    n_paths = pc.count_distinct(rows["path"]).as_py()
    if not n_paths == len(rows) == n_listed:
        raise RunError(
            f"the accounts do not close: {n_listed:,} files listed, {len(rows):,} rows of "
            f"{n_paths:,} files measured"
        )
    rejected = pc.is_valid(rows["reason"])
    rejects = rows.filter(rejected)
    no_track = pa.nulls(len(rejects), pa.string())
    rejects = rejects.append_column("track_id", no_track).select(tables.REJECTS.names)
    return rows.filter(pc.invert(rejected)).select(tables.SCAN.names), rejects


def check_unread(chunks: Sequence[Chunk], rejects: pa.Table, n_files: int, most: float) -> None:
    """See that no more than `most` percent of the files failed with an error that may pass.

    Raises
    ------
    RunError
        If more did; the chunks with such files are deleted, to be measured again.
    """
    error = too_many_unread([count_unread(rejects)], n_files, most)
    if error is None:
        return
    for chunk in chunks:
        rows = sealed.read_table(chunk.path)
        if rows is None or count_unread(rows):
            storage.delete(chunk.path)
    raise error

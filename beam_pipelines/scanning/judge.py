"""Listed files judged by what is known of them before they are decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pyarrow as pa

from beam_pipelines.audio.silence import SilenceStats
from beam_pipelines.scanning.filters import Limits, failed_filter, failure_detail
from beam_pipelines.scanning.listing import AudioFile, ListedFile, Listing
from schemas.rejects import Reason

_ROWS_AT_ONCE = 10_000


def list_scan(scan: pa.Table) -> Listing:
    """The files that a scan kept, as if they had just been listed."""
    columns = (scan[name].to_pylist() for name in AudioFile._fields)
    return Listing(sorted(map(AudioFile, *columns)), ignored={})


def judge_files(listing: Listing, scan: pa.Table | None, limits: Limits) -> pa.Table:
    """Listed files with the audio filter that they fail, where that is known by now.

    A scan's row holds for a file whose path, size and time of change are still the same.

    Returns
    -------
    pa.Table
        The fields of :class:`beam_pipelines.scanning.listing.ListedFile`.
    """
    failed = dict(_failed(scan, limits)) if scan is not None else {}
    files = []
    for file in listing.files:
        # The size is the first filter: what passes all of them with its measures passes it alone.
        known = failed.get(file) or _verdict(file, None, limits)
        files.append((file.path, file.size, *known))
    types = (pa.string(), pa.int64(), pa.string(), pa.string())
    columns = zip(*files, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=list(ListedFile._fields))


def _failed(
    scan: pa.Table, limits: Limits
) -> Iterator[tuple[AudioFile, tuple[Reason | None, str]]]:
    """Files of a scan that fail a filter; a block at a time, for all rows at once are GiB."""
    names = [field.name for field in dataclasses.fields(SilenceStats)]
    names = [name for name in (*names, "cut_short") if name in scan.column_names]
    rows = scan.select([*AudioFile._fields, *names])
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
        for row in batch.to_pylist():
            file = AudioFile(*(row.pop(name) for name in AudioFile._fields))
            cut_short = row.pop("cut_short")
            verdict = _verdict(file, SilenceStats(**row, is_silent=False), limits, cut_short)
            if verdict[0]:
                yield file, verdict


def _verdict(
    file: AudioFile, stats: SilenceStats | None, limits: Limits, cut_short: float = 0.0
) -> tuple[Reason | None, str]:
    reason = failed_filter(file.size, stats, limits, cut_short)
    return reason, failure_detail(reason, stats, limits, cut_short) if reason else ""

"""The tables of a plan or a data set as files to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.dataset.finish import plan_rejects
from beam_pipelines.dataset.layout import CSV_TABLES, Shard, plan_path
from beam_pipelines.runtime import storage
from beam_pipelines.scanning.scan_table import write_scan
from schemas import tables

_SONG = pa.field("song", pa.string())


def planned_tracks(work: str, plan: Mapping[str, Any], scan: pa.Table | None) -> pa.Table:
    """What a plan would try to write, before any audio is decoded.

    Parameters
    ----------
    work : str
        The plan's work folder.
    plan : mapping
        The plan.
    scan : pa.Table or None
        What a scan measured.

    Returns
    -------
    pa.Table
        ``song`` (the same for all copies of one) and the columns of ``tracks.parquet``, in the
        shards' order; what is measured is null without a scan.
    """
    vocabulary = pa.array([tag for tag, _ in plan["vocabulary"]], pa.string())
    schema = pa.schema([_SONG, *tables.TRACKS])
    found = [schema.empty_table()]
    for shard in (Shard(**described) for described in plan["shards"]):
        rows = storage.read_table(plan_path(work, shard.key)).combine_chunks()
        numbers = rows["tags"].combine_chunks()
        names = pc.take(vocabulary, pc.list_flatten(numbers))
        offsets = pc.subtract(numbers.offsets, numbers.offsets[0])
        columns = {name: rows[name] for name in rows.column_names} | {
            "tags": pa.ListArray.from_arrays(offsets, names),
            "shard": pa.array([shard.name] * len(rows), pa.string()),
            **_measured(rows["path"], scan),
        }
        missing = {f.name: pa.nulls(len(rows), f.type) for f in schema if f.name not in columns}
        columns |= missing
        found.append(pa.table([columns[f.name] for f in schema], schema=schema))
    return pa.concat_tables(found).combine_chunks()


def _measured(paths: pa.ChunkedArray, scan: pa.Table | None) -> dict[str, pa.ChunkedArray]:
    if scan is None:
        return {}
    known = {f.name for f in tables.TRACKS} - {f.name for f in pa.schema(tables.SONG)}
    places = pc.index_in(paths, value_set=scan["path"])
    return {name: scan[name].take(places) for name in scan.column_names if name in known}


def write_plan_tables(
    folder: str, work: str, plan: Mapping[str, Any], scan: pa.Table | None
) -> None:
    """Write tracks and rejects of a plan into a folder, as Parquet and as CSV.

    Parameters
    ----------
    folder : str
        Made if it is not there; tables in it are replaced.
    work, plan, scan
        As for :func:`planned_tracks`.
    """
    storage.make_folder(folder)
    order = [(name, "ascending") for name in tables.REJECTS.names]
    found = {
        "tracks": planned_tracks(work, plan, scan),
        "rejects": plan_rejects(work).sort_by(order).combine_chunks(),
    }
    for name, table in found.items():
        for suffix in ("parquet", "csv"):
            write_scan(storage.join(folder, f"{name}.{suffix}"), table)


def write_csv_tables(output: str) -> None:
    """Write the tables of a finished data set as CSV beside them; lists become JSON."""
    for name in CSV_TABLES:
        path = storage.join(output, name)
        write_scan(path, storage.read_table(path.removesuffix("csv") + "parquet"))

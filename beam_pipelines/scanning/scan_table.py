"""The tables of a scan as files: Parquet, or CSV for those who want to look."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.csv
from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.runtime import storage
from schemas import tables
from schemas.common.errors import UsageError
from schemas.common.text import parse_json

SUFFIXES = (".parquet", ".csv")


def check_suffix(path: str, option: str) -> None:
    """Raise a UsageError unless the path ends in .parquet or .csv."""
    if not path.endswith(SUFFIXES):
        raise UsageError(f"{option}: {path} must end in {' or '.join(SUFFIXES)}")


def rejects_path(path: str) -> str:
    """Where the rejects of a scan lie: ``audio.parquet`` has ``audio.rejects.parquet``."""
    stem, suffix = path.rsplit(".", 1)
    return f"{stem}.rejects.{suffix}"


def write_scan(path: str, table: pa.Table) -> None:
    """Write a table as its suffix says, atomically; lists become JSON in a CSV.

    Parameters
    ----------
    path : str
        Ends in .parquet or .csv.
    table : pa.Table
    """
    if path.endswith(".parquet"):
        storage.write_table(path, table)
        return
    for i, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [
                json.dumps(value, ensure_ascii=False) for value in table[field.name].to_pylist()
            ]
            table = table.set_column(i, field.name, pa.array(texts, pa.string()))
    with storage.replacing(path) as stream:
        pyarrow.csv.write_csv(table, pa.PythonFile(stream, mode="w"))


def read_scan(path: str, option: str) -> pa.Table:
    """Read a table that a scan wrote.

    Parameters
    ----------
    path : str
        Ends in .parquet or .csv.
    option : str
        Named in the errors.

    Returns
    -------
    pa.Table
        With the columns of :data:`schemas.tables.SCAN`, sorted by path as they were written.

    Raises
    ------
    UsageError
        If the file is not there or not one of a scan.
    """
    check_suffix(path, option)
    try:
        if path.endswith(".parquet"):
            return storage.read_table(path, tables.SCAN.names).cast(tables.SCAN)
        return _read_csv(path)
    except (OSError, BeamIOError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: {path} cannot be read ({reason})") from error
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{option}: {path} is no table of a scan ({error})") from error


def _read_csv(path: str) -> pa.Table:
    types = {
        field.name: pa.string() if pa.types.is_list(field.type) else field.type
        for field in tables.SCAN
    }
    table = pyarrow.csv.read_csv(
        pa.BufferReader(storage.read_bytes(path)),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=list(types), strings_can_be_null=False
        ),
    )
    columns = [
        pa.array([parse_json(text) for text in table[field.name].to_pylist()], field.type)
        if pa.types.is_list(field.type)
        else table[field.name]
        for field in tables.SCAN
    ]
    return pa.table(columns, schema=tables.SCAN)

"""Files of work folders, sealed with their checksum: one that is damaged counts as none."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.runtime import storage

_DIGITS = 64  # of a SHA-256; a line of them begins the file


def write_bytes(path: str, data: bytes) -> None:
    """Write a file atomically, its checksum first."""
    seal = hashlib.sha256(data).hexdigest().encode() + b"\n"
    with storage.replacing(path) as stream:
        stream.write(seal)
        stream.write(data)


def read_bytes(path: str) -> bytes | None:
    """What was written, or None where the file is not there or is damaged."""
    try:
        sealed = storage.read_bytes(path)
    except (OSError, BeamIOError):
        return None
    seal, data = sealed[: _DIGITS + 1], sealed[_DIGITS + 1 :]
    return data if seal == hashlib.sha256(data).hexdigest().encode() + b"\n" else None


def write_json(path: str, value: Any) -> None:
    """Write a value as JSON, see :func:`write_bytes`."""
    write_bytes(path, json.dumps(value).encode())


def read_json(path: str) -> Any:
    """The value, or None where the file is not there or is damaged."""
    data = read_bytes(path)
    return None if data is None else json.loads(data)


def write_table(path: str, table: pa.Table) -> None:
    """Write a table as Parquet, see :func:`write_bytes`."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())


def read_table(path: str) -> pa.Table | None:
    """The table, or None where the file is not there or is damaged."""
    data = read_bytes(path)
    return None if data is None else pq.read_table(pa.BufferReader(data))

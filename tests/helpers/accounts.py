"""What a build wrote, and that its accounts close."""

from __future__ import annotations

import pathlib

import pyarrow.parquet as pq


def rows(path: pathlib.Path) -> list[dict]:
    return pq.read_table(path).to_pylist()


def accounts_close(output: pathlib.Path, files: set[str], n_songs: int) -> None:
    """Each listed file and each summary row is one written row or one reject."""
    tracks, rejects = rows(output / "tracks.parquet"), rows(output / "rejects.parquet")
    of_files = [row["path"] for row in rejects if row["kind"] == "file"]
    assert sorted(of_files + [row["path"] for row in tracks]) == sorted(files)
    assert sum(row["kind"] == "song" for row in rejects) + len(tracks) == n_songs
    assert all(row["reason"] and row["stage"] for row in rejects)

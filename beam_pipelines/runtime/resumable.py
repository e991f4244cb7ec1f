"""A listing in chunks, each committed as a table: what a killed run goes on with."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from beam_pipelines.runtime import sealed, storage
from schemas.common.cores import n_cores
from schemas.common.files import delete_attempts

_PREFIX, _SUFFIX = "chunk-", ".table"


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A part of the listing.

    Attributes
    ----------
    path : str
        Where its table goes.
    start, stop : int
        Rows of the listing.
    """

    path: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Name of its table in the work folder."""
        return os.path.basename(self.path)


@contextlib.contextmanager
def work_folder(output: str) -> Iterator[str]:
    """The folder of the chunks, beside the output; only this run writes into it.

    It goes when it is empty, so a run that ends well deletes its chunks.

    Raises
    ------
    UsageError
        If another run on this machine has it.
    """
    if storage.is_local(output):
        delete_attempts(output)
    work = f"{output}.work"
    storage.make_folder(work)
    try:
        with storage.lock(work):
            for name in storage.list_names(work):
                if name.endswith(".tmp"):  # of a run that was killed
                    storage.delete(storage.join(work, name))
            yield work
    finally:
        drop_if_empty(work)


def drop_if_empty(work: str) -> None:
    """Remove a work folder that holds nothing: that of a run that has ended well."""
    if storage.is_local(work):
        with contextlib.suppress(OSError):  # the chunks of a run that is not finished
            os.rmdir(work)


def cut(n_files: int, work: str, plan_id: str, most: int, least: int) -> list[Chunk]:
    """Cut a listing into chunks.

    Parameters
    ----------
    n_files : int
        Rows of the listing.
    work : str
        Folder of the tables.
    plan_id : str
        Fingerprint of what the chunks depend on: those of another listing are never taken
        for ours. Twelve of its digits are enough in a name.
    most : int
        Files of a chunk.
    least : int
        Chunks, where there are as many files.
    """
    step = min(most, max(1, n_files // least))
    return [
        Chunk(
            storage.join(work, f"{_PREFIX}{plan_id[:12]}-{start:08d}{_SUFFIX}"),
            start,
            min(start + step, n_files),
        )
        for start in range(0, n_files, step)
    ]


def missing_chunks(chunks: Sequence[Chunk], work: str) -> list[Chunk]:
    """Those that have no table yet; a damaged table is deleted, with a line that says so."""
    there = set(storage.list_names(work))
    begun = [chunk for chunk in chunks if chunk.name in there]
    with ThreadPoolExecutor(n_cores()) as pool:
        whole = pool.map(lambda chunk: sealed.read_bytes(chunk.path) is not None, begun)
        damaged = [chunk for chunk, is_whole in zip(begun, whole, strict=True) if not is_whole]
    for chunk in damaged:
        storage.delete(chunk.path)
    if damaged:
        print(
            f"{work}: {n_files(damaged):,} files are done again, what was known of them is damaged",
            file=sys.stderr,
        )
    return [chunk for chunk in chunks if chunk.name not in there or chunk in damaged]


def has_others(chunks: Sequence[Chunk], work: str) -> bool:
    """Whether tables of other chunks lie there: of another listing or other options."""
    ours = {chunk.name for chunk in chunks}
    return any(
        name.startswith(_PREFIX) and name.endswith(_SUFFIX) and name not in ours
        for name in storage.list_names(work)
    )


def n_files(chunks: Sequence[Chunk]) -> int:
    """Files in chunks."""
    return sum(chunk.stop - chunk.start for chunk in chunks)


def count_done(chunks: Sequence[Chunk], work: str) -> Callable[[], int]:
    """A function that counts the files of those that have their table by then."""
    sizes = {chunk.name: chunk.stop - chunk.start for chunk in chunks}
    return lambda: sum(sizes.get(name, 0) for name in storage.list_names(work))


def fingerprint(*values: Any) -> str:
    """What work depends on, in short, so that the rest of other work is never taken for its own.

    Parameters
    ----------
    *values : JSON values or bytes
        In an order that is always the same.

    Returns
    -------
    str
        64 hexadecimal digits. Those of one value stand in the manifests of data sets: they
        must stay as they are.
    """
    digest = hashlib.sha256()
    for number, value in enumerate(values):
        digest.update(b"\0" if number else b"")
        is_bytes = isinstance(value, bytes)
        digest.update(value if is_bytes else json.dumps(value, sort_keys=True).encode())
    return digest.hexdigest()

"""A listing in pieces, each committed as a table: what a killed run goes on with."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence

from beam_pipelines.runtime import storage
from beam_pipelines.runtime.locks import lock

_PREFIX = "piece-"


@dataclasses.dataclass(frozen=True)
class Piece:
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
    """The folder of the pieces, beside the output; only this run writes into it.

    It goes when it is empty, so a run that ends well deletes its pieces.

    Raises
    ------
    UsageError
        If another run on this machine has it.
    """
    work = f"{output}.work"
    storage.make_folder(work)
    try:
        with lock(work):
            yield work
    finally:
        if storage.is_local(work):
            with contextlib.suppress(OSError):  # the pieces of a run that is not finished
                os.rmdir(work)


def cut(n_files: int, work: str, plan_id: str, most: int, least: int) -> list[Piece]:
    """Cut a listing into pieces.

    Parameters
    ----------
    n_files : int
        Rows of the listing.
    work : str
        Folder of the tables.
    plan_id : str
        What the pieces depend on: those of another listing are never taken for ours.
    most : int
        Files of a piece.
    least : int
        Pieces, where there are as many files.
    """
    step = min(most, max(1, n_files // least))
    return [
        Piece(
            storage.join(work, f"{_PREFIX}{plan_id}-{start:08d}.parquet"),
            start,
            min(start + step, n_files),
        )
        for start in range(0, n_files, step)
    ]


def missing_pieces(pieces: Sequence[Piece], work: str) -> list[Piece]:
    """Those that have no table yet."""
    there = set(storage.list_names(work))
    return [piece for piece in pieces if piece.name not in there]


def has_others(pieces: Sequence[Piece], work: str) -> bool:
    """Whether tables of other pieces lie there: of another listing or other options."""
    ours = {piece.name for piece in pieces}
    return any(
        name.startswith(_PREFIX) and name.endswith(".parquet") and name not in ours
        for name in storage.list_names(work)
    )


def n_files(pieces: Sequence[Piece]) -> int:
    """Files in pieces."""
    return sum(piece.stop - piece.start for piece in pieces)


def count_done(pieces: Sequence[Piece], work: str) -> Callable[[], int]:
    """A function that counts the files of those that have their table by then."""
    sizes = {piece.name: piece.stop - piece.start for piece in pieces}
    return lambda: sum(sizes.get(name, 0) for name in storage.list_names(work))

"""What every source of songs, files and tags has in common.

A source is one file of this room: its options, what it reads and fingerprints when a build
looks at its inputs, and the rows that it gives the join. `kinds.py` lists them.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import apache_beam as beam
import pyarrow as pa

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.scanning.listing import Listing
from schemas.rejects import Reject

ROWS_A_RANGE = 10_000
REJECTS = "rejects"


class Rows(NamedTuple):
    """What a source gives the join.

    Attributes
    ----------
    pairs : beam.PCollection of (str, (tuple, tuple))
        Track id; the song and its file, as fields of ``Song`` and ``ListedFile``.
    tags : beam.PCollection of (str, list of str)
        Track id and tags.
    rejects : sequence of beam.PCollection of tuple
        What belongs to no pair, see :func:`pack`.
    """

    pairs: beam.PCollection
    tags: beam.PCollection
    rejects: Sequence[beam.PCollection]


class Source(Protocol):
    """Songs, files and tags of one build, looked at.

    Attributes
    ----------
    listing : Listing
        Audio files.
    scan : pa.Table or None
        What an earlier scan measured of them.
    n_songs : int
        Songs that the source names.
    mismatches : sequence of str
        Track ids whose metadata are another song's.
    duplicates : mapping
        Track id to its group of copies.
    split : mapping or None
        Track id to part, where the source or the user names the parts.
    spellings : mapping or None
        Tag to how it was written, each with its tracks, where several spellings were made one;
        None where the manifest is not to tell.
    """

    @property
    def listing(self) -> Listing: ...
    @property
    def scan(self) -> pa.Table | None: ...
    @property
    def n_songs(self) -> int: ...
    @property
    def mismatches(self) -> Sequence[str]: ...
    @property
    def duplicates(self) -> Mapping[str, str]: ...
    @property
    def split(self) -> Mapping[str, str] | None: ...
    @property
    def spellings(self) -> Mapping[str, Mapping[str, int]] | None: ...

    def popularity(self) -> Sequence[RawTag]:
        """The tags as they are spelt, each with its tracks, the most frequent first."""
        ...

    def fingerprints(self) -> dict[str, Any]:
        """What tells these inputs from others, besides the listed files."""
        ...

    def to_read(self, judged: pa.Table, clean: Mapping[int, str] | None) -> pa.Table:
        """The table that :meth:`read` reads, a row range a worker.

        Parameters
        ----------
        judged : pa.Table
            The listed files, with the fields of ``ListedFile``.
        clean : mapping or None
            Number of a raw tag to its clean tag; None takes the tags as they are.
        """
        ...

    def read(
        self, pipeline: beam.Pipeline, table: str, n_rows: int, clean: Mapping[int, str] | None
    ) -> Rows:
        """Put the reading into a pipeline.

        Parameters
        ----------
        pipeline : beam.Pipeline
        table : str
            Parquet file with the table of :meth:`to_read`.
        n_rows : int
            Its rows.
        clean : mapping or None
            As for :meth:`to_read`.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a build is told to take a source.

    Attributes
    ----------
    name : str
        What ``--source`` calls it.
    options : tuple of str
        Those of the options of single sources that it takes, without ``--``.
    add_options : callable
        Adds to a group of a parser the options that no kind before it has added.
    settle : callable
        Checks the options together and fills in what was not said; raises a UsageError.
    look : callable
        Reads the inputs; raises a UsageError.
    places : tuple of str
        Its options that say where something lies, and shape nothing of a data set.
    official : bool
        Whether it has a published split.
    untagged : {'keep', 'drop'}
        What a track without a tag is: a negative of every tag, or unknown.
    tag_cleaning : {'lists', 'merge', 'none'}
        What is done with its tags where nothing else is said.
    """

    name: str
    options: tuple[str, ...]
    add_options: Callable[[argparse._ArgumentGroup], None]
    settle: Callable[[argparse.Namespace], None]
    look: Callable[[argparse.Namespace], Source]
    places: tuple[str, ...]
    official: bool = False
    untagged: str = "keep"
    tag_cleaning: str = "none"


def ranges(n: int, step: int = ROWS_A_RANGE) -> list[tuple[int, int]]:
    """Cut 0 to n into half-open ranges of `step`."""
    return [(start, min(start + step, n)) for start in range(0, n, step)]


def pack(reject: Reject) -> tuple[str | int | None, ...]:
    """A reject as a plain tuple, which a shuffle encodes without pickling."""
    return tuple(reject.row().values())

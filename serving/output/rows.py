"""What is written of a tagged file, as JSON lines, CSV or Parquet."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

import numpy as np

from schemas.common.errors import RunError, UsageError
from schemas.common.files import delete_attempts, replacing
from schemas.common.text import readable
from serving.output.result import Result

SUFFIXES = (".jsonl", ".csv", ".parquet")
_DECIMALS = 6
_ROWS_AT_ONCE = 1000

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a row is to hold.

    Attributes
    ----------
    labels : list of str
        All tags of the model.
    threshold : float, list of float or None
        Leave out tags with a lower score: than this one, or than the tag's own.
    top : int or None
        Leave out all but so many best tags.
    taggram, embeddings : bool
        Whether the windows' scores, and the features under the output layer, are added.
    """

    labels: list[str]
    threshold: float | list[float] | None = None
    top: int | None = None
    taggram: bool = False
    embeddings: bool = False


def make_row(path: str, result: Result, wanted: Wanted) -> Row:
    """Row of a file.

    Parameters
    ----------
    path : str
        The file, as it was named or found.
    result : Result
    wanted : Wanted

    Returns
    -------
    dict
        ``path``; ``tags``, a list of {tag, score} from the best down; ``error``; ``warnings``,
        a list of :class:`serving.output.result.Warned`; with `taggram` also ``starts`` (s) and
        ``taggram``, for each of the tags {tag, scores}, one score a window; with `embeddings`
        also ``embedding``.
    """
    tags = best_tags(wanted.labels, result.scores, wanted.threshold, wanted.top)
    row: Row = {"path": path, "tags": tags, "error": result.error}
    row["warnings"] = [warned.value for warned in result.warnings]
    if wanted.taggram:
        numbers = {label: number for number, label in enumerate(wanted.labels)}
        row["starts"] = np.round(result.starts, 3).tolist()
        row["taggram"] = [
            {"tag": each["tag"], "scores": _rounded(result.windows[:, numbers[each["tag"]]])}
            for each in tags
        ]
    if wanted.embeddings:
        row["embedding"] = _rounded(result.embedding)
    return row


def best_tags(
    names: Sequence[str],
    scores: np.ndarray,
    threshold: float | Sequence[float] | None = None,
    top: int | None = None,
) -> list[Row]:
    """Tags with their scores, the best first (ties as in `names`), within the limits."""
    limits = np.asarray(0 if threshold is None else threshold, np.float32)
    lowest = np.broadcast_to(limits, len(names))
    order = np.argsort(-scores, kind="stable")[:top]
    return [
        {"tag": names[i], "score": round(float(scores[i]), _DECIMALS)}
        for i in order
        if threshold is None or scores[i] >= lowest[i]
    ]


def _rounded(values: np.ndarray) -> list[float]:
    return [round(value, _DECIMALS) for value in values.tolist()]


def check_output(path: str, wanted: Wanted) -> None:
    """See that rows can be written to a file.

    Raises
    ------
    UsageError
        If its place or its suffix does not fit.
    """
    if "://" not in path:
        is_other = os.path.exists(path) and not os.path.isfile(path)
        if is_other or not os.path.isdir(os.path.dirname(path) or "."):
            raise UsageError(f"--output {path}: a file in a directory that exists")
    if not path.endswith(SUFFIXES):
        raise UsageError(
            f"--output {path}: its suffix says how it is written: {', '.join(SUFFIXES)}"
        )
    if path.endswith(".csv") and (wanted.taggram or wanted.embeddings):
        raise UsageError(
            f"--output {path}: CSV has one cell a tag; --taggram and --embeddings need "
            ".jsonl or .parquet"
        )


class JsonLines:
    """A JSON object a line."""

    def __init__(self, stream: BinaryIO | io.BufferedIOBase, wanted: Wanted) -> None:
        self._stream = stream

    def write(self, row: Row) -> None:
        """Add a row."""
        self._stream.write(json.dumps(row).encode() + b"\n")

    def close(self) -> None:
        """Nothing is left to do."""


class Csv:
    """A line a file: path, error, warnings and a column for each of the model's tags.

    The cells of tags that were left out are empty. A name that is no text has its bytes.
    """

    def __init__(self, stream: BinaryIO | io.BufferedIOBase, wanted: Wanted) -> None:
        self._labels = wanted.labels
        self._text = io.TextIOWrapper(
            cast(BinaryIO, stream), "utf8", errors="surrogateescape", newline="", write_through=True
        )
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow(["path", "error", "warnings", *self._labels])

    def write(self, row: Row) -> None:
        """Add a row."""
        scores = {each["tag"]: each["score"] for each in row["tags"]}
        cells = [scores.get(label, "") for label in self._labels]
        self._csv.writerow([row["path"], row["error"] or "", " ".join(row["warnings"]), *cells])

    def close(self) -> None:
        """Leave the stream to its owner."""
        self._text.detach()


class Parquet:
    """The rows of :func:`make_row` as nested columns."""

    def __init__(self, stream: BinaryIO | io.BufferedIOBase, wanted: Wanted) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = pa.list_(pa.float32())
        fields = [
            ("path", pa.string()),
            ("tags", pa.list_(pa.struct([("tag", pa.string()), ("score", pa.float32())]))),
            ("error", pa.string()),
            ("warnings", pa.list_(pa.string())),
        ]
        if wanted.taggram:
            scores = pa.struct([("tag", pa.string()), ("scores", numbers)])
            fields += [("starts", pa.list_(pa.float64())), ("taggram", pa.list_(scores))]
        if wanted.embeddings:
            fields.append(("embedding", numbers))
        self._schema = pa.schema(fields)
        self._table = pa.Table.from_pylist
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[Row] = []

    def write(self, row: Row) -> None:
        """Add a row; bytes of a path that are not UTF-8 are written out."""
        self._rows.append({**row, "path": readable(row["path"])})
        if len(self._rows) == _ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the footer."""
        with self._writer:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(self._table(self._rows, self._schema))
        self._rows = []


@contextlib.contextmanager
def open_rows(output: str, wanted: Wanted) -> Iterator[JsonLines | Csv | Parquet]:
    """A writer of rows; the file has its name when the block has ended well.

    Raises
    ------
    UsageError, RunError
        If the file cannot be made, or not be written to its end.
    """
    kinds: dict[str, type[JsonLines | Csv | Parquet]] = {
        ".jsonl": JsonLines,
        ".csv": Csv,
        ".parquet": Parquet,
    }
    kind = kinds[os.path.splitext(output)[1]]
    with _replacing(output) as stream:
        writer = kind(stream, wanted)
        try:
            yield writer
        finally:
            writer.close()  # while its stream is open, whatever has failed


@contextlib.contextmanager
def _replacing(output: str) -> Iterator[BinaryIO | io.BufferedIOBase]:
    if "://" in output:
        from beam_pipelines.runtime import storage  # Beam: only for files elsewhere

        with storage.replacing(output) as stream:
            yield stream
        return
    begun = False
    delete_attempts(output)
    try:
        with replacing(output) as file:
            begun = True
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        kind = RunError if begun else UsageError
        raise kind(f"{output} cannot be written: {error.strerror or error}") from error

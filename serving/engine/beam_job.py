"""Tag many files with Beam: decode, run the model, commit.

The listing is cut into chunks. A worker decodes a chunk's files, the model tags their
windows in batches that never mix chunks, and one table a chunk is committed: so a killed
run goes on with the chunks that are missing, and neither the number of workers nor a kill
changes a byte. No audio crosses a shuffle: the three steps run as one, a batch at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from threadpoolctl import threadpool_limits

from beam_pipelines.runtime import sealed, storage
from beam_pipelines.runtime.preflight import check_sight, first_seen
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.runtime.resumable import (
    Chunk,
    count_done,
    cut,
    fingerprint,
    has_others,
    missing_chunks,
    n_files,
    work_folder,
)
from beam_pipelines.runtime.runners import make_pipeline
from schemas.common.cores import n_cores
from schemas.common.errors import RunError, UsageError
from schemas.saved_model import METADATA, WINDOWS, ModelInfo
from serving.engine.batching import (
    Answer,
    Batch,
    Collector,
    answer,
    batch_size,
    open_track,
    pack,
)
from serving.engine.model import Model
from serving.engine.saved_model import load_signature
from serving.output.result import Result, Warned

_LISTED = pa.schema([("path", pa.binary())])  # a name need not be text
_NUMBERS = pa.list_(pa.float32())
_CHUNK = pa.schema(
    [
        ("error", pa.string()),
        ("warnings", pa.list_(pa.string())),
        ("scores", _NUMBERS),
        ("starts", pa.list_(pa.float64())),
        ("windows", _NUMBERS),  # row by row
        ("embedding", _NUMBERS),
    ]
)


@dataclasses.dataclass(frozen=True)
class Job:
    """What the chunks depend on.

    Attributes
    ----------
    model : str
        Directory of the SavedModel, at a path that every worker sees.
    info : ModelInfo
        What it says of itself.
    taggram, embeddings : bool
        Whether the windows' scores, and the embeddings, are kept.
    max_seconds : float or None
        Longer audio is refused.
    """

    model: str
    info: ModelInfo
    taggram: bool
    embeddings: bool
    max_seconds: float | None


@contextlib.contextmanager
def tag_files(
    paths: Sequence[str], job: Job, output: str, beam_options: PipelineOptions
) -> Iterator[Iterator[Result]]:
    """Tag files; what is done is kept in ``OUTPUT.work`` until the block has ended well.

    Parameters
    ----------
    paths : sequence of str
        The files, at paths that every worker sees.
    job : Job
    output : str
        Where the caller writes; the chunks go beside it.
    beam_options : PipelineOptions
        From :func:`beam_pipelines.runtime.runners.parse_options`.

    Yields
    ------
    iterator of Result
        In the order of `paths`.

    Raises
    ------
    UsageError
        If the work folder holds chunks of another model, other files or options, or
        another run has it.
    RunError
        If the pipeline fails.
    """
    with work_folder(output) as work:
        chunks = cut(len(paths), work, fingerprint(*_depends_on(paths, job)), most=64, least=32)
        missing = _missing(chunks, work)
        if missing:
            _run(paths, job, missing, work, beam_options)
        yield (result for chunk in chunks for result in read_piece(chunk.path))
        for name in storage.list_names(work):
            storage.delete(storage.join(work, name))


def _depends_on(paths: Sequence[str], job: Job) -> Iterator[Any]:
    """What the rows depend on: options, the model's files, names, sizes and times of the files."""
    yield [job.taggram, job.embeddings, job.max_seconds]
    for name in (METADATA, "saved_model.pb", os.path.join("variables", "variables.index")):
        # The index has a checksum of every variable.
        with open(os.path.join(job.model, name), "rb") as stream:
            yield stream.read()
    for path in paths:
        yield os.fsencode(path)
        with contextlib.suppress(OSError):
            status = os.stat(path)
            yield [status.st_size, status.st_mtime_ns]


def _missing(chunks: Sequence[Chunk], work: str) -> list[Chunk]:
    if has_others(chunks, work):
        raise UsageError(
            f"--output: {work} holds an unfinished run with another model, other files or other "
            "options; finish that with its own command, or delete the folder"
        )
    missing = missing_chunks(chunks, work)
    if len(missing) < len(chunks):
        done = n_files(chunks) - n_files(missing)
        print(f"{done:,} files are tagged already", file=sys.stderr)
    return missing


def _run(
    paths: Sequence[str],
    job: Job,
    missing: Sequence[Chunk],
    work: str,
    beam_options: PipelineOptions,
) -> None:
    listing = storage.join(work, "listing.parquet")
    storage.write_table(listing, pa.table([[os.fsencode(path) for path in paths]], schema=_LISTED))
    must_see = (listing, storage.join(job.model, METADATA), *first_seen(paths))
    with (
        Progress("tag: files", n_files(missing), count_done(missing, work)),
        make_pipeline(beam_options, "tag", work) as pipeline,
    ):
        _ = (
            pipeline
            | "Chunks of the listing" >> beam.Create([dataclasses.astuple(x) for x in missing])
            | "Spread the chunks" >> beam.Reshuffle()
            | "Decode and cut into windows" >> beam.ParDo(CutWindows(listing, job, must_see))
            | "Run the model" >> RunInference(WindowModel(job.model))
            | "Commit the chunks" >> beam.ParDo(CommitChunk(job))
        )


Content = TypeVar("Content", Batch, Answer)


@dataclasses.dataclass(frozen=True)
class OfChunk(Generic[Content]):
    """A batch of windows, or its answer, with the chunk that it is of."""

    chunk: Chunk
    is_last: bool
    batch: Content


class CutWindows(beam.DoFn):
    """From a chunk of the listing to batches of windows, a list of one as the model wants it."""

    def __init__(self, listing: str, job: Job, must_see: Sequence[str] = ()) -> None:
        self.listing, self.info, self.must_see = listing, job.info, must_see
        self.max_seconds = job.max_seconds

    def setup(self) -> None:
        self.pool = threadpool_limits(1)  # a worker pool may have NumPy before it has us

    @functools.cached_property
    def paths(self) -> pa.ChunkedArray:
        """The listing."""
        return storage.read_table(self.listing)["path"]

    def process(self, element: tuple[str, int, int]) -> Iterator[list[OfChunk[Batch]]]:
        check_sight(self.must_see)
        chunk = Chunk(*element)
        names = self.paths.slice(chunk.start, chunk.stop - chunk.start).to_pylist()
        tracks = (
            (row, open_track(os.fsdecode(name), self.info, self.max_seconds))
            for row, name in enumerate(names)
        )
        before = None
        for batch in pack(tracks, batch_size(self.info)):
            if before is not None:
                yield [OfChunk(chunk, False, before)]
            before = batch
        if before is not None:
            yield [OfChunk(chunk, True, before)]


class WindowModel(ModelHandler[OfChunk[Batch], OfChunk[Answer], Model]):
    """The signature `windows` of a SavedModel, loaded once a process."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def load_model(self) -> Model:
        """A model that is loaded with its first batch.

        Flink does not hear of what fails in a worker's setup
        (:mod:`beam_pipelines.runtime.preflight`).
        """
        lock = threading.Lock()
        loaded: list[Model] = []

        def call(windows: np.ndarray) -> dict[str, Any]:
            with lock:
                if not loaded:
                    loaded.append(load_signature(self.path, WINDOWS, n_callers=n_cores()))
            return loaded[0](windows)

        return call

    def run_inference(
        self,
        batch: Sequence[OfChunk[Batch]],
        model: Model,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[OfChunk[Answer]]:
        return [OfChunk(x.chunk, x.is_last, answer(model, x.batch)) for x in batch]

    def should_skip_batching(self) -> bool:
        return True  # the runner's own batches depend on its speed

    def get_num_bytes(self, batch: Sequence[OfChunk[Batch]]) -> int:
        return sum(0 if x.batch.windows is None else x.batch.windows.nbytes for x in batch)


class CommitChunk(beam.DoFn):
    """Puts the answers of a chunk together and commits its table."""

    def __init__(self, job: Job) -> None:
        self.taggram, self.embeddings = job.taggram, job.embeddings

    def start_bundle(self) -> None:
        self.open: dict[Chunk, tuple[Collector, dict[int, Result]]] = {}

    def process(self, element: OfChunk[Answer]) -> Iterator[str]:
        collector, results = self.open.setdefault(element.chunk, (Collector(), {}))
        results.update(collector.add(element.batch))
        if not element.is_last:
            return
        del self.open[element.chunk]
        rows = [self._row(results[row]) for row in sorted(results)]
        sealed.write_table(element.chunk.path, pa.Table.from_pylist(rows, _CHUNK))
        Metrics.counter("predict", "tagged").inc(sum(row["error"] is None for row in rows))
        Metrics.counter("predict", "failed").inc(sum(row["error"] is not None for row in rows))
        yield element.chunk.path

    def finish_bundle(self) -> None:
        if self.open:  # a runner that does not run the steps as one
            raise RuntimeError("the batches of a chunk came to several workers")

    def _row(self, result: Result) -> dict[str, Any]:
        return {
            "error": result.error,
            "warnings": result.warnings,
            "scores": result.scores,
            "starts": result.starts if self.taggram else [],
            "windows": result.windows.ravel() if self.taggram else [],
            "embedding": result.embedding if self.embeddings else [],
        }


def read_piece(path: str) -> Iterator[Result]:
    """The results that a chunk's table holds."""
    table = sealed.read_table(path)
    if table is None:
        raise RunError(f"{path} was damaged while this ran: run it again")
    for row in table.to_pylist():
        scores = np.array(row["scores"], np.float32)
        windows = np.array(row["windows"], np.float32).reshape(-1, max(1, len(scores)))
        starts, embedding = np.array(row["starts"]), np.array(row["embedding"], np.float32)
        warnings = tuple(map(Warned, row["warnings"]))
        yield Result(row["error"], scores, windows, starts, embedding, warnings)

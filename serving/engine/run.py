"""Files tagged one after the other or with Beam, and the account of them."""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from schemas.audio_files import ignored_line
from schemas.common.cores import n_cores
from schemas.saved_model import WINDOWS, ModelInfo
from serving.engine.batching import open_track, tag_track
from serving.engine.find_files import Found
from serving.engine.model import Model
from serving.engine.saved_model import load_signature
from serving.engine.track import Track
from serving.output.result import Result, Warned
from serving.output.rows import Wanted, make_row, open_rows

BEST = 10  # tags of a file that the terminal shows


class Work:
    """Tags files, here or with Beam, and keeps account of them."""

    def __init__(
        self,
        options: argparse.Namespace,
        model: str,
        info: ModelInfo,
        wanted: Wanted,
        found: Found,
    ) -> None:
        self.options, self.model, self.info, self.wanted = options, model, info, wanted
        self.paths, self.ignored = found
        self.reasons = collections.Counter[str]()
        self.warnings = collections.Counter[Warned]()
        self.done = 0
        self.pictures: Sequence[str] = []
        if options.plot:
            from serving.output.taggram_plot import picture_paths

            self.pictures = picture_paths(options.plot, found.files)

    @property
    def failed(self) -> int:
        """Files that could not be tagged."""
        return self.reasons.total()

    def here(self, load: Callable[[str, str], Model] = load_signature) -> None:
        """Tag the files one by one and show the tags of each at once."""
        output, n_files = self.options.output, len(self.paths)
        workers = min(n_files, n_cores(), 8)
        rows = open_rows(output, self.wanted) if output else contextlib.nullcontext()
        try:
            with ThreadPoolExecutor(workers) as pool:
                # The first files are decoded while TensorFlow starts.
                longest = self.options.max_seconds
                tracks = decode_ahead(pool, self.paths, self.info, workers, longest)
                call = load(self.model, WINDOWS)
                with rows as writer:
                    for path, track in tracks:
                        row = self._take(path, tag_track(call, track, self.info), writer)
                        show(row, self.done, n_files)
        except (KeyboardInterrupt, BrokenPipeError):
            _say(f"\nstopped after {self.done} of {n_files} files")
            raise
        self._summary()

    def with_beam(self, beam_options: Any) -> None:
        """Tag the files with Beam and write their rows."""
        from beam_pipelines.runtime.progress import Progress
        from serving.engine.beam_job import Job, tag_files

        output = self.options.output
        taggram = self.wanted.taggram or bool(self.pictures)
        model = self.model if "://" in self.model else os.path.abspath(self.model)
        job = Job(model, self.info, taggram, self.wanted.embeddings, self.options.max_seconds)
        paths = [path if "://" in path else os.path.abspath(path) for path in self.paths]
        try:
            with tag_files(paths, job, output, beam_options) as results:
                label = "draw: files" if self.pictures else "write the rows"
                total = len(paths) if self.pictures else None
                progress = Progress(label, total, lambda: self.done)
                with progress, open_rows(output, self.wanted) as writer:
                    for path, result in zip(self.paths, results, strict=True):
                        self._take(path, result, writer)
        except KeyboardInterrupt:
            _say(f"\nstopped; the same command goes on with what is kept in {output}.work")
            raise
        print(f"{self.done - self.failed:,} of {self.done:,} files tagged: {output}")
        self._summary()

    def _take(self, path: str, result: Result, writer: Any) -> dict[str, Any]:
        """Count a file, write its row and draw it."""
        row = make_row(path, result, self.wanted)
        if writer:
            writer.write(row)
        if result.error is not None:
            self.reasons[result.error.split(":")[0]] += 1
        elif self.pictures:
            from serving.output.taggram_plot import draw_taggram

            seconds = self.info.window_seconds
            draw_taggram(self.pictures[self.done], path, self.info.labels, result, seconds)
        self.warnings.update(result.warnings)
        self.done += 1
        return row

    def _summary(self) -> None:
        for warned in Warned:
            if self.warnings[warned]:
                _say(f"{self.warnings[warned]} of {self.done} files are {warned.meaning}")
        if self.failed:
            why = ", ".join(f"{reason} {n}" for reason, n in sorted(self.reasons.items()))
            _say(f"{self.failed} of {self.done} files could not be tagged: {why}")
        if self.ignored:
            _say(ignored_line(self.ignored))


def decode_ahead(
    pool: ThreadPoolExecutor,
    paths: Sequence[str],
    info: ModelInfo,
    ahead: int,
    max_seconds: float | None,
) -> Iterator[tuple[str, Track | str]]:
    """Decode files in threads, in order, never more than `ahead` before they are asked for.

    Yields
    ------
    str, Track or str
        The path and what :func:`serving.engine.batching.open_track` gives.
    """
    left = iter(paths)

    def submit(count: int) -> list[tuple[str, Any]]:
        return [
            (path, pool.submit(open_track, path, info, max_seconds))
            for path in itertools.islice(left, count)
        ]

    waiting = collections.deque(submit(ahead))

    def tracks() -> Iterator[tuple[str, Track | str]]:
        while waiting:
            path, future = waiting.popleft()
            track = future.result()
            waiting.extend(submit(1))
            yield path, track

    return tracks()


def show(row: dict[str, Any], done: int, total: int) -> None:
    """Print the best tags of a file, and on a terminal below them how far the work is."""
    bar = sys.stderr.isatty()
    if bar:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    print(row["path"])
    if row["error"] is not None:
        print(f"  error: {row['error']}")
    for best in row["tags"][:BEST]:
        print(f"  {best['score']:.3f}  {best['tag']}")
    if row["warnings"]:
        print(f"  warning: {', '.join(row['warnings'])}")
    sys.stdout.flush()
    if bar and done < total:
        print(f"{done} of {total} files", end="", file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr)

"""Tag audio files: ``python -m serving.predict --model DIR --input PATH [PATH ...]``."""

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

from schemas.audio_spec import LOG_MEL
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import UsageError
from schemas.saved_model import WINDOWS, ModelInfo, find_saved_model, read_model_info
from serving.engine.batching import (
    Model,
    Result,
    open_track,
    tag_track,
)
from serving.engine.find_files import AUDIO_SUFFIXES, Found, find_inputs
from serving.engine.saved_model import load_signature
from serving.engine.track import Track
from serving.output.rows import (
    Wanted,
    check_output,
    make_row,
    open_rows,
)

BEST = 10  # tags of a file that the terminal shows


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if there is a file that could not be tagged."""
    options, rest = parse(argv)
    beam_options = _beam_options(rest)
    model = find_saved_model(options.model)
    info = read_model_info(model)
    wanted = Wanted(
        info.labels, options.threshold, options.top, options.taggram, options.embeddings
    )
    if options.output:
        check_output(options.output, wanted)
    work = Work(options, model, info, wanted, find_inputs(options.input))
    try:
        if options.output and len(work.paths) > 1:
            work.with_beam(beam_options or _beam_options(["--runner=DirectRunner"]))
        else:
            work.here()
    except KeyboardInterrupt:
        return 130
    return 1 if work.failed else 0


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our own options, checked as far as they can be without reading files, and the others."""
    parser = ArgumentParser(
        prog="python -m serving.predict",
        description="Tag audio files of any length. With --output and more than one file the "
        "work is a Beam pipeline: started again with the same command, a killed run does what "
        "is missing.",
        epilog="All of Beam's options are taken too: --runner (DirectRunner by default, on every "
        "core), --direct_num_workers, those of your runner. Exit codes: 0 done, 1 failed or a "
        "file could not be tagged, 2 wrong arguments or input.",
    )
    parser.add_argument(
        "--model", required=True, help="job directory of the trainer, or a SavedModel it exported"
    )
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="PATH",
        help="audio files, and directories to search for MP3, WAV, FLAC and OGG",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the rows, one a file, in the order of the input: FILE.jsonl, FILE.csv (a column a "
        "tag) or FILE.parquet; without it the best tags are only shown",
    )
    add_row_options(parser)
    parser.add_argument(
        "--plot", metavar="DIR", help="draw the best tags over time, DIR/…/NAME.png for each file"
    )
    options, rest = parser.parse_known_args(argv)
    check_row_options(options)
    if options.plot and os.path.exists(options.plot) and not os.path.isdir(options.plot):
        raise UsageError(f"--plot {options.plot}: a directory, made if it is not there")
    return options, rest


def add_row_options(parser: argparse.ArgumentParser) -> None:
    """Options for what a row holds."""
    parser.add_argument("--threshold", type=float, help="leave out tags with a lower score")
    parser.add_argument("--top", type=int, help="leave out all but so many best tags of a file")
    parser.add_argument(
        "--taggram", action="store_true", help="add each window's scores and start to the rows"
    )
    parser.add_argument(
        "--embeddings",
        action="store_true",
        help="add the features under the output layer to the rows",
    )


def check_row_options(options: argparse.Namespace) -> None:
    """See that the options for rows fit together.

    Raises
    ------
    UsageError
    """
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise UsageError(f"--threshold is {options.threshold}: scores lie between 0 and 1")
    if options.top is not None and options.top < 1:
        raise UsageError(f"--top is {options.top}: it must be 1 or more")
    if (options.taggram or options.embeddings) and not options.output:
        raise UsageError("--taggram and --embeddings add to the rows of --output, which is missing")


def _beam_options(argv: Sequence[str]) -> Any:
    """Beam's options; None, and no Beam, where none is given."""
    if not argv:
        return None
    from beam_pipelines.runtime.runners import parse_options

    return parse_options(argv)


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
        self.done = self.padded = 0
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
        workers = min(n_files, os.cpu_count() or 1, 8)
        rows = open_rows(output, self.wanted) if output else contextlib.nullcontext()
        try:
            with ThreadPoolExecutor(workers) as pool:
                # The first files are decoded while TensorFlow starts.
                tracks = decode_ahead(pool, self.paths, self.info, ahead=workers)
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
        job = Job(model, self.info, taggram, self.wanted.embeddings)
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

            step = self.info.spec.hop_length if self.info.frontend == LOG_MEL else 1
            seconds = self.info.window * step / self.info.spec.sample_rate
            draw_taggram(self.pictures[self.done], path, self.info.labels, result, seconds)
        self.padded += result.is_short
        self.done += 1
        return row

    def _summary(self) -> None:
        if self.padded:
            _say(
                f"{self.padded} of {self.done} files are shorter than the model's window "
                "and were padded with zeros"
            )
        if self.failed:
            why = ", ".join(f"{reason} {n}" for reason, n in sorted(self.reasons.items()))
            _say(f"{self.failed} of {self.done} files could not be tagged: {why}")
        if self.ignored:
            kinds = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)
            _say(f"other files ignored: {self.ignored:,} (only {kinds} are looked for)")


def decode_ahead(
    pool: ThreadPoolExecutor, paths: Sequence[str], info: ModelInfo, ahead: int
) -> Iterator[tuple[str, Track | str]]:
    """Decode files in threads, in order, never more than `ahead` before they are asked for.

    Yields
    ------
    str, Track or str
        The path and what :func:`serving.engine.batching.open_track` gives.
    """
    left = iter(paths)

    def submit(count: int) -> list[tuple[str, Any]]:
        return [(p, pool.submit(open_track, p, info)) for p in itertools.islice(left, count)]

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
    sys.stdout.flush()
    if bar and done < total:
        print(f"{done} of {total} files", end="", file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    run_command(main)

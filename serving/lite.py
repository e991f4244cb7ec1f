"""Tag audio files without TensorFlow: ``python -m serving.lite MODEL.tflite PATH [PATH ...]``.

Needs NumPy, soundfile, soxr and ai-edge-litert alone, and sounddevice to record.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from schemas.command import ArgumentParser, run_command
from schemas.errors import UsageError
from schemas.saved_model import WINDOWS, ModelInfo, find_lite_model, read_lite_info
from serving.inputs import find_audio
from serving.lite_model import load_lite_signature
from serving.rows import Row, Wanted, check_output, make_row, open_rows
from serving.stream import Track
from serving.tagging import open_track, tag_track

MOST_THREADS = 4  # more decode no faster than one model tags
BEST = 10  # tags of a file that the terminal shows
SECONDS = 30.0  # of a recording


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if there is a file that could not be tagged."""
    options = parse(argv)
    model = find_lite_model(options.model)
    info = read_lite_info(model)
    if options.record is not None:
        return record(model, options)
    wanted = Wanted(
        info.labels, options.threshold, options.top, options.taggram, options.embeddings
    )
    if options.output:
        check_output(options.output, wanted)
    return tag(find_audio(options.input), model, info, wanted, options.output)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command, checked as far as they can be without reading files."""
    parser = ArgumentParser(
        prog="python -m serving.lite",
        description="Tag audio files, or a recording, with a LiteRT model; without TensorFlow.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL.tflite",
        help="LiteRT model that the trainer exported, or a directory with one",
    )
    parser.add_argument(
        "input",
        nargs="*",
        metavar="PATH",
        help="audio files, and directories to search for MP3, WAV, FLAC and OGG",
    )
    parser.add_argument(
        "--record",
        type=float,
        nargs="?",
        const=SECONDS,
        metavar="SECONDS",
        help=f"tag a recording from the microphone, of {SECONDS:g} s if not said otherwise; "
        "serving.record does more",
    )
    parser.add_argument("--output", metavar="FILE", help="results, as .jsonl or .csv")
    parser.add_argument("--threshold", type=float, help="leave out tags with a lower score")
    parser.add_argument("--top", type=int, help="leave out all but so many best tags of a file")
    parser.add_argument("--taggram", action="store_true", help="add each window's scores")
    parser.add_argument(
        "--embeddings", action="store_true", help="add the features under the output layer"
    )
    options = parser.parse_args(argv)
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise UsageError(f"--threshold is {options.threshold}: scores lie between 0 and 1")
    if options.top is not None and options.top < 1:
        raise UsageError(f"--top is {options.top}: it must be 1 or more")
    if (options.record is None) != bool(options.input):
        raise UsageError("name audio files or directories, or --record (see --help)")
    if options.output and options.output.endswith(".parquet"):
        raise UsageError("serving.lite writes .jsonl or .csv; serving.predict also writes .parquet")
    for name in ("output", "threshold", "taggram", "embeddings"):
        if options.record is not None and getattr(options, name) not in (None, False):
            raise UsageError(f"--{name} is for files, not for --record; see also serving.record")
    return options


def record(model: str, options: argparse.Namespace) -> int:
    """Record and tag, as serving.record does by default."""
    from serving import record

    top = ["--top", str(options.top)] if options.top else []
    return record.main(["--model", model, "--seconds", str(options.record), *top])


def tag(
    paths: Sequence[str], model: str, info: ModelInfo, wanted: Wanted, output: str | None
) -> int:
    """Tag files in order and say what became of each; 1 if one could not be tagged."""
    workers = min(len(paths), os.cpu_count() or 1, MOST_THREADS)
    done = failed = padded = 0
    with ThreadPoolExecutor(workers) as pool, contextlib.ExitStack() as stack:
        writer = stack.enter_context(open_rows(output, wanted)) if output else None
        tracks = decode_ahead(pool, paths, info, workers)
        call = load_lite_signature(model, WINDOWS)  # while the first files are decoded
        try:
            for path, track in zip(paths, tracks, strict=True):
                result = tag_track(call, track, info)
                row = make_row(path, result, wanted)
                if writer:
                    writer.write(row)
                done += 1
                failed += result.error is not None
                padded += result.is_short
                show(row, done, len(paths))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            print(f"\nstopped after {done} of {len(paths)} files", file=sys.stderr)
            return 130
    if padded:
        print(
            f"{padded} of {len(paths)} files are shorter than the model's window "
            "and were padded with zeros",
            file=sys.stderr,
        )
    if failed:
        print(f"{failed} of {len(paths)} files could not be tagged", file=sys.stderr)
    return 1 if failed else 0


def decode_ahead(
    pool: ThreadPoolExecutor, paths: Sequence[str], info: ModelInfo, ahead: int
) -> Iterator[Track | str]:
    """Decode files in threads, in order, never more than `ahead` before they are asked for."""
    left = iter(paths)
    waiting = collections.deque(
        pool.submit(open_track, path, info) for path in itertools.islice(left, ahead)
    )

    def tracks() -> Iterator[Track | str]:
        while waiting:
            track = waiting.popleft().result()
            waiting.extend(
                pool.submit(open_track, path, info) for path in itertools.islice(left, 1)
            )
            yield track

    return tracks()


def show(row: Row, done: int, total: int) -> None:
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


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    run_command(main)

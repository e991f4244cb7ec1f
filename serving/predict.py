"""Tag audio files: ``python -m serving.predict --model DIR --input PATH [PATH ...]``."""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

import numpy as np

from beam_pipelines.audio import load_clip
from schemas.audio_spec import LOG_MEL, AudioSpec
from schemas.command import ArgumentParser, run_command
from schemas.errors import RunError, UsageError
from schemas.saved_model import ModelInfo, find_saved_model, read_model_info
from serving.inputs import find_audio
from serving.model import load_signature

BEST = 10  # tags of a file that the terminal shows
Clip = tuple[str, np.ndarray | None, str | None]  # path, audio, error


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if there is a file that could not be tagged."""
    options = parse(argv)
    model = find_saved_model(options.model)
    info = read_model_info(model)
    paths = find_audio(options.input)
    workers = min(len(paths), os.cpu_count() or 1, 8)
    done = failed = padded = 0
    try:
        with ThreadPoolExecutor(workers) as pool:
            # The first clips are decoded while TensorFlow starts.
            clips = decode_ahead(pool, paths, info.spec, ahead=workers)
            call = load_signature(model)
            with json_lines(options.output) as write:
                for clip in clips:
                    row = tag_clip(call, clip, options.threshold, options.top)
                    write(row)
                    done += 1
                    failed += row["error"] is not None
                    padded += row["error"] is None and is_short(clip[1], info)
                    show(row, done, len(paths))
    except (KeyboardInterrupt, BrokenPipeError) as error:
        kept = f"; their lines are in {partial(options.output)}" if options.output and done else ""
        print(f"\nstopped after {done} of {len(paths)} files{kept}", file=sys.stderr)
        if isinstance(error, BrokenPipeError):
            raise
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


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command, checked as far as they can be without reading files."""
    parser = ArgumentParser(prog="python -m serving.predict", description="Tag audio files.")
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
    parser.add_argument("--output", metavar="FILE.jsonl", help="JSON lines, one a file")
    parser.add_argument("--threshold", type=float, help="leave out tags with a lower score")
    parser.add_argument("--top", type=int, help="leave out all but so many best tags of a file")
    options = parser.parse_args(argv)
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise UsageError(f"--threshold is {options.threshold}: scores lie between 0 and 1")
    if options.top is not None and options.top < 1:
        raise UsageError(f"--top is {options.top}: it must be 1 or more")
    if options.output:
        folder = os.path.dirname(options.output) or "."
        is_other = os.path.exists(options.output) and not os.path.isfile(options.output)
        if is_other or not os.path.isdir(folder):
            raise UsageError(f"--output {options.output}: a file in a directory that exists")
    return options


def decode_ahead(
    pool: ThreadPoolExecutor, paths: Sequence[str], spec: AudioSpec, ahead: int
) -> Iterator[Clip]:
    """Decode clips in threads, in order, never more than `ahead` before they are asked for."""
    left = iter(paths)
    waiting = collections.deque(
        pool.submit(decode, path, spec) for path in itertools.islice(left, ahead)
    )

    def clips() -> Iterator[Clip]:
        while waiting:
            clip = waiting.popleft().result()
            waiting.extend(pool.submit(decode, path, spec) for path in itertools.islice(left, 1))
            yield clip

    return clips()


def decode(path: str, spec: AudioSpec) -> Clip:
    """Audio of a file as the model wants it: float32 [samples] at the rate of `spec`."""
    try:
        with open(path, "rb") as stream:
            return path, load_clip(stream.read(), spec).samples, None
    except OSError as error:
        return path, None, error.strerror
    except Exception as error:  # whatever a broken file does, the others go on
        return path, None, str(error) or type(error).__name__


def is_short(audio: np.ndarray, info: ModelInfo) -> bool:
    """Whether audio, float32 [samples], does not fill one window of the model."""
    length = info.spec.n_frames(len(audio)) if info.frontend == LOG_MEL else len(audio)
    return length < info.window


def tag_clip(
    call: Callable[[np.ndarray], dict[str, Any]],
    clip: Clip,
    threshold: float | None,
    top: int | None,
) -> dict[str, Any]:
    """Row of a clip: path, tags from the best down (ties as in the vocabulary), error."""
    path, audio, error = clip
    tags = []
    if error is None:
        try:
            outputs = call(audio[np.newaxis])
            tags = best_tags(outputs["tags"], outputs["scores"][0], threshold, top)
        except RunError as failure:
            error = str(failure)
    return {"path": path, "tags": tags, "error": error}


def best_tags(
    names: Sequence[str], scores: np.ndarray, threshold: float | None = None, top: int | None = None
) -> list[dict[str, Any]]:
    """Tags with their scores, the best first, at least `threshold`, at most `top`."""
    order = np.argsort(-scores, kind="stable")[:top]
    return [
        {"tag": names[i], "score": round(float(scores[i]), 6)}
        for i in order
        if threshold is None or scores[i] >= threshold
    ]


def partial(output: str) -> str:
    """Name of an output file while it is written."""
    return output + ".part"


@contextlib.contextmanager
def json_lines(output: str | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give a function that writes rows; the file has its name when the block ends well."""
    if output is None:
        yield lambda row: None
        return

    def write(row: dict[str, Any]) -> None:
        try:
            stream.write(json.dumps(row) + "\n")
            stream.flush()
        except OSError as error:
            with contextlib.suppress(OSError):  # it tries to write once more
                stream.close()
            raise RunError(
                f"{partial(output)} cannot be written: {error.strerror}; the lines so far are in it"
            ) from error

    with _create(partial(output)) as stream:
        yield write
    os.replace(partial(output), output)


def _create(path: str) -> TextIO:
    try:
        return open(path, "w", encoding="utf8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


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


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    run_command(main)

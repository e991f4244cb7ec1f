"""What serving.predict costs for a folder beside its parts.

``python -m tests.benchmarks.folder [--model model/tagger] [--input FOLDER] [--memory]``

A Beam run over the folder stands beside decoding and the model alone on as many threads;
imports and the model's loading are not in it. With ``--memory`` also the highest resident
memory for 10,000 links and for a file of 2 hours. Ends with exit code 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import soundfile
from threadpoolctl import threadpool_limits

from schemas.common.command import quiet
from schemas.common.cores import n_cores
from schemas.saved_model import WINDOWS, ModelInfo, find_saved_model, read_model_info
from serving import predict
from serving.engine.batching import batch_size, open_track, pack
from serving.engine.find_files import find_audio
from serving.engine.saved_model import load_signature
from serving.engine.track import Track

LINKS, HOURS = 10_000, 2
RATIO = 1.15  # of the parts
GIB = 2.0


def n_windows_of(track: Track | str) -> int:
    """Windows that the model sees of a file."""
    return 0 if isinstance(track, str) else len(track)


@contextlib.contextmanager
def timed(name: str, times: dict[str, np.ndarray]) -> Iterator[None]:
    """Keep the wall and the CPU time of a block, in s."""
    began = np.array([time.perf_counter(), time.process_time()])
    yield
    times[name] = np.array([time.perf_counter(), time.process_time()]) - began


def folder(model: str, info: ModelInfo, paths: list[str]) -> float:
    """Time a run over files and its two parts alone; gives their ratio."""
    call = load_signature(model, WINDOWS, n_callers=n_cores())
    times: dict[str, np.ndarray] = {}
    with (
        tempfile.TemporaryDirectory() as work,
        ThreadPoolExecutor(n_cores()) as pool,
        threadpool_limits(1),  # as the command has it; here NumPy was imported before
    ):

        def run(files: list[str]) -> None:
            output = os.path.join(work, "rows.jsonl")
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                predict.main(["--model", model, "--output", output, "--input", *files])

        some = [open_track(path, info) for path in paths[:20]]
        size = batch_size(info)
        batches = [b.windows for b in pack(enumerate(some), size) if b.windows is not None]
        n_windows = sum(len(windows) for windows in batches)
        list(pool.map(call, batches))
        run(paths[:8])
        with timed("an empty run", times):
            run(paths[:2])
        with timed("decode", times):
            lengths = list(pool.map(lambda path: n_windows_of(open_track(path, info)), paths))
        rounds = max(1, round(sum(lengths) / n_windows))
        with timed("model", times):
            list(pool.map(call, batches * rounds))
        times["model"] *= sum(lengths) / (rounds * n_windows)
        with timed("run", times):
            run(paths)
    parts = times["decode"] + times["model"]
    for name in ("decode", "model", "run"):
        wall, cpu = times[name] / len(paths) * 1000
        print(f"{name:7}{wall:7.1f} ms wall, {cpu:7.1f} ms CPU a file")
    whole = times["run"] - times["an empty run"]
    ratio, cpu = whole / parts
    print(
        f"{len(paths)} files, {sum(lengths)} windows, {n_cores()} cores: {ratio:.2f} of the parts "
        f"(CPU {cpu:.2f}), wanted at most {RATIO}; beside it {times['an empty run'][0]:.1f} s to "
        "load the model"
    )
    return ratio


def memory(model: str, paths: list[str]) -> float:
    """The highest resident memory in GiB of a run over a long file and over many files."""
    peak = 0.0
    with tempfile.TemporaryDirectory() as work:
        links = pathlib.Path(work, "links")
        links.mkdir()
        for i in range(LINKS):
            target = os.path.abspath(paths[i % len(paths)])
            (links / f"{i:05}{pathlib.Path(target).suffix}").symlink_to(target)
        long = os.path.join(work, "long.flac")
        noise = np.random.default_rng(0).normal(0, 0.1, (44100 * 60, 2))
        with soundfile.SoundFile(long, "w", 44100, 2) as file:
            for _ in range(HOURS * 60):
                file.write(noise)
        for name, path in ((f"{HOURS} hours", long), (f"{LINKS:,} files", str(links))):
            command = [sys.executable, "-m", "serving.predict", "--model", model, "--input", path]
            began = time.perf_counter()
            output = os.path.join(work, "rows.parquet")
            subprocess.run([*command, "--output", output], capture_output=True)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
            print(
                f"{name}: {peak:.2f} GiB at most, {time.perf_counter() - began:.0f} s", flush=True
            )
    return peak


def main() -> int:
    """Measure and judge; 0 if the limits are kept."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default=os.path.join("model", "tagger"))
    options.add_argument("--input", default=os.path.join("demo", "seed-0", "corpus", "7digital"))
    options.add_argument("--memory", action="store_true", help="takes some minutes")
    given = options.parse_args()
    quiet()
    model = find_saved_model(given.model)
    paths = find_audio([given.input])
    # First, for the parts are measured in this process.
    peak = memory(model, paths) if given.memory else 0.0
    ratio = folder(model, read_model_info(model), paths)
    return 0 if ratio <= RATIO and peak <= GIB else 1


if __name__ == "__main__":
    sys.exit(main())

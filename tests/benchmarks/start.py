"""From command to tags for one 30 s MP3, with the disk warm.

``python -m tests.benchmarks.start [--model model/tagger]``, a log-mel model that `make model`
left. Ends with exit code 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import soundfile

from schemas.saved_model import find_saved_model, lite_path, read_lite_info

RATE = 44_100
LITE_SECONDS = 1.0
PREDICT_RATIO = 1.5  # of importing TensorFlow alone


def write_song(path: str) -> None:
    """30 s of stereo noise in bursts, as MP3."""
    rng = np.random.default_rng(0)
    bursts = np.repeat(rng.uniform(0.01, 0.3, 60), RATE // 2)[:, np.newaxis]
    soundfile.write(path, rng.standard_normal((30 * RATE, 2)) * bursts, RATE, format="MP3")


def seconds(arguments: Sequence[str], runs: int) -> tuple[list[float], list[float]]:
    """Wall and CPU times of a Python command in s, the first run left out."""
    walls, cpus = [], []
    for _ in range(runs + 1):
        began, used = time.perf_counter(), os.times()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        walls.append(time.perf_counter() - began)
        cpus.append(sum(os.times()[2:4]) - sum(used[2:4]))  # of children
    return walls[1:], cpus[1:]


def main() -> int:
    """Measure and judge by the medians; 0 if both limits are kept."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default=os.path.join("model", "tagger"))
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    model = find_saved_model(given.model)
    print(f"{os.cpu_count()} cores, {read_lite_info(lite_path(model)).frontend}")
    with tempfile.TemporaryDirectory() as folder:
        song = os.path.join(folder, "song.mp3")
        write_song(song)
        commands = {
            "python -c pass": ["-c", "pass"],
            "serving.lite": ["-m", "serving.lite", lite_path(model), song],
            "import tensorflow": ["-c", "import tensorflow"],
            "serving.predict": ["-m", "serving.predict", "--model", model, "--input", song],
        }
        medians = {}
        for name, arguments in commands.items():
            walls, cpus = seconds(arguments, given.runs)
            medians[name] = statistics.median(walls)
            spread = f"({min(walls):.2f} to {max(walls):.2f})"
            cpu = statistics.median(cpus)
            print(f"{name:18}{medians[name]:6.2f} s  {spread:16} {cpu:6.2f} s CPU", flush=True)
    ratio = medians["serving.predict"] / medians["import tensorflow"]
    kept = medians["serving.lite"] <= LITE_SECONDS, ratio <= PREDICT_RATIO
    words = ["kept" if each else "MISSED" for each in kept]
    print(f"serving.lite: wanted at most {LITE_SECONDS} s: {words[0]}")
    print(f"serving.predict: {ratio:.2f} of the import, wanted at most {PREDICT_RATIO}: {words[1]}")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())

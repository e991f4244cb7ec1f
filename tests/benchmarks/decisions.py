"""What learnt thresholds come to on real sounds, and whether every command decides alike.

``python -m tests.benchmarks.decisions [WORK]``

On the corpus of the reference material (ORPHEUS_FIXTURES), its own split: one log-mel model of the
default settings, its thresholds learnt on the validation split, F1 on the test split beside fixed
cut-offs; then the test tracks' files through predict, lite and the page. WORK (demo/corpus) keeps
data set, job and reports; what is there is not done again. Half an hour on two cores. Ends with
exit code 1 if a decision differs that is not within rounding of its threshold.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import sys

import numpy as np
import pandas as pd

from schemas.saved_model import WINDOWS, find_saved_model, read_model_info
from serving.engine.saved_model import load_signature
from serving.webapp.tag_upload import Limits, tag_audio
from tests.benchmarks.commands import build_corpus, run

ROUNDING = 1e-3  # scores of LiteRT, and of a decoder's rounding, differ by less


def decided_by_files(name: str, rows: pathlib.Path) -> dict[str, set[str]]:
    """The tags of each file in the JSON lines of a command."""
    lines = map(json.loads, rows.read_text().splitlines())
    return {row["path"]: {each["tag"] for each in row["tags"]} for row in lines}


def main() -> int:
    """Train, evaluate, decide everywhere and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", nargs="?", default="demo/corpus", help="folder for everything")
    work = pathlib.Path(parser.parse_args().work)
    work.mkdir(parents=True, exist_ok=True)
    data, job = work / "data", work / "job"
    build_corpus(data)
    run("trainer.task", "--dataset", data, "--job_dir", job, "--resume",
        "--frontend", "log-mel-spectrogram", "--set", "epochs=25")  # fmt: skip
    report, scores = work / "decisions.json", work / "scores.parquet"
    run("trainer.evaluate", "--dataset", data, "--model", job, "--output", report,
        "--scores", scores, "--calibration", work / "calibration.png")  # fmt: skip

    info = read_model_info(find_saved_model(str(job)))
    tracks = pd.read_parquet(data / "tracks.parquet").set_index("track_id")
    table = pd.read_parquet(scores).set_index("track_id")
    audio = pathlib.Path(os.environ["ORPHEUS_FIXTURES"], "corpus", "7digital")
    paths = {tid: str(audio / tracks.loc[tid, "path"]) for tid in table.index}
    limits = np.float32(info.thresholds)
    expected = {
        paths[tid]: {tag for tag, has in zip(info.labels, row >= limits, strict=True) if has}
        for tid, row in zip(table.index, table.to_numpy(np.float32), strict=True)
    }
    files, auto = list(paths.values()), ["--threshold", "auto"]
    found = {}
    for name, arguments in (
        ("predict", ["serving.predict", "--model", job, "--input", *files]),
        ("lite", ["serving.lite", job, *files]),
    ):
        rows = work / f"{name}.jsonl"
        run(*arguments, "--output", rows, *auto)
        found[name] = decided_by_files(name, rows)
    model = load_signature(find_saved_model(str(job)), WINDOWS)
    found["page"] = {
        path: set(
            tag_audio(io.BytesIO(pathlib.Path(path).read_bytes()), model, info, Limits(10**8, 600))[
                "chosen"
            ]
        )
        for path in files
    }
    near = {
        (paths[tid], tag)
        for tid, row in zip(table.index, table.to_numpy(), strict=True)
        for tag, score, limit in zip(info.labels, row, limits, strict=True)
        if abs(score - limit) < ROUNDING
    }
    wrong = 0
    for name, decisions in found.items():
        differ = [(path, tag) for path, tags in expected.items() for tag in tags ^ decisions[path]]
        wrong += sum(pair not in near for pair in differ)
        print(
            f"{name}: {len(differ)} of {len(files) * len(info.labels):,} decisions differ from "
            f"evaluate's, {sum(pair not in near for pair in differ)} by more than rounding"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

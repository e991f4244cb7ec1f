"""The whole way on a small synthetic corpus: sample, build, train, evaluate, predict.

`make demo` runs it. It ends with exit code 1 if a command fails or the model has not
learnt what it should (or, with shuffled labels, what nothing can teach it).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import pyarrow.parquet

CLIPS = 240
SPLIT = "60,15,25"  # percent of the artists: leaves enough test tracks for steady figures
TAG_THRESHOLD = 10  # tracks that a tag of so small a corpus must have
EPOCHS = 30
WINDOW = 5  # s
ROC_AUC = (0.85, 1.0)  # macro, over tags with at least five positives in the test split
ROC_AUC_SHUFFLED = (0.35, 0.65)  # a coin gives 0.5

SAMPLE = "beam_pipelines.sample {at}/corpus --clips {clips} --seed {seed}"
BUILD = """beam_pipelines.build
    --audio_dir {at}/corpus/7digital --msd_summary {at}/corpus/msd_summary_file.h5
    --lastfm_db {at}/corpus/lastfm_tags.db --mismatches {at}/corpus/sid_mismatches.txt
    --duplicates {at}/corpus/msd_duplicates.txt --output {at}/dataset
    --audio_format log-mel-spectrogram --num_shards 8
    --split_percent {split} --tag_threshold {threshold} --tag_pool_threshold 1 --overwrite"""
TRAIN = """trainer.task --dataset {at}/dataset --job_dir {job} --frontend log-mel-spectrogram
    --epochs {epochs} --set seed={seed} window_seconds={window} shuffle_labels={shuffle}
    --overwrite"""
EVALUATE = (
    "trainer.evaluate --dataset {at}/dataset --model {job} --split test --output {job}/test.json"
)
PREDICT = "serving.predict --model {job} --input {at}/clips --output {job}/tags.jsonl --top 5"


def main() -> int:
    """Run all steps; 0 if the figure is where it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--output", default="demo", help="folder for all that is made")
    parser.add_argument("--seed", type=int, default=0, help="of the corpus and of the training")
    parser.add_argument(
        "--shuffle_labels", action="store_true", help="control: train on shuffled labels"
    )
    options = parser.parse_args()
    at = os.path.join(options.output, f"seed-{options.seed}")
    job = os.path.join(at, "job-shuffled" if options.shuffle_labels else "job")
    values = {
        **dict(at=at, job=job, seed=options.seed, shuffle=str(options.shuffle_labels).lower()),
        **dict(clips=CLIPS, split=SPLIT, threshold=TAG_THRESHOLD, epochs=EPOCHS, window=WINDOW),
    }
    began = time.monotonic()
    for command in (SAMPLE, BUILD, TRAIN, EVALUATE):
        run(command, values)
    link_test_clips(at)
    run(PREDICT, values)
    print(f"\nall in {time.monotonic() - began:.0f} s; everything is in {at}")
    return judge(os.path.join(job, "test.json"), options.shuffle_labels)


def run(command: str, values: dict[str, object]) -> None:
    """Run a module of the project as a user would; leave with its exit code if it fails."""
    arguments = [word.format(**values) for word in shlex.split(command)]
    print("\n$ python -m " + shlex.join(arguments), flush=True)
    began = time.monotonic()
    code = subprocess.run([sys.executable, "-m", *arguments]).returncode
    if code:
        sys.exit(code)
    print(f"({time.monotonic() - began:.0f} s)", flush=True)


def link_test_clips(at: str, count: int = 8) -> None:
    """Link some clips that the model has not seen into a folder of their own."""
    rows = pyarrow.parquet.read_table(os.path.join(at, "dataset", "tracks.parquet")).to_pylist()
    clips = os.path.join(at, "clips")
    shutil.rmtree(clips, ignore_errors=True)
    os.makedirs(clips)
    for row in [row for row in rows if row["split"] == "test"][:count]:
        source = os.path.abspath(os.path.join(at, "corpus", "7digital", row["path"]))
        os.symlink(source, os.path.join(clips, os.path.basename(source)))


def judge(report: str, shuffled: bool) -> int:
    """Print the figure and the thresholds; 0 if it lies between them."""
    with open(report, encoding="utf8") as stream:
        values = json.load(stream)
    steady = values["macro_min_positives"]
    low, high = ROC_AUC_SHUFFLED if shuffled else ROC_AUC
    area = steady["roc_auc"] or 0.0  # None where no tag has enough positives
    good = low <= area <= high
    print(
        f"split {SPLIT} by artist, {values['tracks']} test tracks"
        + (", trained on shuffled labels" if shuffled else "")
        + f"\nmacro ROC-AUC over the {steady['tags']} tags with at least "
        f"{steady['min_positives']} positives: {area:.3f}"
        f"\nwanted: {low} to {high}: {'passed' if good else 'FAILED'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

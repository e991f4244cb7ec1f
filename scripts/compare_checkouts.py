"""Whether this checkout gives the bytes and scores of another one.

    python -m scripts.compare_checkouts OTHER_CHECKOUT WORK_FOLDER

Both build the reference corpora (ORPHEUS_FIXTURES) and scan them. The other one trains a small
model; both export it and score with their export, which a training twice would not allow: its
sums depend on the threads' order. Data sets, tables and scores must have the same bytes. Ends
with 1 at a difference. Takes some three minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys

CORPUS_TAGS = "--tag_cleaning none --split {fixtures}/corpus/labels.csv --num_shards 6"
MINI = (
    "--tag_lists {fixtures}/tag-lists --tag_threshold 30 --tag_pool_threshold 2 --num_shards 6 "
    "--min_file_size 200000 --min_effective_length 15 --max_total_silence 3 --max_silence 1"
)
MSD = (
    "--audio_dir {fixtures}/{name}/7digital --msd_summary {fixtures}/{name}/msd_summary_file.h5 "
    "--lastfm_db {fixtures}/{name}/lastfm_tags.db "
    "--mismatches {fixtures}/{name}/sid_mismatches.txt "
    "--duplicates {fixtures}/{name}/msd_duplicates.txt"
)
DATASETS = {
    "corpus": f"{MSD} {CORPUS_TAGS}",
    "corpus-log-mel": f"{MSD} {CORPUS_TAGS} --audio_format log-mel-spectrogram",
    "mini-msd": f"{MSD} {MINI}",
}
TRAINING = (
    "trainer.task --dataset {at}/corpus-log-mel --job_dir {job} "
    "--frontend log-mel-spectrogram --epochs 1 --set window_seconds=3 top=10"
)
STEPS = (
    "beam_pipelines.scan --audio_dir {fixtures}/mini-msd/7digital --output {at}/scan.parquet",
    "trainer.export --job_dir {job} --output {at}/tagger",
    "trainer.evaluate --dataset {at}/corpus-log-mel --model {at}/tagger --split test "
    "--output {at}/test.json --scores {at}/scores.csv",
    "serving.predict --model {at}/tagger --input {music} --output {at}/tags.jsonl "
    "--taggram --embeddings",
    "serving.lite {at}/tagger {music} --output {at}/lite.jsonl --taggram",
)
# The manifest's own half is compared below; the transform's graph, and its fingerprint, are
# TensorFlow's to write: a temporary path is in them.
UNLIKE = ("dataset.json", "saved_model.pb", "fingerprint.pb")
TABLES = ("scan.parquet", "scan.rejects.parquet", "scores.csv", "tags.jsonl", "lite.jsonl")


def main() -> int:
    """Run both checkouts and compare what they wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=pathlib.Path, help="checkout to compare with")
    parser.add_argument("work", type=pathlib.Path, help="folder for all that is made")
    options = parser.parse_args()
    places = {"other": options.other.resolve(), "this": pathlib.Path(__file__).parents[1]}
    for name, checkout in places.items():
        run_all(checkout, (options.work / name).resolve(), options.work.resolve() / "job")
    other, this = (found(options.work / name) for name in places)
    different = [name for name in sorted(other | this) if other.get(name) != this.get(name)]
    for name in different:
        print(f"DIFFERENT: {name}")
    print(f"{len(other)} files and data parts compared, {len(different)} different")
    return 1 if different or not other else 0


def run_all(checkout: pathlib.Path, at: pathlib.Path, job: pathlib.Path) -> None:
    """Every step with the code of a checkout, unless it was done; the first one trains."""
    fixtures = os.environ["ORPHEUS_FIXTURES"]
    at.mkdir(parents=True, exist_ok=True)
    for name, options in DATASETS.items():
        source = name.removesuffix("-log-mel")
        run(checkout, f"beam_pipelines.build {options} --output {at}/{name}", at, name=source)
    if not job.exists():
        run(checkout, TRAINING, at, job=job)
    for number, step in enumerate(STEPS):
        done = at / f"step-{number}"
        if not done.exists():
            run(checkout, step, at, job=job, music=f"{fixtures}/corpus/7digital/1/2")
            done.touch()


def run(checkout: pathlib.Path, command: str, at: pathlib.Path, **values: object) -> None:
    """One command of a checkout; ends the comparison if it fails."""
    text = command.format(at=at, fixtures=os.environ["ORPHEUS_FIXTURES"], **values)
    print(f"$ python -m {text}", flush=True)
    done = subprocess.run([sys.executable, "-m", *text.split()], cwd=checkout)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode} in {checkout}")


def found(at: pathlib.Path) -> dict[str, str]:
    """SHA-256 of what must be the same; of a manifest the part that the inputs make."""
    files = {name: at / name for name in TABLES}
    sums = {}
    for dataset in DATASETS:
        manifest = json.loads((at / dataset / "dataset.json").read_text("utf8"))
        sums[f"{dataset}: data"] = json.dumps(manifest["data"])
        for path in sorted((at / dataset).rglob("*")):
            if path.is_file() and path.name not in UNLIKE:
                files[str(path.relative_to(at))] = path
    return sums | {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }


if __name__ == "__main__":
    sys.exit(main())

"""What starting from a published network is worth: fine-tuning beside training from scratch.

``python -m tests.benchmarks.fine_tune [WORK] [--seeds 0 1 2] [--epochs 10] [--set freeze=…]``

On the corpus of the reference material (ORPHEUS_FIXTURES), for each seed: MSD_musicnn with a
new output layer, and the same network untrained, for as many epochs and so in the same CPU
time, which is measured (freezing only makes the first the quicker one). WORK (demo/fine_tune)
keeps data set, network, jobs and reports: what is there is not done again. Writes
WORK/table.md; ends with exit code 1 if the margin of the macro ROC-AUC on the test split, over
tags with at least five positives, is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import sys

from tests.corpora import CORPUS_TAGS, msd_options
from trainer.musicnn_package import SPEC

MARGIN = 0.03  # of the macro ROC-AUC, mean over the seeds
SAME_CPU = 0.95  # the training from scratch has at least this share
SPECTRUM = [
    f"--{name}={getattr(SPEC, name)}"
    for name in ("sample_rate", "n_mels", "n_fft", "hop_length", "compression")
]


def run(module: str, *arguments) -> float:
    """Run a command of the project; gives its CPU time in s, or ends with its exit code."""
    argv = [sys.executable, "-m", module, *map(str, arguments)]
    print("$", " ".join(["python", *argv[1:]]), flush=True)
    _, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, argv), 0)
    if status:
        raise SystemExit(os.waitstatus_to_exitcode(status))
    return usage.ru_utime + usage.ru_stime


def prepare(work: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The corpus as the network wants it, and the network."""
    data, network = work / "data", work / "MSD_musicnn"
    corpus = pathlib.Path(os.environ["ORPHEUS_FIXTURES"], "corpus")
    if not (data / "dataset.json").exists():
        options = [*msd_options(corpus, data), *CORPUS_TAGS, *SPECTRUM]
        split = ["--split", corpus / "labels.csv", "--num_shards", 12]
        run("beam_pipelines.build", *options, "--audio_format", "log-mel-spectrogram", *split)
    if not network.exists():
        run("trainer.import_pretrained", "MSD_musicnn", "--output", network)
    return data, network


def score(work: pathlib.Path, name: str, data: pathlib.Path, *arguments) -> dict[str, float]:
    """Train and evaluate; gives the CPU time of the training and the areas on the test split."""
    job, result = work / f"job-{name}", work / f"{name}.json"
    if not result.exists():
        seconds = run(
            "trainer.task", "--dataset", data, "--job_dir", job, "--overwrite", *arguments
        )
        report = work / f"report-{name}.json"
        evaluate = ["--dataset", data, "--model", job, "--output", report, "--resamples", 0]
        run("trainer.evaluate", *evaluate)
        areas = json.loads(report.read_text())["macro_min_positives"]
        found = {"cpu": seconds, "roc_auc": areas["roc_auc"], "pr_auc": areas["pr_auc"]}
        result.write_text(json.dumps(found) + "\n")
    return json.loads(result.read_text())


def main() -> int:
    """Train both ways for each seed and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", nargs="?", default="demo/fine_tune", help="folder for everything")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10, help="of either training")
    parser.add_argument(
        "--set",
        nargs="+",
        default=["freeze=embedding", "learning_rate=0.03"],
        metavar="KEY=VALUE",
        help="settings of the fine-tuning alone (default: freeze=embedding learning_rate=0.03)",
    )
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    data, network = prepare(work)
    seconds = json.loads((network / "config.json").read_text())["model-training"]["window_seconds"]
    lines = [
        f"{options.epochs} epochs, fine-tuned with {' '.join(options.set)}; test split, macro over "
        "tags with at least five positives",
        "",
        "| seed | from | CPU s | ROC-AUC | PR-AUC |",
        "|---|---|---|---|---|",
    ]
    gains, shares = [], []
    for seed in options.seeds:
        common = [f"seed={seed}", f"epochs={options.epochs}"]
        runs = {
            "MSD_musicnn": ["--init_from", network, "--set", *options.set],
            "scratch": ["--set", "name=musicnn", f"window_seconds={seconds}"],
        }
        found = {}
        for start, arguments in runs.items():
            own = options.set if start == "MSD_musicnn" else []
            name = "-".join([start, *common, *own])
            found[start] = score(work, name, data, *arguments, *common)
            areas = " | ".join(f"{100 * found[start][area]:.1f}" for area in ("roc_auc", "pr_auc"))
            lines.append(f"| {seed} | {start} | {found[start]['cpu']:.0f} | {areas} |")
        tuned, scratch = found.values()
        gains.append(tuned["roc_auc"] - scratch["roc_auc"])
        shares.append(scratch["cpu"] / tuned["cpu"])
    gain, share = statistics.mean(gains), min(shares)
    lines += [
        "",
        f"ROC-AUC higher by {100 * gain:.1f} in the mean, {100 * min(gains):.1f} at the least; "
        f"wanted {100 * MARGIN:.1f}. CPU time of scratch: at least {share:.2f} of the other's.",
    ]
    (work / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(["", *lines]))
    return 0 if gain >= MARGIN and min(gains) > 0 and share >= SAME_CPU else 1


if __name__ == "__main__":
    sys.exit(main())

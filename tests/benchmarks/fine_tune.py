"""What starting from a published network is worth: fine-tuning beside training from scratch.

``python -m tests.benchmarks.fine_tune [WORK] [--seeds 0 1 2]``

On the corpus of the reference material (ORPHEUS_FIXTURES): MSD_musicnn with a new output
layer, and the same network untrained, in the same CPU time: an epoch costs 2.7 times as much
where nothing is frozen, so there are fewer of them, and what was spent is measured. For either
way the settings are chosen among a few by the validation split, with a seed of their own; then
each seed is trained with them and evaluated on the test split. WORK (demo/fine_tune) keeps data
set, network, jobs and reports: what is there is not done again. Writes WORK/table.md; ends with
exit code 1 if the margin of the macro ROC-AUC on the test split, over tags with at least five
positives, is missed.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys

from tests.benchmarks.commands import build_corpus, run
from trainer.models.musicnn_package import SPEC

MARGIN = 0.03  # of the macro ROC-AUC, mean over the seeds
SAME_CPU = 0.95  # the training from scratch has at least this share
CHOICE_SEED = 100  # none of those that are compared
CHOICES = {
    "MSD_musicnn": [
        "epochs=10 freeze=embedding learning_rate=0.003",
        "epochs=10 freeze=embedding learning_rate=0.01",
        "epochs=10 freeze=embedding learning_rate=0.03",
        "epochs=10 freeze=front_end learning_rate=0.001",
        "epochs=10 freeze=front_end learning_rate=0.003",
        "epochs=10 freeze=front_end learning_rate=0.01",
        "epochs=4 learning_rate=0.001",
    ],
    "scratch": [
        "epochs=4 learning_rate=0.001",
        "epochs=4 learning_rate=0.003",
        "epochs=4 learning_rate=0.01",
        "epochs=4 learning_rate=0.03",
    ],
}
SPECTRUM = [
    f"--{name}={getattr(SPEC, name)}"
    for name in ("sample_rate", "n_mels", "n_fft", "hop_length", "compression")
]


def prepare(work: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The corpus as the network wants it, and the network."""
    data, network = work / "data", work / "MSD_musicnn"
    build_corpus(data, *SPECTRUM, "--audio_format", "log-mel-spectrogram")
    if not network.exists():
        run("trainer.import_pretrained", "MSD_musicnn", "--output", network)
    return data, network


class Trainings:
    """Trains with either start; what is there already is not trained again."""

    def __init__(self, work: pathlib.Path) -> None:
        self.work = work
        self.data, network = prepare(work)
        begun = json.loads((network / "config.json").read_text())["model-training"]
        self.starts = {
            "MSD_musicnn": ["--init_from", network, "--set"],
            "scratch": ["--set", "name=musicnn", f"window_seconds={begun['window_seconds']}"],
        }

    def train(self, start: str, settings: str, seed: int) -> tuple[pathlib.Path, float, float]:
        """The job, its CPU time in s and its best macro ROC-AUC on the validation split."""
        settings = [f"seed={seed}", *settings.split()]
        job = self.work / "-".join([start, *settings])
        cost = job / "cpu_seconds.json"
        if not cost.exists():
            to = ["--dataset", self.data, "--job_dir", job, "--overwrite"]
            seconds = run("trainer.task", *to, *self.starts[start], *settings)
            cost.write_text(json.dumps(seconds))
        best = json.loads((job / "metrics.json").read_text())["best"]
        return job, json.loads(cost.read_text()), best["val_macro_roc_auc"]

    def choose(self, start: str) -> tuple[str, list[str]]:
        """The settings with the best score on the validation split; rows of all of them."""
        scores = {x: self.train(start, x, CHOICE_SEED)[2] for x in CHOICES[start]}
        rows = [f"| {start} | {x} | {100 * score:.1f} |" for x, score in scores.items()]
        return max(scores, key=scores.__getitem__), rows

    def score(self, start: str, settings: str, seed: int) -> tuple[float, float, float]:
        """CPU time of a training in s, its ROC and PR areas on the test split."""
        job, seconds, _ = self.train(start, settings, seed)
        report = job / "test.json"
        if not report.exists():
            to = ["--dataset", self.data, "--model", job, "--output", report]
            run("trainer.evaluate", *to, "--resamples", 0)
        areas = json.loads(report.read_text())["macro_min_positives"]
        return seconds, areas["roc_auc"], areas["pr_auc"]


def main() -> int:
    """Train both ways for each seed and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", nargs="?", default="demo/fine_tune", help="folder for everything")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    trainings = Trainings(work)
    lines = [
        f"Chosen by the validation split (macro ROC-AUC, seed {CHOICE_SEED}):",
        "",
        "| from | settings | validation |",
        "|---|---|---|",
    ]
    chosen = {}
    for start in CHOICES:
        chosen[start], rows = trainings.choose(start)
        lines += rows
    lines += [
        "",
        *(f"{start}: {settings}." for start, settings in chosen.items()),
        "Test split, macro over tags with at least five positives:",
        "",
        "| seed | from | CPU s | ROC-AUC | PR-AUC |",
        "|---|---|---|---|---|",
    ]
    gains, shares = [], []
    for seed in options.seeds:
        found = {start: trainings.score(start, chosen[start], seed) for start in chosen}
        for start, (cpu, roc, pr) in found.items():
            lines.append(f"| {seed} | {start} | {cpu:.0f} | {100 * roc:.1f} | {100 * pr:.1f} |")
        tuned, scratch = found.values()
        gains.append(tuned[1] - scratch[1])
        shares.append(scratch[0] / tuned[0])
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

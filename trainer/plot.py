"""``python -m trainer.plot``: the curves of trainings, and what tags score, as pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence

from schemas.common.command import ArgumentParser, run_command
from trainer.evaluation.figures import check_place, plot_runs, read_epochs, save_figure


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.plot",
        description="Draw the curves of one or several trainings: loss, validation areas, "
        "learning rate. A dot is the epoch that was kept as the best.",
    )
    options.add_argument(
        "job_dirs", metavar="JOB_DIR", nargs="+", help="directories that trainer.task wrote"
    )
    options.add_argument(
        "--output", metavar="FILE.png", default="curves.png", help="the picture to write"
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Read the runs and draw them."""
    options = parser().parse_args(argv)
    check_place(options.output)
    runs = {name: read_epochs(job) for name, job in zip(*_names(options.job_dirs), strict=True)}
    save_figure(plot_runs(runs), options.output)
    print(f"wrote {options.output}")
    return 0


def _names(job_dirs: Sequence[str]) -> tuple[list[str], list[str]]:
    """What to call the runs: the last part of their paths where that tells them apart."""
    paths = list(dict.fromkeys(os.path.normpath(path) for path in job_dirs))
    short = [os.path.basename(os.path.abspath(path)) for path in paths]
    return (short if len(set(short)) == len(short) else paths), paths


if __name__ == "__main__":
    run_command(main)

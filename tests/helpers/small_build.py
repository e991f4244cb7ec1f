"""A build of forty short files, whole or stopped before its end."""

import csv
import pathlib
from collections.abc import Callable

import numpy as np
import soundfile

from beam_pipelines import build
from beam_pipelines.dataset import claim, options
from beam_pipelines.dataset.inputs import look
from beam_pipelines.runtime.runners import parse_options


def write_music(folder: pathlib.Path, number: int = 40) -> None:
    """Write so many files of noise, by ten artists, and the table of them and one more."""
    lines = [["path", "tags", "artist"]]
    for k in range(number):
        path = f"{k % 5}/{k}.wav"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * np.random.default_rng(k).normal(size=4000)
        soundfile.write(folder / path, samples, 8000, "PCM_16")
        lines.append([path, "pop" if k % 2 else "rock|pop", f"artist {k % 10}"])
    lines.append(["gone.wav", "rock", ""])  # a reject of the plan
    with open(folder / "songs.csv", "w", newline="", encoding="utf8") as stream:
        csv.writer(stream).writerows(lines)


def small_options(folder: pathlib.Path, output: pathlib.Path, *more: str) -> list[str]:
    """Options of their build."""
    own = ["--manifest", str(folder / "songs.csv"), "--output", str(output)]
    form = ["--sample_rate", "8000", "--num_shards", "6", "--split_percent", "50,20,30"]
    return [*own, *form, *more]


def build_unfinished(arguments: list[str], before_write: Callable[[], None] = lambda: None) -> None:
    """Do all of a build but its last step, as if it had been killed there."""
    args, rest = options.build_parser().parse_known_args(arguments)
    options.check_together(args)
    inputs = look(args)
    with claim.claim(args.output, inputs.plan_id, args.overwrite) as state:
        assert isinstance(state, claim.Claim)
        planned = build.make_plan(args, inputs, state.work, rest)
        before_write()
        build.write_missing(args, planned, state.work, (), parse_options(rest))

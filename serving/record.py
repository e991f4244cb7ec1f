"""Tag what a microphone hears: ``python -m serving.record --model DIR --seconds 30``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from schemas.common.arguments import not_negative_int, positive_int
from schemas.common.command import ArgumentParser, print_any_name, run_command
from schemas.common.errors import UsageError
from serving.output.row_options import add_threshold
from serving.recording.session import Wishes, open_model, record


def main(argv: Sequence[str]) -> int:
    """Record and tag; 1 if the microphone or the file failed on the way."""
    model, wishes = parse(argv)
    info, load = open_model(model)
    return record(info, load, wishes)


def parse(argv: Sequence[str]) -> tuple[str, Wishes]:
    """The model and the other options of the command, checked."""
    parser = ArgumentParser(
        prog="python -m serving.record",
        description="Record from a microphone and tag what was heard. Ctrl-C ends the recording "
        "earlier.",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="job directory of the trainer, a SavedModel it exported, or a .tflite file",
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to record")
    parser.add_argument("--device", help="number, or part of the name, of the input device")
    parser.add_argument(
        "--countdown",
        type=not_negative_int,
        default=3,
        metavar="SECONDS",
        help="counted before it begins",
    )
    parser.add_argument(
        "--live", action="store_true", help="show the tags of the last window every second"
    )
    parser.add_argument("--output", metavar="FILE.wav", help="write the recording, as it came")
    parser.add_argument(
        "--top", type=positive_int, default=10, help="how many of the best tags to show"
    )
    add_threshold(parser)
    options = parser.parse_args(argv)
    fields = [field.name for field in dataclasses.fields(Wishes)]
    wishes = Wishes(**{name: getattr(options, name) for name in fields})
    if options.output:
        folder = os.path.dirname(options.output) or "."
        is_other = os.path.exists(options.output) and not os.path.isfile(options.output)
        if not options.output.lower().endswith(".wav") or is_other or not os.path.isdir(folder):
            raise UsageError(f"--output {options.output}: a .wav file in a directory that exists")
    return options.model, wishes


if __name__ == "__main__":
    print_any_name()
    run_command(main)

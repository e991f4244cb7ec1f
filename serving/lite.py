"""Tag audio files without TensorFlow: ``python -m serving.lite MODEL.tflite PATH [PATH ...]``.

Needs NumPy, soundfile, soxr and ai-edge-litert alone, and sounddevice to record.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from schemas.audio_files import KINDS
from schemas.common.command import ArgumentParser, print_any_name, run_command
from schemas.common.errors import UsageError
from schemas.common.stopping import exit_code
from schemas.saved_model import find_lite_model, read_lite_info
from serving.engine.find_files import find_inputs
from serving.engine.litert import load_lite_signature
from serving.engine.run import Work
from serving.output.row_options import add_row_options, check_row_options, lowest_scores
from serving.output.rows import Wanted, check_output

SECONDS = 30.0  # of a recording


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if there is a file that could not be tagged."""
    options = parse(argv)
    model = find_lite_model(options.model)
    info = read_lite_info(model)
    if options.record is not None:
        return _record(model, options)
    lowest = lowest_scores(options.threshold, info)
    wanted = Wanted(info.labels, lowest, options.top, options.taggram, options.embeddings)
    if options.output:
        check_output(options.output, wanted)
    work = Work(options, model, info, wanted, find_inputs(options.input))
    try:
        work.here(load_lite_signature)
    except KeyboardInterrupt as stop:
        return exit_code(stop)
    return 1 if work.failed else 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command, checked as far as they can be without reading files."""
    parser = ArgumentParser(
        prog="python -m serving.lite",
        description="Tag audio files, or a recording, with a LiteRT model; without TensorFlow.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL.tflite",
        help="LiteRT model that the trainer exported, or a directory with one",
    )
    parser.add_argument(
        "input",
        nargs="*",
        metavar="PATH",
        help=f"audio files, and directories to search for them ({KINDS})",
    )
    parser.add_argument(
        "--record",
        type=float,
        nargs="?",
        const=SECONDS,
        metavar="SECONDS",
        help=f"tag a recording from the microphone, of {SECONDS:g} s if not said otherwise; "
        "serving.record does more",
    )
    parser.add_argument("--output", metavar="FILE", help="results, as .jsonl or .csv")
    add_row_options(parser)
    parser.set_defaults(plot=None)
    options = parser.parse_args(argv)
    if (options.record is None) != bool(options.input):
        raise UsageError("name audio files or directories, or --record (see --help)")
    if options.output and options.output.endswith(".parquet"):
        raise UsageError("serving.lite writes .jsonl or .csv; serving.predict also writes .parquet")
    for name in ("output", "taggram", "embeddings"):
        if options.record is not None and getattr(options, name) not in (None, False):
            raise UsageError(f"--{name} is for files, not for --record; see also serving.record")
    if options.record is None:
        check_row_options(options)
    return options


def _record(model: str, options: argparse.Namespace) -> int:
    """Record and tag, as serving.record does by default."""
    from serving.recording.session import Wishes, open_model, record

    top = {} if options.top is None else {"top": options.top}
    wishes = Wishes(options.record, threshold=options.threshold, **top)
    info, load = open_model(model)
    return record(info, load, wishes)


if __name__ == "__main__":
    print_any_name()
    run_command(main)

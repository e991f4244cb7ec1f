"""Tag audio files: ``python -m serving.predict --model DIR --input PATH [PATH ...]``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from schemas.audio_files import KINDS
from schemas.common.command import ArgumentParser, print_any_name, run_command
from schemas.common.errors import UsageError
from schemas.common.stopping import exit_code
from schemas.saved_model import find_saved_model, read_model_info
from serving.engine.find_files import find_inputs
from serving.engine.run import Work
from serving.output.row_options import add_row_options, check_row_options, lowest_scores
from serving.output.rows import Wanted, check_output


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if there is a file that could not be tagged."""
    options, rest = parse(argv)
    beam_options = _beam_options(rest)
    model = find_saved_model(options.model)
    info = read_model_info(model)
    lowest = lowest_scores(options.threshold, info)
    wanted = Wanted(info.labels, lowest, options.top, options.taggram, options.embeddings)
    if options.output:
        check_output(options.output, wanted)
    work = Work(options, model, info, wanted, find_inputs(options.input))
    try:
        if options.output and len(work.paths) > 1:
            work.with_beam(beam_options or _beam_options(["--runner=DirectRunner"]))
        else:
            work.here()
    except KeyboardInterrupt as stop:
        return exit_code(stop)
    return 1 if work.failed else 0


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our own options, checked as far as they can be without reading files, and the others."""
    parser = ArgumentParser(
        prog="python -m serving.predict",
        description="Tag audio files of any length. With --output and more than one file the "
        "work is a Beam pipeline: started again with the same command, a killed run does what "
        "is missing.",
        epilog="All of Beam's options are taken too: --runner (DirectRunner by default, on every "
        "core), --direct_num_workers, those of your runner. Exit codes: 0 done, 1 failed or a "
        "file could not be tagged, 2 wrong arguments or input.",
    )
    parser.add_argument(
        "--model", required=True, help="job directory of the trainer, or a SavedModel it exported"
    )
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="PATH",
        help=f"audio files, and directories to search for them ({KINDS})",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the rows, one a file, in the order of the input: FILE.jsonl, FILE.csv (a column a "
        "tag) or FILE.parquet; without it the best tags are only shown",
    )
    add_row_options(parser)
    parser.add_argument(
        "--plot", metavar="DIR", help="draw the best tags over time, DIR/…/NAME.png for each file"
    )
    options, rest = parser.parse_known_args(argv)
    check_row_options(options)
    if options.plot and os.path.exists(options.plot) and not os.path.isdir(options.plot):
        raise UsageError(f"--plot {options.plot}: a directory, made if it is not there")
    return options, rest


def _beam_options(argv: Sequence[str]) -> Any:
    """Beam's options; None, and no Beam, where none is given."""
    if not argv:
        return None
    from beam_pipelines.runtime.runners import parse_options

    return parse_options(argv)


if __name__ == "__main__":
    print_any_name()
    run_command(main)

"""``python -m trainer.export``: write a tagger as a SavedModel that stands alone, and for LiteRT.

From Python also the way back: :func:`load_tagger`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from schemas.common.command import ArgumentParser, import_tensorflow, run_command
from schemas.config import read_config
from schemas.saved_model import lite_path
from trainer.job.directory import BEST, CONFIG, find_checkpoint
from trainer.tagger.litert import check_lite_place, export_lite
from trainer.tagger.saved_model import check_place, export_saved_model
from trainer.training.fine_tune import inherited_licence


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.export",
        description="Write a checkpoint of a training as a SavedModel, raw audio in, tags out, and "
        "beside it as OUTPUT.tflite for LiteRT.",
    )
    options.add_argument("--job_dir", required=True, help="directory that trainer.task wrote")
    options.add_argument(
        "--checkpoint", metavar="NAME", default=BEST, help="as in JOB_DIR/checkpoints: epoch-07"
    )
    options.add_argument(
        "--output", required=True, help="directory to write; an exported model there is replaced"
    )
    options.add_argument(
        "--licence",
        help="terms of use of the weights, kept inside the model; by default those that the "
        "job's own export has",
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Read the checkpoint and export it."""
    options = parser().parse_args(argv)
    checkpoint = find_checkpoint(options.job_dir, options.checkpoint)
    config = read_config(os.path.join(options.job_dir, CONFIG))
    check_place(options.output)
    check_lite_place(lite_path(options.output))
    import_tensorflow()
    from trainer.tagger.clip_tagger import config_tagger, read_checkpoint

    licence = options.licence
    if licence is None:
        licence = inherited_licence(options.job_dir)
    tagger = config_tagger(read_checkpoint(checkpoint), config, licence)
    export_saved_model(tagger, options.output)
    lite = export_lite(options.output)
    print(f"exported {checkpoint} to {options.output} and {lite}")
    return 0


if __name__ == "__main__":
    run_command(main)

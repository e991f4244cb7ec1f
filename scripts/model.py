"""A model to try the service with: ``model/tagger`` and, for LiteRT, ``model/tagger.tflite``.

`make model` runs it. It takes the model that `make demo` trained, or trains it; what is
already there is left as it is.
"""

from __future__ import annotations

import argparse
import os

from schemas.common.errors import UsageError
from schemas.saved_model import find_saved_model, lite_path, read_lite_info, read_model_info
from scripts.demo import BUILD, CLIPS, EPOCHS, SAMPLE, SPLIT, TAG_THRESHOLD, TRAIN, WINDOW, run

EXPORT = "trainer.export --job_dir {job} --output {tagger}"


def main() -> None:
    """Train unless that was done, and export unless that was done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", default="model", help="folder for the model (default: model)")
    parser.add_argument(
        "--work", default="demo", help="folder for the sample corpus and the job (default: demo)"
    )
    options = parser.parse_args()
    at = os.path.join(options.work, "seed-0")
    job, tagger = os.path.join(at, "job"), os.path.join(options.output, "tagger")
    values = {
        **dict(at=at, job=job, tagger=tagger, seed=0, shuffle="false"),
        **dict(clips=CLIPS, split=SPLIT, threshold=TAG_THRESHOLD, epochs=EPOCHS, window=WINDOW),
    }
    if not is_exported(tagger):
        if not is_trained(job):
            for command in (SAMPLE, BUILD, TRAIN):
                run(command, values)
        run(EXPORT, values)
    print(
        f"\n{tagger} and {lite_path(tagger)} are there. To try them:"
        f"\n  python -m serving.lite {lite_path(tagger)} SONG.mp3"
        f"\n  python -m serving.predict --model {tagger} --input SONG.mp3"
        f"\n  python -m serving.record --model {tagger} --live"
        f"\n  python -m serving.web --model {tagger}"
    )


def is_exported(tagger: str) -> bool:
    """Whether both forms of the model are there and say the same."""
    try:
        return read_model_info(tagger) == read_lite_info(lite_path(tagger))
    except UsageError:
        return False


def is_trained(job: str) -> bool:
    """Whether a job has come to its end: the export is its last step."""
    try:
        return bool(find_saved_model(job))
    except UsageError:
        return False


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None

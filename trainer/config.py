"""``python -m trainer.config``: write the configuration of an experiment to start from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from schemas.common.command import ArgumentParser, import_tensorflow, run_command
from schemas.common.errors import UsageError
from schemas.common.files import write_text
from schemas.config import Config, read_config

_PRESETS = os.path.join(os.path.dirname(__file__), "presets")


def preset_names() -> list[str]:
    """Names of the published experiments that a configuration can start from."""
    return sorted(name.removesuffix(".json") for name in os.listdir(_PRESETS))


def preset_file(name: str) -> str:
    """Path of the configuration file of a preset.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in preset_names():
        raise UsageError(f"there is no preset {name!r}: allowed are {', '.join(preset_names())}")
    return os.path.join(_PRESETS, f"{name}.json")


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.config",
        description="Write a configuration for trainer.task: the defaults, or a published "
        "experiment, with settings of your own. What is null is decided by the model or by the "
        "data set. trainer.task --help explains every key.",
    )
    options.add_argument("--write", metavar="FILE", required=True, help="the JSON file to write")
    options.add_argument(
        "--preset", metavar="NAME", help=f"start from an experiment: {', '.join(preset_names())}"
    )
    options.add_argument(
        "settings",
        metavar="KEY=VALUE",
        nargs="*",
        help="settings that win: section.key, or the key alone if only one section has it",
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Check the settings and write the file."""
    options = parser().parse_args(argv)
    if os.path.lexists(options.write):
        raise UsageError(f"{options.write} is already there: choose another name")
    if not os.path.isdir(os.path.dirname(os.path.abspath(options.write))):
        raise UsageError(f"{options.write}: there is no such directory")
    config = read_config(
        options.preset and preset_file(options.preset), options.settings, option="setting"
    )
    _check_names(config)
    write_text(options.write, json.dumps(config.to_json(), indent=2, ensure_ascii=False) + "\n")
    print(f"wrote {options.write}: trainer.task --config {options.write}")
    return 0


def _check_names(config: Config) -> None:
    """Only Keras knows its optimizers and our models; the presets' own need not wait for it."""
    usual = Config()
    if (config.model.name, config.training.optimizer) != (
        usual.model.name,
        usual.training.optimizer,
    ):
        import_tensorflow()
        from trainer.training.assemble import fill_options

        fill_options(config)


if __name__ == "__main__":
    run_command(main)

"""The console commands: ``orpheus-build`` is ``python -m beam_pipelines.build``, and so on."""

from __future__ import annotations

import os
import runpy
import sys

# Command without "orpheus-", its module, the extra that brings what it needs.
COMMANDS = {
    "build": ("beam_pipelines.build", "data"),
    "clean-tags": ("beam_pipelines.clean_tags", "data"),
    "config": ("trainer.config", "train"),
    "evaluate": ("trainer.evaluate", "train"),
    "export": ("trainer.export", "train"),
    "import-pretrained": ("trainer.import_pretrained", "train"),
    "lite": ("serving.lite", ""),
    "plot": ("trainer.plot", "train"),
    "predict": ("serving.predict", "serve"),
    "record": ("serving.record", "record"),
    "sample": ("beam_pipelines.sample", "data"),
    "scan": ("beam_pipelines.scan", "data"),
    "train": ("trainer.task", "train"),
    "web": ("serving.web", "web"),
}


def main() -> None:
    """Run the module that the name of the program stands for.

    A library that is not installed is one line and exit code 2.
    """
    name = os.path.basename(sys.argv[0]).removeprefix("orpheus-").removesuffix(".exe")
    module, extra = COMMANDS[name]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        sys.exit(_missing(f"orpheus-{name}", extra, error))


def _missing(command: str, extra: str, error: ModuleNotFoundError) -> int:
    wanted = f"orpheus-tagging[{extra}]" if extra else "orpheus-tagging"
    print(f"error: {command} needs {error.name}: pip install '{wanted}'", file=sys.stderr)
    return 2

"""The console commands: ``orpheus-build`` is ``python -m beam_pipelines.build``, and so on."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from typing import NamedTuple, NoReturn

from schemas.common import stopping


class Command(NamedTuple):
    """What a console command runs and needs.

    Attributes
    ----------
    module : str
        What runs.
    extra : str
        The extra that brings its libraries; empty: the base does.
    late : str
        A library that every run needs, which is looked for before: it is imported only at work,
        or behind others that mean less to the user. Empty where there is none.
    """

    module: str
    extra: str
    late: str = ""


# By the command's name without "orpheus-".
COMMANDS = {
    "build": Command("beam_pipelines.build", "data", "apache_beam"),
    "clean-tags": Command("beam_pipelines.clean_tags", "data"),
    "config": Command("trainer.config", "train"),
    "evaluate": Command("trainer.evaluate", "train", "tensorflow"),
    "export": Command("trainer.export", "train", "tensorflow"),
    "find-rate": Command("trainer.find_rate", "train", "tensorflow"),
    "import-pretrained": Command("trainer.import_pretrained", "train", "tensorflow"),
    "lite": Command("serving.lite", ""),
    "plot": Command("trainer.plot", "train", "matplotlib"),
    "predict": Command("serving.predict", "serve", "tensorflow"),
    "record": Command("serving.record", "record"),
    "retag": Command("beam_pipelines.retag", "data", "apache_beam"),
    "sample": Command("beam_pipelines.sample", "data"),
    "scan": Command("beam_pipelines.scan", "data"),
    "train": Command("trainer.task", "train", "tensorflow"),
    "web": Command("serving.web", "web"),
}


def main() -> None:
    """Run the module that the name of the program stands for.

    A library that is not installed is one line and exit code 2.
    """
    stopping.stop_quietly()
    program = os.path.basename(sys.argv[0]).removesuffix(".exe")
    command = COMMANDS.get(program.removeprefix("orpheus-"))
    if command is None:
        names = ", ".join(f"orpheus-{name}" for name in COMMANDS)
        _fail(f"{program} is no command; there are {names}")
    if command.late and importlib.util.find_spec(command.late) is None:
        _fail(_needs(program, command.late, command.extra))
    try:
        runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        library = (error.name or "").split(".")[0]
        # A library that is there but not whole is another trouble: its traceback says which.
        if not library or importlib.util.find_spec(library) is not None:
            raise
        _fail(_needs(program, library, command.extra))


def _needs(program: str, library: str, extra: str) -> str:
    wanted = f"orpheus-tagging[{extra}]" if extra else "orpheus-tagging"
    return f"{program} needs {library}: pip install '{wanted}'"


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)

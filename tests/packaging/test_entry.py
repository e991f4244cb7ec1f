"""The console commands and the metadata: what pyproject.toml and entry.py say of each other."""

import importlib.util
import subprocess
import sys
import tomllib

import pytest

import beam_pipelines
import schemas
import serving
import trainer
from schemas.common.entry import COMMANDS
from tests.helpers.places import ROOT

RUN = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(","), None))  # as if not installed
sys.argv = sys.argv[2:]
from schemas.common.entry import main
main()
"""


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(missing, *arguments):
    return subprocess.run(
        [sys.executable, "-c", RUN, missing, *arguments],
        **{"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120},
    )


def test_every_command_is_a_script_with_a_module_and_an_extra(project):
    assert set(project["scripts"]) == {f"orpheus-{name}" for name in COMMANDS}
    assert set(project["scripts"].values()) == {"schemas.common.entry:main"}
    for command in COMMANDS.values():
        assert importlib.util.find_spec(command.module)
        assert command.extra in {"", *project["optional-dependencies"]}


def test_one_version():
    packages = (schemas, beam_pipelines, trainer, serving)
    assert {package.__version__ for package in packages} == {schemas.__version__}


def test_what_is_locked_fits_what_is_declared(project):
    """Each direct requirement stands in the lock, so that --no-deps leaves nothing out."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "requirements.lock").read_text().split()
    locked = {canonicalize_name(name): v for name, v in (line.split("==") for line in lines)}
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + sum(extras.values(), []):
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        if name != project["name"]:
            assert wanted.specifier.contains(locked[name]), text


@pytest.mark.parametrize(
    ("program", "missing", "extra"),
    [
        ("orpheus-build", "apache_beam", "data"),
        ("orpheus-web", "uvicorn", "web"),
        ("orpheus-train", "tensorflow", "train"),
        ("orpheus-predict", "tensorflow", "serve"),
    ],
)
def test_a_missing_library_is_one_line_with_its_extra(program, missing, extra):
    done = run(missing, f"/bin/{program}", "--help")
    line = f"error: {program} needs {missing}: pip install 'orpheus-tagging[{extra}]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_tensorflow_missing_at_work_is_one_line(tmp_path):
    done = run("tensorflow", "orpheus-config", "--write", tmp_path / "c.json", "optimizer=sgd")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: this needs tensorflow, which the extras data, serve ")
    assert done.stderr.count("\n") == 1


def test_a_command_runs_as_its_module_does():
    done = run("none", "/usr/bin/orpheus-lite", "model.tflite")
    module = subprocess.run(
        [sys.executable, "-m", "serving.lite", "model.tflite"],
        **{"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120},
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", module.stderr)
    assert module.stderr.startswith("error: name audio files")


def test_a_program_of_another_name_is_one_line():
    done = run("none", "/bin/tagger")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: tagger is no command; there are orpheus-build, ")
    assert done.stderr.count("\n") == 1

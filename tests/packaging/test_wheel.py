"""The wheel in fresh environments: the base tags a file, ``[web]`` serves, ``[data]`` builds."""

import json
import pathlib
import subprocess
import sys
import urllib.request

import pytest
import soundfile

from schemas.audio_spec import LOG_MEL
from schemas.saved_model import lite_path
from tests.helpers.checkout import copy_checkout
from tests.helpers.places import ROOT
from tests.helpers.taggers import noise

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1800)]

BASE_SIZE = 200_000_000  # bytes, with pip


def run(*command, **options):
    """Run a command that must succeed; gives its standard output."""
    options.setdefault("timeout", 1200)
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    copy = copy_checkout(folder / "checkout")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, copy)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def environment(wheel, tmp_path_factory):
    """Makes a fresh environment with the wheel and an extra, in the versions of the lock."""
    made: dict[str, pathlib.Path] = {}

    def make(extra: str) -> pathlib.Path:
        if extra not in made:
            folder = tmp_path_factory.mktemp("environment")
            run(sys.executable, "-m", "venv", folder)
            wanted = f"{wheel}[{extra}]" if extra else wheel
            pip = (folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check")
            run(*pip, "-c", ROOT / "requirements.lock", wanted)
            made[extra] = folder / "bin"
        return made[extra]

    return make


@pytest.fixture(scope="session")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, noise(5 * 16_000)[0], 16_000)
    return path


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_base_tags_a_file(environment, small_models, song, tmp_path):
    programs = environment("")
    packages = next((programs.parent / "lib").glob("*/site-packages"))
    assert size(packages) < BASE_SIZE
    model = lite_path(str(small_models[LOG_MEL]))
    output = tmp_path / "tags.jsonl"
    run(programs / "orpheus-lite", model, song, "--output", output, cwd=tmp_path)
    row = json.loads(output.read_text())
    assert row["error"] is None and row["path"] == str(song) and len(row["tags"]) > 1


def test_what_is_not_installed_is_one_line(environment, tmp_path):
    programs = environment("")
    missing = {
        **{"web": ("uvicorn", "web"), "build": ("apache_beam", "data")},
        **{"train": ("tensorflow", "train"), "predict": ("tensorflow", "serve")},
    }
    for command, (package, extra) in missing.items():
        done = subprocess.run(
            [programs / f"orpheus-{command}", "--help"],
            **{"capture_output": True, "text": True, "cwd": tmp_path, "timeout": 60},
        )
        line = f"orpheus-{command} needs {package}: pip install 'orpheus-tagging[{extra}]'"
        assert (done.returncode, done.stderr) == (2, f"error: {line}\n")


def test_the_page_serves_a_lite_model_without_tensorflow(environment, small_models, song):
    programs = environment("web")
    model = lite_path(str(small_models[LOG_MEL]))
    server = subprocess.Popen(
        [programs / "orpheus-web", "--model", model, "--port", "0"],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True},
    )
    try:
        line = next(line for line in server.stdout if "http://" in line)
        address = "http://" + line.split("http://")[1].split()[0].rstrip("/,;.")
        request = urllib.request.Request(f"{address}/tag", song.read_bytes(), method="POST")
        answer = json.load(urllib.request.urlopen(request, timeout=120))
        assert len(answer["tags"]) > 1
    finally:
        server.terminate()
        server.wait(60)


def test_data_alone_builds_a_data_set(environment, tmp_path):
    programs = environment("data")
    run(programs / "orpheus-sample", "msd", "--clips", 40, "--seed", 0, cwd=tmp_path)
    files = {
        **{"audio_dir": "7digital", "msd_summary": "msd_summary_file.h5"},
        **{"lastfm_db": "lastfm_tags.db", "mismatches": "sid_mismatches.txt"},
    }
    given = [f"--{name}=msd/{path}" for name, path in files.items()]
    tags = ["--tag_threshold=1", "--tag_pool_threshold=1", "--num_shards=3", "--output=data"]
    run(programs / "orpheus-build", *given, *tags, cwd=tmp_path)
    manifest = json.loads((tmp_path / "data" / "dataset.json").read_text())
    assert sum(part["records"] for part in manifest["data"]["parts"].values()) > 10

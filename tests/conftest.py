"""What the tests share: quiet libraries, the reference material, the project's commands."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from tests.helpers.places import ROOT, required

os.environ.setdefault("OMP_NUM_THREADS", "1")

from schemas.common.command import quiet  # noqa: E402

quiet()
# A shell's background jobs ignore Ctrl-C, and would hand that on to the commands under test.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def fixtures_dir() -> pathlib.Path:
    """The folder of reference material, from ORPHEUS_FIXTURES."""
    folder = os.environ.get("ORPHEUS_FIXTURES", "")
    if folder and pathlib.Path(folder, "README.md").exists():
        return pathlib.Path(folder).resolve()
    reason = "ORPHEUS_FIXTURES does not name the folder of reference material"
    if required("fixtures"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def mini(fixtures_dir, tmp_path_factory) -> pathlib.Path:
    """The mini Million Song Dataset, built with all filters in this process; not to be changed."""
    from beam_pipelines import build
    from tests.helpers.corpora import mini_options

    output = tmp_path_factory.mktemp("mini") / "out"
    assert build.main(mini_options(fixtures_dir, output)) == 0
    return output


@pytest.fixture(scope="session")
def musicnn_package(request) -> pathlib.Path:
    """The package with the published networks, fetched once and then kept in pytest's cache."""
    from schemas.common.errors import RunError
    from trainer.models.musicnn_package import download

    folder = request.config.cache.mkdir("musicnn")
    if not any(folder.glob("*.whl")):
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            try:
                file = pathlib.Path(download(partial))
                file.replace(folder / file.name)
            except RunError as error:
                (pytest.fail if required("pretrained") else pytest.skip)(str(error))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def pretrained(musicnn_package, tmp_path_factory) -> pathlib.Path:
    """MSD_musicnn as trainer.import_pretrained leaves it; not to be changed."""
    from trainer.import_pretrained import main

    output = tmp_path_factory.mktemp("pretrained") / "MSD_musicnn"
    assert main(["MSD_musicnn", "--from", str(musicnn_package), "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="session")
def small_models(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Untrained models by front end: SavedModels with LiteRT beside them; not to be changed."""
    from tests.helpers.taggers import WINDOWS, shared_tagger
    from trainer.tagger.litert import export_lite
    from trainer.tagger.saved_model import export_saved_model

    folder = tmp_path_factory.mktemp("models")
    directories = {frontend: folder / frontend for frontend in WINDOWS}
    for frontend, directory in directories.items():
        export_saved_model(shared_tagger(frontend)[0], str(directory))
        export_lite(str(directory))
    return directories


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium."""
    from tests.helpers.browser import find_chromium

    path = find_chromium()
    if path is None:
        reason = "no Chromium on this machine (Debian, Ubuntu: apt-get install chromium)"
        (pytest.fail if required("browser") else pytest.skip)(reason)
    return path


@pytest.fixture(scope="session")
def command():
    """Runs ``python -m MODULE ARGUMENTS`` as a user would and returns the finished process."""

    def run(module: str, *arguments, **options) -> subprocess.CompletedProcess:
        options.setdefault("cwd", ROOT)
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=options.pop("timeout", 600),
            **options,
        )

    return run

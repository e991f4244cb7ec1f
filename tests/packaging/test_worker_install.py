"""What a worker installs by Beam's --setup_file: every room, with its data files."""

import subprocess
import sys
import tarfile

import pytest

from tests.helpers.checkout import copy_checkout
from tests.helpers.places import ROOT

PACKAGES = ("schemas", "beam_pipelines", "serving", "trainer")
LIST_MODULES = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import beam_pipelines, schemas, serving, trainer
for package in (schemas, beam_pipelines, serving, trainer):
    assert package.__file__.startswith(sys.argv[1]), package.__file__
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        print(module.name)
from beam_pipelines.tags.lists import default_tag_lists
print(len(default_tag_lists().genre) > 10)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder as a worker's: a source distribution by setup.py, installed without its needs."""
    folder = tmp_path_factory.mktemp("worker")
    copy = copy_checkout(folder / "checkout")
    quiet = {"check": True, "capture_output": True, "timeout": 300}
    sdist = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", folder / "dist"]
    subprocess.run(sdist, cwd=copy, **quiet)
    (archive,) = (folder / "dist").glob("*.tar.gz")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", folder / "site", archive], **quiet)
    return archive, folder / "site"


def test_the_source_distribution_has_the_data_files(installed):
    archive, site = installed
    with tarfile.open(archive) as source:
        names = {name.split("/", 1)[-1] for name in source.getnames()}
    wanted = {
        *("beam_pipelines/tags/curated/genre.txt", "trainer/presets/urop2019-log-mel.json"),
        *("serving/page/index.html", "schemas/py.typed", "trainer/training/custom_loop.py"),
    }
    assert wanted <= names
    assert [name for name in wanted if not (site / name).is_file()] == []


def test_every_module_of_a_worker_is_there(installed):
    _, site = installed
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, str(site)],
        **{"cwd": site, "capture_output": True, "text": True, "timeout": 300},
    )
    assert done.returncode == 0, done.stderr
    modules = done.stdout.split()
    sources = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    ]
    assert modules[-1] == "True"
    assert set(modules[:-1]) == set(sources) - set(PACKAGES)

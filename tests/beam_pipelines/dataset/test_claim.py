"""Who may write into an output, and what may be deleted there."""

import json
import re

import pytest

from beam_pipelines.dataset.claim import claim
from schemas.common.errors import UsageError
from tests.helpers.datasets import tone_dataset

HOSTILE = ("../precious", "train/../../precious", "{at}/precious", "notes.txt", "train/notes.txt")


@pytest.fixture
def output(tmp_path):
    """A data set with a file of the user's in it, and a folder beside it."""
    folder = tmp_path / "out"
    tone_dataset(folder, train=4, validation=2, test=2, seconds=0.1)
    (folder / "notes.txt").write_text("mine")
    (folder / "train" / "notes.txt").write_text("mine")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("mine")
    return folder


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def refusal(*arguments, **options):
    with pytest.raises(UsageError) as caught, claim(*arguments, **options):
        pass
    return str(caught.value)


def rename_a_shard(output, name):
    manifest = json.loads((output / "dataset.json").read_text())
    manifest["data"]["parts"]["train"]["shards"][0]["name"] = name
    (output / "dataset.json").write_text(json.dumps(manifest))


MINE = ["out/notes.txt", "out/train/notes.txt", "precious/thesis.tex"]


@pytest.mark.parametrize("name", HOSTILE)
def test_overwrite_deletes_no_path_that_a_manifest_names(output, tmp_path, name):
    rename_a_shard(output, name.format(at=tmp_path))
    before = files(tmp_path)
    assert re.search(
        r"dataset\.json is not a data set's manifest: the shard",
        refusal(str(output), "new", overwrite=False),
    )
    assert files(tmp_path) == before
    with claim(str(output), "new", overwrite=True):
        assert files(tmp_path) == sorted([*MINE, "out/_work/build.json"])


def test_overwrite_follows_no_link(output, tmp_path):
    (output / "test").rename(tmp_path / "elsewhere")
    (output / "test").symlink_to(tmp_path / "elsewhere")
    before = files(tmp_path)
    assert re.search(
        "out/test is a link: a data set must lie in", refusal(str(output), "new", overwrite=True)
    )
    assert files(tmp_path) == before


@pytest.mark.parametrize("text", ["", "{", "[" * 10_000, "\0" * 100, "[]", '{"data": {}}'])
def test_a_damaged_manifest_is_said_and_can_be_overwritten(output, tmp_path, text):
    (output / "dataset.json").write_text(text)
    before = files(tmp_path)
    assert re.search(
        r"is not a data set's manifest: .*--overwrite builds",
        refusal(str(output), "new", overwrite=False),
    )
    assert files(tmp_path) == before
    with claim(str(output), "new", overwrite=True):
        assert files(tmp_path) == sorted([*MINE, "out/_work/build.json"])


def test_finished_shards_outlive_an_error_of_the_user(tmp_path):
    for n_files, name in ((0, "plan.json"), (2, "side-train-waveform-00000-of-00001.json")):
        with pytest.raises(UsageError, match="no such disk"), claim(str(tmp_path), "id", False):
            (tmp_path / "_work" / name).write_text("")
            raise UsageError("no such disk")
        assert len(files(tmp_path)) == n_files


def test_a_manifest_of_something_else_is_left_alone(tmp_path):
    for name in ("dataset.json", "report.html", "transform/matrix.py"):
        path = tmp_path / "other" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    before = files(tmp_path)
    assert re.search(
        "there is no data set beside it, nothing done",
        refusal(str(tmp_path / "other"), "new", overwrite=True),
    )
    assert files(tmp_path) == before

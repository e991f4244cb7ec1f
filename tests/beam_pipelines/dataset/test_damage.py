"""Work folders that were damaged, and what kills leave: the same command always goes on."""

import pathlib
import shutil

import pytest

from beam_pipelines import build
from tests.helpers.corpora import contents
from tests.helpers.small_build import build_unfinished, small_options, write_music


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    write_music(folder)
    return folder


@pytest.fixture(scope="module")
def whole(music, tmp_path_factory):
    """The data set as an undisturbed build writes it."""
    output = tmp_path_factory.mktemp("whole") / "out"
    assert build.main(small_options(music, output)) == 0
    return output


@pytest.fixture(scope="module")
def unfinished(music, tmp_path_factory):
    """All shards written, and nothing after them."""
    output = tmp_path_factory.mktemp("unfinished") / "out"
    build_unfinished(small_options(music, output))
    return output


def empty(path: pathlib.Path) -> None:
    path.write_bytes(b"")


def halve(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


SIDE, SHARD = "_work/side-train-waveform-00000-*.json", "train/waveform-00000-*.tfrecord"
AGAIN = "the plan in {work} is damaged: it is made again"
SHARD_AGAIN = "train/waveform-00000-of-00003.tfrecord: damaged, written again"


@pytest.mark.parametrize(
    ("damage", "patterns", "said"),
    [
        (empty, [SIDE], SHARD_AGAIN),
        (halve, [SIDE], SHARD_AGAIN),
        (flip, [SIDE], SHARD_AGAIN),
        (flip, [SHARD], SHARD_AGAIN),
        (pathlib.Path.unlink, [SHARD], SHARD_AGAIN),
        (empty, ["_work/plan.json"], AGAIN),
        (halve, ["_work/plan-train-*.parquet"], AGAIN),
        (empty, ["_work/rejects-*.parquet"], AGAIN),
        (flip, ["_work/transform/transform_fn/assets/tags"], AGAIN),
        (empty, ["_work/build.json"], None),
        (
            halve,
            ["_work/build.json", "_work/plan.json"],
            "{work} is damaged: the work is done again",
        ),
    ],
)
def test_what_is_damaged_is_made_again(
    music, whole, unfinished, tmp_path, capsys, damage, patterns, said
):
    output = tmp_path / "out"
    shutil.copytree(unfinished, output)
    before = {path.name: path.stat().st_mtime_ns for path in output.rglob("*.tfrecord")}
    for pattern in patterns:
        paths = sorted(output.glob(pattern))
        assert paths
        for path in paths:
            damage(path)
    assert build.main(small_options(music, output)) == 0
    assert contents(output) == contents(whole)
    lines = capsys.readouterr().err.splitlines()
    if said is None:
        assert not any("damaged" in line for line in lines)
    else:
        assert said.format(work=output / "_work") in lines
    after = {path.name: path.stat().st_mtime_ns for path in output.rglob("*.tfrecord")}
    changed = {name for name in before if before[name] != after[name]}
    assert len(changed) == {SHARD_AGAIN: 1, AGAIN: 0, None: 0}.get(said, 6)


def strays(output: pathlib.Path) -> None:
    """What is left where a run is killed in each of the last step's writes."""
    tmp = f"{'0123456789abcdef' * 2}.tmp"
    (output / "transform" / "transform_fn").mkdir(parents=True, exist_ok=True)
    for name in (
        *(f"{table}.parquet" for table in ("tracks", "rejects")),
        *("report.html", "schema.pbtxt", "dataset.json", "transform/transform_fn/saved_model.pb"),
        "train/waveform-00001-of-00003.tfrecord",
    ):
        (output / f"{name}.{tmp}").write_bytes(b"half")


def test_a_kill_in_the_last_step_leaves_nothing(music, whole, unfinished, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(unfinished, output)
    strays(output)
    assert build.main(small_options(music, output)) == 0
    assert contents(output) == contents(whole)
    shutil.copytree(unfinished / "_work", output / "_work")  # killed before all of it was deleted
    (output / f"dataset.json.{'0' * 32}.tmp").write_bytes(b"half")
    assert build.main(small_options(music, output)) == 0
    assert contents(output) == contents(whole)
    assert not (output / "_work").exists()


def test_half_a_planning_is_no_part_of_the_next(music, whole, unfinished, tmp_path):
    output = tmp_path / "out"
    (output / "_work").mkdir(parents=True)
    for name in ("build.json", "songs-00000.parquet", "rejects-00000.parquet"):
        shutil.copy(unfinished / "_work" / name, output / "_work")
    for name in ("songs-00000.parquet", "rejects-00000.parquet"):  # killed before its rename
        path = output / "_work" / name
        path.rename(f"{path}.{'0' * 32}.tmp")
    shutil.copy(
        unfinished / "_work" / "rejects-00000.parquet", output / "_work/rejects-00007.parquet"
    )
    assert build.main(small_options(music, output)) == 0
    assert contents(output) == contents(whole)


@pytest.mark.parametrize("left", [[], [f"build.json.{'0' * 32}.tmp"]])
def test_a_kill_before_the_first_file_is_no_obstacle(music, whole, tmp_path, left):
    output = tmp_path / "out"
    (output / "_work").mkdir(parents=True)
    for name in left:
        (output / "_work" / name).write_bytes(b"")
    assert build.main(small_options(music, output)) == 0
    assert contents(output) == contents(whole)

"""Kills and power cuts at the points where a command changes the disk: the same bytes follow."""

import json
import pathlib
import random

import pytest

from tests.helpers.crashes import Crashes
from tests.helpers.small_build import small_options, write_music

COMMANDS = ("beam_pipelines.build", "beam_pipelines.scan", "beam_pipelines.clean_tags")
BUILD, SCAN, CLEAN = COMMANDS


@pytest.fixture(scope="module")
def crashes():
    server = Crashes(*COMMANDS)
    yield server
    server.close()


def state(root: pathlib.Path) -> dict[str, object]:
    """All that lies under a folder; of a manifest what must be the same."""
    found: dict[str, object] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.name == "dataset.json":
            found[name] = json.loads(path.read_text())["data"]
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def undisturbed(crashes, module, options, root) -> tuple[dict[str, object], int]:
    """What a command leaves, and how often it changes the disk."""
    ended = crashes.run(module, options(root), root)
    assert ended["code"] == 0, ended["err"]
    return state(root), int(ended["changes"])


def crash(crashes, module, options, root, changes, dice, number) -> None:
    """Let a command die some times, every second time by a power cut; then let it end."""
    for k in range(number):
        seed = dice.randrange(1000) if k % 2 else None
        crashes.run(module, options(root), root, at=dice.randint(1, changes), seed=seed)
    ended = crashes.run(module, options(root), root)
    assert ended["code"] == 0 or "is there already" in ended["err"], ended["err"]


def test_builds(crashes, tmp_path):
    write_music(tmp_path / "music", 12)

    def options(root):
        return small_options(tmp_path / "music", root / "out")

    whole, changes = undisturbed(crashes, BUILD, options, tmp_path / "whole")
    assert changes > 50
    crash(crashes, BUILD, options, tmp_path / "out", changes, random.Random(0), 5)
    assert state(tmp_path / "out") == whole


def test_scans(crashes, tmp_path):
    write_music(tmp_path / "music", 12)
    for number, path in enumerate(sorted((tmp_path / "music").rglob("*.wav"))):
        path.rename(path.with_name(f"{number}.clip.mp3"))

    def options(root):
        return ["--audio_dir", tmp_path / "music", "--output", root / "out" / "audio.parquet"]

    whole, changes = undisturbed(crashes, SCAN, options, tmp_path / "whole")
    assert changes > 30
    for seed in range(3):
        root = tmp_path / f"{seed}"
        crash(crashes, SCAN, options, root, changes, random.Random(seed), 4)
        assert state(root) == whole


@pytest.mark.fixtures
def test_every_point_of_clean_tags(crashes, fixtures_dir, tmp_path):
    def options(root):
        database = fixtures_dir / "mini-msd" / "lastfm_tags.db"
        lists = ["--tag_lists", fixtures_dir / "tag-lists", "--tag_threshold", 30]
        return [database, root / "out" / "clean.db", *lists, "--tag_pool_threshold", 2]

    whole, changes = undisturbed(crashes, CLEAN, options, tmp_path / "whole")
    for at in range(1, changes + 1):
        root = tmp_path / f"{at}"
        killed = crashes.run(CLEAN, options(root), root, at=at, seed=at if at % 2 else None)
        assert killed["code"] < 0
        ended = crashes.run(CLEAN, options(root), root)
        assert ended["code"] == 0 or "is there already" in ended["err"]
        assert state(root) == whole

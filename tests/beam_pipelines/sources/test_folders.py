"""One folder a tag: GTZAN with its broken clip and its three lists, and nested folders."""

import pytest

from beam_pipelines import build, scan
from beam_pipelines.sources.folders import parse_lists
from schemas.common.errors import UsageError
from schemas.manifest import read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.music import look_at, write_noise

BROKEN = "jazz/jazz.00054.wav"
PARTS = {"train": [0, 1, 2, 3], "validation": [4, 5], "test": [6, 7]}
OPTIONS = ("--source", "folders", "--sample_rate", "8000", "--num_shards", "4")


@pytest.fixture(scope="module")
def gtzan(tmp_path_factory):
    """Three genres of ten clips, the lists beside them; clips 8 and 9 are in no list."""
    folder = tmp_path_factory.mktemp("gtzan")
    genres = ("blues", "jazz", "rock")
    for k, genre in enumerate(genres):
        for number in range(10):
            write_noise(folder / f"genres/{genre}/{genre}.{number:05d}.au", 10 * k + number)
    write_noise(folder / "genres" / BROKEN)  # whatever it holds
    (folder / "genres/jazz/Thumbs.db").write_bytes(b"")
    for part, numbers in PARTS.items():
        names = [f"{genre}/{genre}.{number:05d}.wav" for genre in genres for number in numbers]
        (folder / f"{part}_filtered.txt").write_text("\n".join(names) + "\n")
    return folder


def lists(folder):
    return ["--split_lists", *(str(folder / f"{part}_filtered.txt") for part in PARTS)]


def test_gtzan_with_its_fault_filtered_lists(gtzan, tmp_path, capsys):
    output = tmp_path / "out"
    options = [*OPTIONS, "--audio_dir", str(gtzan / "genres"), "--output", str(output)]
    assert build.main([*options, *lists(gtzan)]) == 0
    tracks = {row["path"]: row for row in rows(output / "tracks.parquet")}
    assert {path: (row["split"], row["tags"]) for path, row in tracks.items()} == {
        f"{genre}/{genre}.{number:05d}.au": (part, [genre])
        for genre in ("blues", "jazz", "rock")
        for part, numbers in PARTS.items()
        for number in numbers
    }
    rejects = rows(output / "rejects.parquet")
    reasons = {row["path"]: row["reason"] for row in rejects if row["kind"] == "file"}
    unlisted = [f"{g}/{g}.{n:05d}.au" for g in ("blues", "jazz", "rock") for n in (8, 9)]
    assert reasons == dict.fromkeys([*unlisted, BROKEN], "no_split")
    accounts_close(output, {*tracks, *unlisted, BROKEN}, n_songs=31)
    assert read_dataset(str(output)).data["split"]["by"] == "file"
    out, err = capsys.readouterr()
    assert "24 files are listed, 24 are there" in err and "ignored: 1 .db" in out


def test_the_broken_clip_is_named_and_a_scan_is_enough(gtzan, tmp_path, capsys):
    table, genres = tmp_path / "audio.parquet", str(gtzan / "genres")
    measure = ["--audio_dir", genres, "--names", "any", "--output", str(table)]
    assert scan.main(measure) == 0
    capsys.readouterr()
    planned = [*OPTIONS, "--scan", str(table), "--dry_run", "--output", str(tmp_path / "out")]
    assert build.main([*planned, "--split_percent", "60,20,20"]) == 0
    out, err = capsys.readouterr()
    assert "no artist is known: the split is by track" in err
    assert out.splitlines()[1].split() == ["listed", "31", "31"]
    source = look_at(*OPTIONS, "--audio_dir", genres)
    assert [(path, reason.value, detail) for path, (reason, detail) in source.faults.items()] == [
        (BROKEN, "undecodable", "broken in the published data set")
    ]


def test_nested_folders_give_several_tags(tmp_path):
    for name in ("Rock/live/a.wav", "Rock/Rock/b.wav", "c.wav", "rock/d.wav"):
        write_noise(tmp_path / name)
    source = look_at(*OPTIONS, "--audio_dir", tmp_path)
    assert {row.path: row.tags for row in source.rows} == {
        "Rock/Rock/b.wav": ("Rock",),
        "Rock/live/a.wav": ("Rock", "live"),
        "c.wav": (),
        "rock/d.wav": ("Rock",),
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a/b.wav", "", "c/d.wav"], "--split_lists: 1 names no file"),
        (["a/b.wav", "c/d.wav", "./a/b.au"], "./a/b.au is in two of the lists"),
    ],
)
def test_bad_lists(texts, message):
    with pytest.raises(UsageError, match=message):
        parse_lists({str(number): text for number, text in enumerate(texts)})


def test_options_that_do_not_fit(gtzan):
    given = [*OPTIONS, "--audio_dir", gtzan]
    with pytest.raises(UsageError, match="none of the 24 files is under .*; their paths begin"):
        look_at(*given, *lists(gtzan))
    with pytest.raises(UsageError, match="the three lists must be three files"):
        look_at(*given, "--split_lists", *[gtzan / "test_filtered.txt"] * 3)
    with pytest.raises(UsageError, match="--split track has no meaning with --split_lists"):
        look_at(*given, *lists(gtzan), "--split", "track")
    with pytest.raises(UsageError, match="--source folders has no published split"):
        look_at(*given, "--split", "official")
    with pytest.raises(UsageError, match="--split_lists has no meaning with --source fma"):
        look_at("--source", "fma", *lists(gtzan))

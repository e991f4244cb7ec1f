"""The plan, and a finished data set, as tables to look at."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines import build, scan
from schemas import tables
from schemas.common.errors import UsageError
from tests.helpers.accounts import rows
from tests.helpers.corpora import mini_options
from tests.helpers.music import write_noise


def csv_rows(path):
    with open(path, newline="", encoding="utf8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    for number in range(4):
        write_noise(folder / f"{number}.wav", number)
    lines = ["0.wav,rock;pop,A", "1.wav,jazz,B", '2.wav,"Ü, ""x""",A', "3.wav,,C", "gone.wav,jazz,"]
    (folder / "songs.csv").write_text("path,tags,artist\n" + "\n".join(lines) + "\n")
    return folder


def options(folder, output):
    named = ["--manifest", str(folder / "songs.csv"), "--output", str(output), "--num_shards", "2"]
    return [*named, "--sample_rate", "8000", "--untagged", "drop", "--split_percent", "100,0,0"]


def test_the_plan_before_any_audio_is_decoded(music, tmp_path, monkeypatch):
    def decode(*_):
        raise AssertionError("a plan decodes nothing")

    monkeypatch.setattr("beam_pipelines.audio.decode.load_clip", decode)
    planned = tmp_path / "planned"
    dry = [*options(music, tmp_path / "out"), "--dry_run", "--tables", str(planned)]
    assert build.main(dry) == 0
    assert not (tmp_path / "out").exists()
    table = pq.read_table(planned / "tracks.parquet")
    assert table.schema.equals(pa.schema([("song", pa.string()), *tables.TRACKS]))
    found = {row["path"]: row for row in table.to_pylist()}
    assert {path: sorted(row["tags"]) for path, row in found.items()} == {
        "0.wav": ["pop", "rock"],
        "1.wav": ["jazz"],
        "2.wav": ['Ü, "x"'],
    }
    assert {row["shard"] for row in found.values()} == {
        f"train/waveform-{k:05d}-of-00002.tfrecord" for k in range(2)
    }
    assert {row["song"] == row["track_id"] for row in found.values()} == {True}
    assert {row["duration"] for row in found.values()} == {None}
    as_text = {row["path"]: row for row in csv_rows(planned / "tracks.csv")}
    assert (
        json.loads(as_text["2.wav"]["tags"]) == ['Ü, "x"'] and as_text["0.wav"]["size"] == "16044"
    )
    rejects = rows(planned / "rejects.parquet")
    reasons = [(row["kind"], row["path"], row["reason"]) for row in rejects]
    assert reasons == [
        ("file", "3.wav", "no_tag"),
        ("song", "3.wav", "no_tag"),
        ("song", "gone.wav", "no_audio"),
    ]
    assert [row["reason"] for row in csv_rows(planned / "rejects.csv")] == [r[2] for r in reasons]


def test_a_scan_gives_the_measured_columns(music, tmp_path):
    table, planned = tmp_path / "audio.parquet", tmp_path / "planned"
    assert scan.main(["--manifest", str(music / "songs.csv"), "--output", str(table)]) == 0
    dry = [*options(music, tmp_path / "out"), "--dry_run", "--tables", str(planned)]
    assert build.main([*dry, "--scan", str(table)]) == 0
    measured = {row["path"]: row for row in rows(table)}
    for row in rows(planned / "tracks.parquet"):
        for name in ("duration", "sample_rate", "mid_silence_length", "silence_detail"):
            assert row[name] == measured[row["path"]][name]


@pytest.mark.fixtures
def test_a_finished_data_set_as_csv(fixtures_dir, mini, tmp_path):
    assert build.main([*mini_options(fixtures_dir, mini), "--table_format", "csv"]) == 0
    try:
        for name in ("tracks", "rejects"):
            read, expected = csv_rows(mini / f"{name}.csv"), rows(mini / f"{name}.parquet")
            assert [row["track_id"] for row in read] == [row["track_id"] or "" for row in expected]
        assert (
            json.loads(csv_rows(mini / "tracks.csv")[0]["tags"])
            == rows(mini / "tracks.parquet")[0]["tags"]
        )
    finally:
        for name in ("tracks", "rejects"):
            (mini / f"{name}.csv").unlink()


def test_tables_are_of_a_plan(music, tmp_path):
    with pytest.raises(UsageError, match="--tables has no meaning without --dry_run"):
        build.main([*options(music, tmp_path / "out"), "--tables", str(tmp_path)])

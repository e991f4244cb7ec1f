"""A build from a CSV file of one's own: exact rows, equal bytes, bad lines, missing files."""

import collections
import csv
import json
import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines import build, scan
from beam_pipelines.dataset import hashing
from beam_pipelines.scanning.filters import Limits
from beam_pipelines.scanning.judge import judge_files
from beam_pipelines.scanning.listing import AudioFile, Listing
from beam_pipelines.sources import labelled
from beam_pipelines.sources.labelled import Labelled
from beam_pipelines.sources.labels import parse_labelled
from schemas.common.errors import UsageError
from schemas.manifest import PARTS, read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.corpora import contents

SMALL = ("--sample_rate", "8000", "--num_shards", "6", "--split_percent", "50,20,30")
ROCK, NO_FILE, SILENT = "a/rock, live.wav", "a/gone.wav", "a/silent.wav"


def noise(path, seed, samples=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).normal(size=samples), 8000, "PCM_16")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A folder with forty short files and a table of them, by ten artists."""
    folder = tmp_path_factory.mktemp("music")
    lines = [["path", "tags", "artist", "comment"]]
    for number in range(40):
        path = f"b/{number % 5}/{number}.wav"
        noise(folder / path, number)
        lines.append([path, "pop" if number % 2 else "Hip-Hop ;pop", f"artist {number % 10}", "x"])
    noise(folder / ROCK, 99, samples=4000)
    soundfile.write(folder / SILENT, np.zeros(8000), 8000)
    (folder / "a" / "text.mp3").write_text("no music")
    (folder / "a" / "unnamed.wav").write_bytes(b"")
    lines += [
        ["./" + ROCK, " rock|live  at home ;rock; ", "", ""],
        [NO_FILE, "rock", "artist 1", ""],
        ["b", "rock", "a folder", ""],
        [SILENT, "rock", "", ""],
        ["a/text.mp3", "rock", "", ""],
        ["b/0/../../a/unnamed.wav", " ; ", "", ""],
    ]
    with open(folder / "songs.csv", "w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream).writerows(lines)
    return folder


@pytest.fixture(scope="module")
def built(music, tmp_path_factory):
    output = tmp_path_factory.mktemp("built") / "out"
    options = ["--manifest", str(music / "songs.csv"), "--output", str(output)]
    assert build.main([*options, *SMALL]) == 0
    return output


def test_exact_rows(music, built):
    tracks = {row["path"]: row for row in rows(built / "tracks.parquet")}
    assert set(tracks) == {ROCK, *(f"b/{number % 5}/{number}.wav" for number in range(40))}
    for number in range(40):
        row = tracks[f"b/{number % 5}/{number}.wav"]
        assert row["tags"] == (["pop"] if number % 2 else ["pop", "Hip-Hop"])
        assert row["artist_name"] == row["artist_id"] == f"artist {number % 10}"
        assert row["split"] == hashing.part_of(row["artist_id"], (50, 20, 30))
        assert (row["duration"], row["year"], row["title"]) == (1.0, 0, "")
    rock = tracks[ROCK]
    assert rock["track_id"] == "TR699641F26B18D7D2" and rock["artist_name"] == ""
    assert sorted(rock["tags"]) == ["live at home", "rock"]
    assert rock["split"] == hashing.part_of(rock["track_id"], (50, 20, 30))
    assert len({row["track_id"] for row in tracks.values()}) == 41
    assert {row["split"] for row in tracks.values()} == set(PARTS)
    dataset = read_dataset(str(built))
    assert dataset.vocabulary[:2] == ["pop", "Hip-Hop"] and len(dataset.vocabulary) == 4
    assert sum(dataset.records(part) for part in PARTS) == 41


def test_every_line_and_file_is_accounted_for(built):
    rejects = rows(built / "rejects.parquet")
    songs = {row["path"]: row["reason"] for row in rejects if row["kind"] == "song"}
    assert songs == {
        NO_FILE: "no_audio",
        "b": "no_audio",
        SILENT: "silent",
        "a/text.mp3": "undecodable",
        "a/unnamed.wav": "empty_file",
    }
    named = {row["path"] for row in rows(built / "tracks.parquet")}
    accounts_close(built, {*named, SILENT, "a/text.mp3", "a/unnamed.wav"}, n_songs=46)


def test_the_same_bytes_with_one_and_two_workers(music, built, tmp_path):
    table = tmp_path / "elsewhere.csv"
    shutil.copy(music / "songs.csv", table)
    options = ["--manifest", str(table), "--audio_dir", str(music), *SMALL]
    workers = ["--direct_num_workers", "2", "--direct_running_mode", "multi_processing"]
    output = tmp_path / "two"
    assert build.main([*options, "--output", str(output), *workers]) == 0
    assert contents(output) == contents(built)
    one = tmp_path / "one"
    assert build.main([*options, "--output", str(one), "--direct_num_workers", "1"]) == 0
    assert contents(one) == contents(built)


def test_a_scan_of_ones_own_files_judges_them(music, tmp_path, capsys):
    """By folder or by the CSV: equal rows; a build with it decodes in vain no more."""
    table, by_csv = tmp_path / "any.parquet", tmp_path / "csv.parquet"
    named = ["--audio_dir", str(music), "--names", "any"]
    assert scan.main([*named, "--output", str(table)]) == 0
    manifest = ["--manifest", str(music / "songs.csv")]
    assert scan.main([*manifest, "--output", str(by_csv)]) == 0
    kept = rows(table)
    assert kept == rows(by_csv)
    assert [row["path"] for row in kept] == sorted(
        [ROCK, *(f"b/{number % 5}/{number}.wav" for number in range(40))]
    )
    assert {row["track_7digitalid"] for row in kept} == {None}
    assert [kept[0][name] for name in ("duration", "mid_silence_length")] == [0.5, 0.0]
    reasons = {row["path"]: row["reason"] for row in rows(tmp_path / "any.rejects.parquet")}
    failed = {SILENT: "silent", "a/text.mp3": "undecodable", "a/unnamed.wav": "empty_file"}
    assert reasons == failed
    output = tmp_path / "out"
    filters = ["--min_effective_length", "0.9", "--scan", str(table)]
    options = [*manifest, *filters, *SMALL, "--output", str(output)]
    capsys.readouterr()
    assert build.main([*options, "--dry_run"]) == 0
    dry = capsys.readouterr().out
    assert "planned: 20 train, 4 validation, 16 test" in dry and "5 no_audio (songs)" in dry
    assert build.main(options) == 0
    written = {row["path"] for row in rows(output / "tracks.parquet")}
    assert written == {row["path"] for row in kept} - {ROCK}
    # the silent file and the text are no row of the scan: they are looked at again
    assert "write: clips: 42 of 42" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--names any takes files of any name"):
        scan.main(["--audio_dir", str(music), "--output", str(tmp_path / "other.parquet")])
    with pytest.raises(UsageError, match="--audio_dir is missing"):
        scan.main(["--output", str(tmp_path / "other.parquet")])


def test_a_build_that_writes_nothing_says_why_and_leaves_nothing(tmp_path):
    names = ["a.wma", "b.WMA", "c.mp3", "d.flac"]
    for name in names[:3]:
        (tmp_path / name).write_text("no audio " * 99)
    soundfile.write(tmp_path / "d.flac", np.zeros(8000), 8000)
    table = tmp_path / "songs.csv"
    table.write_text("path,tags\n" + "".join(f"{name},rock\n" for name in [*names, "gone.ogg"]))
    options = ["--manifest", str(table), "--output", str(tmp_path / "out"), "--num_shards", "1"]
    why = r"undecodable 3 \(.wma 2, .mp3 1\), no_audio 1, silent 1 \(.flac 1\)$"
    with pytest.raises(UsageError, match=f"^no track is left, nothing was written: {why}"):
        build.main(options)
    assert not (tmp_path / "out").exists()
    small = ["--min_file_size", "999999"]
    with pytest.raises(UsageError, match=r"to write: too_small 4 \(.wma 2, .flac 1, .mp3 1\), no"):
        build.main([*options, *small])
    assert not (tmp_path / "out").exists()


def test_a_split_of_ones_own_and_cleaned_tags(music, tmp_path):
    parts = {f"b/{k % 5}/{k}.wav": PARTS[k % 3] for k in range(12)}
    lines = [f"{path},hip hop|Hip-Hop|seen live,{part}" for path, part in parts.items()]
    table = tmp_path / "songs.csv"
    table.write_text("path,tags,split\n" + "\n".join(lines) + "\n")
    output = tmp_path / "out"
    options = ["--manifest", str(table), "--audio_dir", str(music), "--output", str(output)]
    cleaning = ["--tag_cleaning", "lists", "--tag_threshold", "5", "--tag_pool_threshold", "5"]
    assert build.main([*options, *SMALL, *cleaning]) == 0
    tracks = rows(output / "tracks.parquet")
    assert {row["path"]: row["split"] for row in tracks} == parts
    assert all(row["tags"] == ["hip-hop"] for row in tracks)
    data = json.loads((output / "dataset.json").read_text())["data"]
    assert data["split"]["by"] == "file"


@pytest.mark.fixtures
def test_the_corpus_own_labels_are_such_a_table(fixtures_dir, tmp_path, capsys):
    table = fixtures_dir / "corpus" / "labels.csv"
    options = ["--manifest", str(table), "--output", str(tmp_path / "out"), "--dry_run"]
    assert build.main(options) == 0
    with open(table, newline="", encoding="utf8") as stream:
        parts = collections.Counter(row["split"] for row in csv.DictReader(stream))
    expected = ", ".join(f"{parts[part]} {part}" for part in PARTS)
    assert f"planned: {expected} songs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column path or tags"),
        ("path;tags\na.mp3;rock\n", "has no column path or tags: needed is a header line"),
        ("path,tags\n", "names no file"),
        ("path,tags\na.mp3,rock\nb.mp3,pop,jazz\n", "line 3 has more fields than the header"),
        ("path,tags\na.mp3\n", "line 2 has fewer fields than the header"),
        ("path,tags\n ,rock\n", "line 2: path is ''"),
        ("path,tags\na.mp3,rock\n./a.mp3,pop\n", "line 3: a.mp3 is in line 2 already"),
        ("path,tags,split\na.mp3,rock,dev\n", "line 2: split is 'dev'; allowed are train"),
        ("path,tags,split\na.mp3,rock,\n", "line 2: split is ''"),
        ('path,tags\n"a.mp3,rock\n', "line 1: unexpected end of data"),
        ("path,tags\nnone.mp3,rock\n", r"none of the 1 files is there: .*none.mp3 is not"),
    ],
)
def test_bad_tables_are_one_line(text, message, tmp_path):
    table = tmp_path / "songs.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        build.main(["--manifest", str(table), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--manifest", "m.csv", "--lastfm_db", "x"], "--lastfm_db has no meaning with --manifest"),
        (["--manifest", "m.csv", "--val_above", "0"], "--val_above has no meaning with --manifest"),
        (["--manifest", "m.csv", "--split", "s.csv"], "--manifest's own column split"),
        (["--manifest", "m.csv", "--tag_lists", "x"], "no meaning with --tag_cleaning none"),
        (["--manifest", "m.csv"], "--manifest: m.csv cannot be read"),
        (["--manifest", "m.csv", "--split", "official"], "--manifest has no published split"),
        (["--source", "labels"], "--manifest is missing"),
        (["--source", "labels", "--manifest", "m", "--mismatches", "x"], "with --source labels"),
        (["--audio_dir", "x", "--spellings", "keep"], "--spellings has no meaning without"),
        (["--audio_dir", "x"], "--msd_summary is missing"),
        (["--audio_dir", "x", "--msd_summary", "y"], "--lastfm_db is missing"),
    ],
)
def test_options_that_do_not_fit_together(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        build.main([*options, "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


names = st.text(st.characters(exclude_categories=["C"], exclude_characters=";|/."), min_size=1)


@given(st.dictionaries(names.map(str.strip).filter(bool), st.lists(names), min_size=1))
def test_what_is_written_is_read(tags):
    lines = [["tags", "path"], *([";".join(found), path] for path, found in tags.items())]
    text = "\r\n".join(
        ",".join('"' + field.replace('"', '""') + '"' for field in line) for line in lines
    )
    read = parse_labelled(text, "songs.csv")
    clean = {path: [" ".join(tag.split()) for tag in found] for path, found in tags.items()}
    assert read == [
        Labelled(path, tuple(dict.fromkeys(filter(None, found)))) for path, found in clean.items()
    ]
    counts = {tag.tag: tag.count for tag in labelled.popularity(read)}
    assert counts == collections.Counter(tag for row in read for tag in row.tags)


def test_the_table_that_is_read_has_the_tags_of_the_lists():
    table = [Labelled("a.wav", ("x", "y"), "A"), Labelled("b.wav", ("z",))]
    tags = labelled.popularity(table)
    assert [tag.tag for tag in tags] == ["x", "y", "z"]
    judged = judge_files(Listing([AudioFile("a.wav", 5, 0.0)], {}), None, Limits(9, 0, 0, 0))
    clean, paths = {1: "letters", 2: "letters"}, {"a.wav": "a.wav"}
    found = labelled.labelled_table(table, paths, {}, judged, tags, clean).to_pylist()
    assert [row["tags"] for row in found] == [["letters"], []]
    assert found[0]["file"]["reason"] == "too_small" and found[1]["file"] is None

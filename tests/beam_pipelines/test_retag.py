"""Other tags for a data set: the bytes of a build with those options, without its decoding."""

import collections
import json
import shutil

import pytest

from beam_pipelines import build, retag
from schemas.common.errors import RunError, UsageError
from schemas.manifest import read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.corpora import contents, mini_options, msd_options
from tests.helpers.music import write_noise

OWN = ("plan_id", "retagged_from")


def same_data_set(one, other):
    """Shards, tables and manifest, but for the plan's name, which the report shows too."""
    found = []
    for output in (one, other):
        files = contents(output)
        data = json.loads(files.pop("data"))
        del files["report.html"]
        found.append((files, {key: value for key, value in data.items() if key not in OWN}))
    assert found[0] == found[1]


@pytest.mark.fixtures
def test_the_bytes_of_a_build_with_those_options(fixtures_dir, mini, tmp_path, monkeypatch):
    more = ["--tag_cleaning", "merge", "--tag_threshold", "60"]
    built, retagged = tmp_path / "built", tmp_path / "retagged"
    given = msd_options(fixtures_dir / "mini-msd", retagged)
    options = [text for text in mini_options(fixtures_dir, built) if not text.endswith("tag-lists")]
    options.remove("--tag_lists")
    assert build.main([*options, *more]) == 0

    def decode(*_):
        raise AssertionError("a retagging decodes nothing")

    monkeypatch.setattr("beam_pipelines.audio.decode.load_clip", decode)
    assert retag.main([str(mini), *given, *more]) == 0
    same_data_set(built, retagged)
    data = read_dataset(str(retagged)).data
    before = read_dataset(str(mini)).data["plan_id"]
    assert data["retagged_from"] == {"plan_id": before, "missing": 0}
    assert data["vocabulary"] != read_dataset(str(mini)).data["vocabulary"]
    assert retag.main([str(mini), *given, *more]) == 0  # finished already: left alone
    same_data_set(built, retagged)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Ten songs, and a data set of its most frequent tag alone."""
    folder = tmp_path_factory.mktemp("music")
    tags = ["rock;live", "rock", "jazz", "pop", "rock;pop"]
    lines = ["path,tags,artist"]
    for number in range(10):
        write_noise(folder / f"{number}.wav", number)
        lines.append(f"{number}.wav,{tags[number % 5]},artist {number}")
    (folder / "songs.csv").write_text("\n".join(lines) + "\n")
    output = folder / "out"
    options = [*OPTIONS, "--manifest", str(folder / "songs.csv"), "--output", str(output)]
    assert build.main([*options, "--top_tags", "1", "--untagged", "drop"]) == 0
    return folder


OPTIONS = ("--sample_rate", "8000", "--num_shards", "3", "--split_percent", "60,20,20")
LOG_MEL = ("--audio_format", "log-mel-spectrogram", "--n_mels", "16")


def test_what_was_not_written_cannot_come_back(music, tmp_path, capsys):
    output = tmp_path / "all"
    manifest = ["--manifest", str(music / "songs.csv"), "--output", str(output)]
    assert retag.main([str(music / "out"), *manifest, "--top_tags", "9"]) == 0
    tracks = {row["path"]: row["tags"] for row in rows(output / "tracks.parquet")}
    assert sorted(tracks) == [f"{number}.wav" for number in range(10) if number % 5 not in (2, 3)]
    assert sorted(tracks["0.wav"]) == ["live", "rock"]
    rejects = rows(output / "rejects.parquet")
    reasons = collections.Counter((row["kind"], row["reason"], row["detail"]) for row in rejects)
    missing = ("not_in_dataset", "there it is no_tag")
    assert reasons == {("file", *missing): 4, ("song", *missing): 4}
    accounts_close(output, {f"{number}.wav" for number in range(10)}, n_songs=10)
    assert read_dataset(str(output)).data["retagged_from"]["missing"] == 4
    said = "not in the data set that was retagged: 4 tracks, which stay out"
    assert said in capsys.readouterr().out


def test_spectrograms_are_copied_as_they_are(music, tmp_path):
    first, built, retagged = (tmp_path / name for name in ("first", "built", "retagged"))
    manifest = ["--manifest", str(music / "songs.csv")]
    assert build.main([*OPTIONS, *LOG_MEL, *manifest, "--output", str(first)]) == 0
    more = ["--top_tags", "2"]
    assert build.main([*OPTIONS, *LOG_MEL, *manifest, "--output", str(built), *more]) == 0
    assert retag.main([str(first), *manifest, "--output", str(retagged), *more]) == 0
    same_data_set(built, retagged)


def test_a_damaged_data_set_is_one_line(music, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(music / "out", copy)
    shard = sorted(copy.glob("train/*.tfrecord"))[0]
    data = bytearray(shard.read_bytes())
    manifest = ["--manifest", str(music / "songs.csv"), "--output", str(tmp_path / "out")]
    data[3000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(RunError, match=r"cannot be read \(damaged record\)"):
        retag.main([str(copy), *manifest])
    assert not (tmp_path / "out" / "dataset.json").exists()
    shard.write_bytes(data[:-9])
    with pytest.raises(UsageError, match=f"{shard.name} cannot be read: truncated record"):
        retag.main([str(copy), *manifest])


def test_other_audio_or_another_split_is_refused(music, tmp_path):
    manifest = ["--manifest", str(music / "songs.csv"), "--output", str(tmp_path / "out")]
    with pytest.raises(UsageError, match="was split by artist, and this is by track"):
        retag.main([str(music / "out"), *manifest, "--split", "track"])
    short = tmp_path / "short.csv"
    short.write_text("path,tags\n0.wav,rock\n")
    named = ["--manifest", str(short), "--audio_dir", str(music)]
    with pytest.raises(UsageError, match="are not those that .* was built from"):
        retag.main([str(music / "out"), *named, *manifest[2:]])
    with pytest.raises(UsageError, match="holds no finished data set"):
        retag.main([str(music), *manifest])
    itself = [*manifest[:2], "--output", str(music / "out" / "."), "--overwrite"]
    with pytest.raises(UsageError, match="is the data set itself: name another directory"):
        retag.main([str(music / "out"), *itself, "--top_tags", "2"])
    assert read_dataset(str(music / "out")).records("train") > 0
    with pytest.raises(UsageError, match="--n_mels"):
        retag.main([str(music / "out"), *manifest, "--n_mels", "9"])
    assert not (tmp_path / "out").exists()

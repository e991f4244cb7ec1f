"""The build on real files: exact rows, accounts, equal bytes, resumption, bad input."""

import collections
import csv
import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import time

import h5py
import numpy as np
import pytest

from beam_pipelines import build, scan
from beam_pipelines.audio.decode import load_clip
from beam_pipelines.audio.spectrogram import log_mel
from schemas.common.errors import UsageError
from schemas.manifest import PARTS, read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.broken_audio import ANTIPHASE
from tests.helpers.corpora import CORPUS_TAGS, build_command, contents, mini_options, msd_options
from tests.helpers.places import ROOT

pytestmark = pytest.mark.fixtures


def labels(fixtures: pathlib.Path) -> dict[str, dict]:
    with open(fixtures / "corpus" / "labels.csv", newline="", encoding="utf8") as file:
        return {row["track_id"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def corpus(fixtures_dir, tmp_path_factory):
    """The corpus, built with its own split, in this process."""
    output = tmp_path_factory.mktemp("corpus") / "out"
    options = msd_options(fixtures_dir / "corpus", output)
    split = ["--split", str(fixtures_dir / "corpus" / "labels.csv"), "--num_shards", "12"]
    assert build.main([*options, *CORPUS_TAGS, *split]) == 0
    return output


def test_every_good_clip_of_the_corpus_is_written(fixtures_dir, corpus):
    expected = labels(fixtures_dir)
    tracks = {row["track_id"]: row for row in rows(corpus / "tracks.parquet")}
    rejects = rows(corpus / "rejects.parquet")
    of_files = {row["track_id"]: row["reason"] for row in rejects if row["kind"] == "file"}
    assert collections.Counter(of_files.values()) == {"mismatch": 11, "duplicate_of": 4}
    assert set(tracks) == set(expected) - set(of_files)
    for track_id, row in tracks.items():
        label = expected[track_id]
        assert row["path"] == label["path"].removeprefix("7digital/")
        assert set(row["tags"]) == set(label["tags"].split("|"))
        assert (row["split"], row["track_7digitalid"]) == (
            label["split"],
            int(label["track_7digitalid"]),
        )
        assert row["shard"].startswith(label["split"] + "/")
        assert row["duration"] == pytest.approx(30, abs=0.2)
    songs = collections.Counter(row["reason"] for row in rejects if row["kind"] == "song")
    assert songs == {"mismatch": 11, "duplicate_of": 4, "no_audio": 793}
    files = {label["path"].removeprefix("7digital/") for label in expected.values()}
    accounts_close(corpus, files, n_songs=1152)


def test_examples_hold_the_samples_and_the_tags(fixtures_dir, corpus):
    import tensorflow as tf

    dataset = read_dataset(str(corpus))
    tracks = {row["track_id"]: row for row in rows(corpus / "tracks.parquet")}
    features = {
        "tid": tf.io.FixedLenFeature([], tf.string),
        "audio": tf.io.FixedLenFeature([], tf.string),
        "tags": tf.io.FixedLenFeature([len(dataset.vocabulary)], tf.int64),
    }
    seen = []
    for part in PARTS:
        for shard, path in zip(dataset.parts[part]["shards"], dataset.shards(part), strict=True):
            names = []
            for i, record in enumerate(tf.data.TFRecordDataset(path)):
                example = tf.io.parse_single_example(record, features)
                track = tracks[example["tid"].numpy().decode()]
                names.append(track["track_id"])
                hot = np.flatnonzero(example["tags"].numpy())
                assert [dataset.vocabulary[number] for number in hot] == track["tags"]
                assert track["shard"] == shard["name"]
                if i == 0:
                    data = (fixtures_dir / "corpus" / "7digital" / track["path"]).read_bytes()
                    stored = np.frombuffer(example["audio"].numpy(), "<i2")
                    np.testing.assert_array_equal(stored, load_clip(data, dataset.spec).pcm)
                    again = tf.train.Example.FromString(record.numpy())
                    assert again.SerializeToString(deterministic=True) == record.numpy()
            assert len(names) == shard["records"]
            seen += names
    assert sorted(seen) == sorted(tracks)
    sizes = collections.defaultdict(set)
    for part in PARTS:
        sizes[part] = {shard["records"] for shard in dataset.parts[part]["shards"]}
    # eleven mismatches never reach a shard; four copies do, and are dropped there
    assert all(max(found) - min(found) <= 1 for found in sizes.values())


def test_vocabulary_is_the_transform_graphs(corpus):
    import tensorflow as tf
    import tensorflow_transform as tft

    dataset = read_dataset(str(corpus))
    tracks = rows(corpus / "tracks.parquet")
    output = tft.TFTransformOutput(str(corpus / "transform"))
    assert [tag.decode() for tag in output.vocabulary_by_name("tags")] == dataset.vocabulary
    written = collections.Counter(tag for row in tracks for tag in row["tags"])
    for row in dataset.data["vocabulary"]:
        assert row["written"] == written[row["tag"]] <= row["planned"]
    raw = {"tags": tf.sparse.from_dense(tf.constant([tracks[0]["tags"]]))}
    hot = output.transform_raw_features(raw)["tags"].numpy()[0]
    assert [dataset.vocabulary[number] for number in np.flatnonzero(hot)] == tracks[0]["tags"]


def test_mini_msd_writes_exactly_what_is_expected(fixtures_dir, mini):
    expected = fixtures_dir / "mini-msd" / "expected"
    with open(expected / "final.csv", newline="") as file:
        final = list(csv.DictReader(file))
    tracks = rows(mini / "tracks.parquet")
    (opposite,) = (row for row in tracks if row["only_channel"] is not None)
    assert opposite["path"] in ANTIPHASE  # 2019 had nothing but zeros of it
    written = {row["track_id"] for row in tracks} - {opposite["track_id"]}
    groups = collections.defaultdict(set)
    for row in final:
        groups[row["duplicate_group"]].add(row["track_id"])
    alone = groups.pop("")
    assert alone <= written
    assert all(len(group & written) == 1 for group in groups.values())
    assert len(written) == len(alone) + len(groups)
    manifest = json.loads((fixtures_dir / "mini-msd" / "audio_manifest.json").read_text())
    accounts_close(mini, {row["path"] for row in manifest}, n_songs=120)


def test_mini_msd_stages(fixtures_dir, mini):
    left = {row["stage"]: row["files"] for row in read_dataset(str(mini)).data["stages"]}
    assert left == {
        "list": 78,  # one name in capitals
        "join": 70,  # as expected/s2b_merge
        "mismatches": 66,  # s2c
        "tags": 63,
        "split": 63,
        "audio": 58,  # two empty, two silent, one a WAV file
        "filters": 29,
        "copies": 26,
    }


def test_mini_msd_rows_after_each_stage_of_2019(fixtures_dir, tmp_path):
    """Without the duplicates and the filters every matched file is decoded and judged."""
    output = tmp_path / "out"
    options = msd_options(fixtures_dir / "mini-msd", output)
    at = options.index("--duplicates")
    lists = ["--tag_lists", str(fixtures_dir / "tag-lists"), "--tag_threshold", "30"]
    more = [*lists, "--tag_pool_threshold", "2", "--keep_untagged"]
    assert build.main([*options[:at], *options[at + 2 :], *more]) == 0

    def expected(name: str) -> list[str]:
        with open(fixtures_dir / "mini-msd" / "expected" / name, newline="") as file:
            return sorted(row["track_id"] for row in csv.DictReader(file))

    tracks, rejects = rows(output / "tracks.parquet"), rows(output / "rejects.parquet")
    songs = [row for row in rejects if row["kind"] == "song"] + tracks
    assert sorted(row["track_id"] for row in songs) == expected("s2a_summary.csv")
    for name, gone in (
        ("s2b_merge.csv", {row["reason"] for row in rejects if row["stage"] == "join"}),
        ("s2c_mismatches.csv", {"mismatch"}),
        ("s2d_size.csv", {"empty_file"}),
        ("s2e_length.csv", {"undecodable", "mislabelled"}),
    ):
        songs = [row for row in songs if row.get("reason") not in gone]
        assert sorted(row["track_id"] for row in songs) == expected(name)
    # what is left but not written is silent, by an absolute level that 2019 did not ask for
    assert {row.get("reason") for row in songs} == {None, "silent"}
    tagged = [row["track_id"] for row in songs if row.get("tags") or row.get("reason")]
    assert sorted(tagged) == expected("s2f_no_tag.csv")


def test_no_artist_is_in_two_parts(mini):
    parts = collections.defaultdict(set)
    for row in rows(mini / "tracks.parquet"):
        parts[row["artist_id"]].add(row["split"])
    assert all(len(found) == 1 for found in parts.values())


def test_one_worker_and_two_give_the_same_bytes(fixtures_dir, mini, tmp_path):
    output = tmp_path / "one"
    assert build.main([*mini_options(fixtures_dir, output), "--direct_num_workers=1"]) == 0
    assert contents(output) == contents(mini)


def test_a_killed_build_goes_on_and_gives_the_same_bytes(fixtures_dir, mini, tmp_path):
    output = tmp_path / "killed"
    options = mini_options(fixtures_dir, output)
    process = subprocess.Popen(
        build_command(*options), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(output.glob("_work/side-*.json")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path.name for path in output.glob("_work/side-*.json")}
    times = {path.name: path.stat().st_mtime_ns for path in output.glob("*/*.tfrecord")}
    assert finished and not (output / "dataset.json").exists()
    # what a kill in the middle of a shard leaves, and a shard that was cut afterwards
    (output / "train" / "waveform-00000-of-00004.tfrecord.0.tmp").write_bytes(b"half")
    cut = sorted(output.glob("*/*.tfrecord"))[0]
    os.truncate(cut, 100)
    assert build.main(options) == 0
    assert contents(output) == contents(mini)
    for name, changed in times.items():
        (path,) = output.glob(f"*/{name}")
        is_finished = any(name.removesuffix(".tfrecord") in side for side in finished)
        if path != cut and is_finished:
            assert path.stat().st_mtime_ns == changed  # not written again
    assert build.main(options) == 0  # a finished one is left alone
    assert contents(output) == contents(mini)


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(fixtures_dir, mini, tmp_path):
    output = tmp_path / "full"
    limit = 3_000_000  # bytes a file may have: shards of four clips do not fit
    options = mini_options(fixtures_dir, output)
    result = subprocess.run(
        build_command(*options),
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    errors = [
        line
        for line in result.stderr.splitlines()
        if not line.startswith(("plan", "write", "warn"))
    ]
    assert result.returncode == 1
    assert len(errors) == 1 and "File too large" in errors[0], result.stderr
    assert not (output / "dataset.json").exists()
    assert build.main(options) == 0
    assert contents(output) == contents(mini)  # no temporary file either


@pytest.mark.parametrize("more", [[], ["--sample_rate", "8000", "--overwrite"]])
def test_a_second_run_on_the_same_output_stops_and_deletes_nothing(fixtures_dir, mini, more):
    before = contents(mini)
    holder = os.open(mini, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(UsageError, match="another run is writing"):
            build.main([*mini_options(fixtures_dir, mini), *more])
    finally:
        os.close(holder)
    assert contents(mini) == before


def test_log_mel_frames(fixtures_dir, tmp_path, command):
    output = tmp_path / "log-mel"
    more = ["--audio_format", "log-mel-spectrogram", "--n_fft", "512", "--hop_length", "256"]
    options = [*mini_options(fixtures_dir, output), *more, "--compression", "log10"]
    result = command("beam_pipelines.build", *options)
    assert result.returncode == 0, result.stderr
    import tensorflow as tf

    dataset = read_dataset(str(output))
    assert dataset.spec.to_json() | {"top_db": 80.0} == {
        **{"sample_rate": 16000, "n_mels": 96, "n_fft": 512, "hop_length": 256},
        **{"compression": "log10", "top_db": 80.0, "amin": 1e-10},
    }
    by_id = {row["track_id"]: row for row in rows(output / "tracks.parquet")}
    total, count = np.zeros(96), 0
    for path in dataset.shards("train"):
        for record in tf.data.TFRecordDataset(path):
            example = tf.train.Example.FromString(record.numpy()).features.feature
            track = by_id[example["tid"].bytes_list.value[0].decode()]
            frames = np.frombuffer(example["audio"].bytes_list.value[0], "<f4").reshape(-1, 96)
            data = (fixtures_dir / "mini-msd" / "7digital" / track["path"]).read_bytes()
            clip = load_clip(data, dataset.spec)
            np.testing.assert_array_equal(frames, log_mel(clip.samples, dataset.spec))
            total, count = total + frames.sum(axis=0, dtype=float), count + len(frames)
    moments = dataset.data["moments"]["train"]
    assert moments["count"] == count
    np.testing.assert_allclose(moments["mean"], total / count, rtol=1e-9)


def test_a_scan_spares_the_second_look_and_writes_the_same_tracks(
    fixtures_dir, mini, tmp_path, capsys
):
    table = tmp_path / "audio.parquet"
    audio = fixtures_dir / "mini-msd" / "7digital"
    assert scan.main(["--audio_dir", str(audio), "--output", str(table)]) == 0
    output = tmp_path / "out"
    options = mini_options(fixtures_dir, output)
    capsys.readouterr()
    assert build.main([*options, "--scan", str(table)]) == 0
    printed = capsys.readouterr()
    # 26 songs, two silent clips and a mislabelled one: a scan's rejects say nothing of a file's
    # time of change, so they are looked at again
    assert "write: clips: 29 of 29" in printed.err
    same = ("track_id", "path", "split", "duration", "silence_detail", "probe_bit_rate")
    tracks = [
        sorted([row[k] for k in same] for row in rows(it / "tracks.parquet"))
        for it in (output, mini)
    ]
    assert tracks[0] == tracks[1]
    manifest = json.loads((fixtures_dir / "mini-msd" / "audio_manifest.json").read_text())
    accounts_close(output, {row["path"] for row in manifest}, n_songs=120)
    without_audio = [option for option in options if option not in ("--audio_dir", str(audio))]
    assert build.main([*without_audio, "--scan", str(table), "--dry_run"]) == 0
    assert "planned: 24 train, 1 validation, 1 test songs" in capsys.readouterr().out
    with pytest.raises(UsageError, match="--audio_dir is missing"):
        build.main([*without_audio, "--scan", str(table)])


def test_dry_run_writes_nothing(fixtures_dir, tmp_path, capsys):
    output = tmp_path / "dry"
    assert build.main([*mini_options(fixtures_dir, output), "--dry_run"]) == 0
    assert not output.exists()
    assert "planned: " in capsys.readouterr().out


def test_top_tags_and_untagged(fixtures_dir, tmp_path):
    output = tmp_path / "top"
    options = mini_options(fixtures_dir, output)
    assert build.main([*options, "--top_tags", "3"]) == 0
    tracks = rows(output / "tracks.parquet")
    vocabulary = read_dataset(str(output)).vocabulary
    assert len(vocabulary) == 3
    assert all(row["tags"] and set(row["tags"]) <= set(vocabulary) for row in tracks)
    again = [*options, "--top_tags", "3", "--keep_untagged", "--overwrite"]
    assert build.main(again) == 0
    kept = rows(output / "tracks.parquet")
    assert any(not row["tags"] for row in kept)
    assert {row["track_id"] for row in tracks} - {row["track_id"] for row in kept} <= {
        # another copy of the same song is larger, and only lacked one of the three tags
        row["track_id"]
        for row in rows(output / "rejects.parquet")
        if row["reason"] == "duplicate_of"
    }


def without_group(folder: pathlib.Path) -> None:
    with h5py.File(folder / "msd_summary_file.h5", "a") as file:
        del file["/musicbrainz/songs"]


def without_table(folder: pathlib.Path) -> None:
    with sqlite3.connect(folder / "lastfm_tags.db") as connection:
        connection.execute("DROP TABLE tags")


def without_clip(folder: pathlib.Path) -> None:
    shutil.rmtree(folder / "7digital")
    (folder / "7digital").mkdir()
    (folder / "7digital" / "notes.txt").write_text("nothing to hear")


def unchanged(folder: pathlib.Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "more", "message"),
    [
        (without_group, [], "the summary has no group /musicbrainz/songs"),
        (without_table, [], "has no table tags"),
        (without_clip, [], "no audio file"),
        (unchanged, ["--no_such_option", "1"], "unknown option --no_such_option"),
        (unchanged, ["--split_percent", "50,60,1"], "not three shares that add up to 100"),
        (unchanged, ["--hop_length", "4096"], "hop_length 4096 is larger than n_fft 2048"),
        (unchanged, ["--split", "no.csv"], "--split: no.csv cannot be read"),
        (unchanged, ["--tag_threshold", "99999"], "no tag is left"),
        (unchanged, ["--runner", "NoRunner"], "--runner=NoRunner"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    fixtures_dir, tmp_path, command, spoil, more, message
):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for path in (fixtures_dir / "mini-msd").iterdir():
        if path.name == "7digital":
            shutil.copytree(path, folder / path.name, copy_function=os.symlink)
        elif path.is_file():
            shutil.copyfile(path, folder / path.name)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(0o755)
    spoil(folder)
    result = command("beam_pipelines.build", *msd_options(folder, output), *more)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not output.exists()


def test_another_data_set_is_refused_and_overwrite_deletes_only_its_own(fixtures_dir, tmp_path):
    output = tmp_path / "out"
    options = mini_options(fixtures_dir, output)
    assert build.main(options) == 0
    before = contents(output)
    (output / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds another data set"):
        build.main([*options, "--sample_rate", "8000"])
    assert contents(output) == before | {"notes.txt": contents(output)["notes.txt"]}
    assert build.main([*options, "--sample_rate", "8000", "--overwrite"]) == 0
    assert read_dataset(str(output)).spec.sample_rate == 8000
    assert (output / "notes.txt").read_text() == "mine"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no data set"):
        build.main(mini_options(fixtures_dir, foreign))
    assert [path.name for path in foreign.iterdir()] == ["thesis.tex"]

"""serving.predict over folders with Beam: every file answered, resumable, the same bytes."""

import csv
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.common.errors import UsageError
from serving import predict
from serving.engine import beam_job
from tests.helpers.places import ROOT
from tests.helpers.taggers import SPEC, make_tagger
from trainer.tagger.saved_model import export_saved_model

WINDOWS = {LOG_MEL: 40, WAVEFORM: 20_000}  # 1.25 s


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """An exported model of each front end, with random weights."""
    folder = tmp_path_factory.mktemp("models")
    for frontend in WINDOWS:
        export_saved_model(make_tagger(frontend)[0], str(folder / frontend))
    return folder


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A folder of 30 files of 0.5 to 4.9 s in several formats, rates and folders."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    for i in range(30):
        rate = (16000, 44100, 22050)[i % 3]
        seconds = 0.5 + 0.15 * i
        shape = (int(seconds * rate), 1 + i % 2)
        samples = rng.normal(0, 0.1 / (1 + i), shape)
        name = folder / f"{i % 4}" / f"{i:02}.{('wav', 'flac', 'mp3')[i % 3]}"
        name.parent.mkdir(exist_ok=True)
        soundfile.write(name, samples, rate)
    return folder


def run(*arguments):
    return predict.main([str(argument) for argument in arguments])


def rows_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def scores_of(rows):
    return np.array(
        [[s for _, s in sorted((t["tag"], t["score"]) for t in r["tags"])] for r in rows]
    )


@pytest.mark.parametrize("frontend", WINDOWS)
def test_folder_and_file_and_signatures_agree(models, music, tmp_path, frontend, capsys):
    """Windows of many files in a batch give what the SavedModel gives for each whole file."""
    import tensorflow as tf

    from beam_pipelines.audio.decode import load_clip

    output = tmp_path / "all.jsonl"
    assert (
        run(
            "--model",
            models / frontend,
            "--input",
            music,
            "--output",
            output,
            "--taggram",
            "--embeddings",
        )
        == 0
    )
    rows = rows_of(output)
    paths = sorted(str(path) for path in music.rglob("*.*"))
    assert [row["path"] for row in rows] == paths
    out, err = capsys.readouterr()
    assert out == f"30 of 30 files tagged: {output}\n"
    short = sum(0.5 + 0.15 * i < 1.25 for i in range(30))
    assert f"{short} of 30 files are shorter than the model's window" in err
    signatures = tf.saved_model.load(str(models / frontend)).signatures
    for row in rows[::4]:
        with open(row["path"], "rb") as stream:
            audio = load_clip(stream.read(), SPEC).samples[None]
        answer = {
            name: {k: v.numpy() for k, v in signatures[name](audio=tf.constant(audio)).items()}
            for name in ("serving_default", "taggram", "embeddings")
        }
        order = np.argsort(answer["serving_default"]["tags"])
        found = {t["tag"].encode(): t["scores"] for t in row["taggram"]}
        tags = answer["taggram"]["tags"]
        np.testing.assert_allclose(
            scores_of([row])[0], answer["serving_default"]["scores"][0][order], atol=1e-4
        )
        np.testing.assert_allclose(
            np.array([found[tag] for tag in tags]).T, answer["taggram"]["scores"][0], atol=1e-4
        )
        np.testing.assert_allclose(row["starts"], answer["taggram"]["starts"], atol=1e-3)
        np.testing.assert_allclose(
            row["embedding"], answer["embeddings"]["embeddings"][0], rtol=1e-3, atol=1e-4
        )
        single = tmp_path / "one.jsonl"
        assert run("--model", models / frontend, "--input", row["path"], "--output", single) == 0
        np.testing.assert_allclose(scores_of(rows_of(single)), scores_of([row]), atol=1e-5)


def test_workers_change_no_byte_and_the_kinds_of_files_agree(models, music, tmp_path):
    common = ("--model", models / LOG_MEL, "--input", music, "--output")
    files = [tmp_path / f"{name}.parquet" for name in ("one", "two", "four")]
    for file, workers in zip(files, (1, 2, 4), strict=True):
        assert run(*common, file, "--taggram", "--direct_num_workers", workers) == 0
    assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()
    assert run(*common, tmp_path / "rows.csv", "--threshold", "0.3") == 0
    assert run(*common, tmp_path / "rows.jsonl") == 0
    rows = rows_of(tmp_path / "rows.jsonl")
    nested = pq.read_table(files[0]).to_pylist()
    with open(tmp_path / "rows.csv", newline="") as stream:
        wide = list(csv.DictReader(stream))
    for row, other, cells in zip(rows, nested, wide, strict=True):
        assert row["path"] == other["path"] == cells["path"]
        assert [t["tag"] for t in row["tags"]] == [t["tag"] for t in other["tags"]]
        for tag, same in zip(row["tags"], other["tags"], strict=True):
            assert same["score"] == np.float32(tag["score"])
            kept = tag["score"] >= 0.3
            assert cells[tag["tag"]] == (str(tag["score"]) if kept else "")
    assert sorted(os.listdir(tmp_path)) == sorted(
        [*(file.name for file in files), "rows.csv", "rows.jsonl"]
    )


def start(models, music, output):
    return subprocess.Popen(
        [sys.executable, "-m", "serving.predict", "--model", models / LOG_MEL, "--input", music]
        + ["--output", output, "--direct_num_workers", "1"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def chunks(work):
    return sorted(glob.glob(f"{work}/chunk-*.table"))


@pytest.fixture(scope="module")
def many(music, tmp_path_factory):
    """A folder of 300 links: 34 chunks."""
    folder = tmp_path_factory.mktemp("many")
    clips = sorted(music.rglob("*.*"))
    for i in range(300):
        os.link(clips[i % 30], folder / f"{i:03}{clips[i % 30].suffix}")
    return folder


def stop(models, many, output, how):
    """Start a run, send it a signal when some chunks are there; its code and error stream."""
    process = start(models, many, output)
    while len(chunks(f"{output}.work")) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_a_killed_run_does_what_is_missing_and_gives_the_same_bytes(
    models, many, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "rows.jsonl"
    assert stop(models, many, output, signal.SIGKILL)[0] == -signal.SIGKILL
    kept = {path: os.stat(path).st_mtime_ns for path in chunks(f"{output}.work")}
    assert 5 <= len(kept) < 34 and not output.exists()
    common = ["--input", many, "--output", output]
    for arguments in (("--model", models / WAVEFORM), ("--model", models / LOG_MEL, "--taggram")):
        with pytest.raises(UsageError, match="unfinished run with another model, other files"):
            run(*arguments, *common)
    damaged, _ = kept.popitem()
    os.truncate(damaged, 0)
    read = {}

    def watched(path):
        read[path] = os.stat(path).st_mtime_ns
        return read_piece(path)

    read_piece = beam_job.read_piece
    monkeypatch.setattr(beam_job, "read_piece", watched)
    assert run("--model", models / LOG_MEL, *common) == 0
    assert kept.items() <= read.items() and len(read) == 34
    assert f"{9 * len(kept):,} files are tagged already" in capsys.readouterr().err
    whole = tmp_path / "whole.jsonl"
    assert run("--model", models / LOG_MEL, "--input", many, "--output", whole) == 0
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["rows.jsonl", "whole.jsonl"]


def test_control_c_says_what_goes_on(models, many, tmp_path):
    output = tmp_path / "rows.jsonl"
    code, err = stop(models, many, output, signal.SIGINT)
    assert code == 130
    message = f"stopped; the same command goes on with what is kept in {output}.work"
    assert err.strip().splitlines()[-1] == message and "Traceback" not in err
    assert not output.exists() and len(chunks(f"{output}.work")) >= 5


@pytest.mark.fixtures
def test_every_broken_file_is_answered(models, fixtures_dir, tmp_path, capsys):
    folder = tmp_path / "in"
    listed = json.loads((fixtures_dir / "mini-msd" / "audio_manifest.json").read_text())
    expected = {}
    for entry in listed:
        if "ordinary" in entry["what"] or "id " in entry["what"]:
            continue
        source = fixtures_dir / "mini-msd" / "7digital" / entry["path"]
        if source.is_file():
            target = folder / "broken" / entry["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            expected[str(target)] = entry["what"]
    (folder / "notes.txt").write_text("no audio")
    (folder / "loop").symlink_to(folder)
    rng = np.random.default_rng(0)
    (folder / "nested" / "日本 ü").mkdir(parents=True)
    soundfile.write(folder / "nested" / "日本 ü" / "short.wav", rng.normal(0, 0.1, 22050), 44100)
    hi_res = folder / "nested" / "hi-res.flac"
    soundfile.write(hi_res, rng.normal(0, 0.1, (240_000, 2)), 48000, subtype="PCM_24")
    output = tmp_path / "rows.jsonl"
    code = run("--model", models / LOG_MEL, "--input", folder, "--output", output, "--taggram")
    assert code == 1
    rows = {row["path"]: row for row in rows_of(output)}
    assert list(rows) == sorted([*expected, str(hi_res), str(folder / "nested/日本 ü/short.wav")])
    failed = {expected[path]: row["error"] for path, row in rows.items() if row["error"]}
    assert failed == {
        "zero bytes": "empty_file",
        "text renamed": "undecodable: neither libsndfile nor FFmpeg reads it",
        "small html renamed": "undecodable: neither libsndfile nor FFmpeg reads it",
        "truncated to 100 bytes": "undecodable: neither libsndfile nor FFmpeg reads it",
    }
    assert all(len(row["tags"]) == (0 if row["error"] else 3) for row in rows.values())
    assert len(rows[str(hi_res)]["starts"]) == 4 and rows[str(hi_res)]["starts"][1] == 1.28
    err = capsys.readouterr().err
    n_failed = sum(row["error"] is not None for row in rows.values())
    assert (
        f"{n_failed} of {len(rows)} files could not be tagged: empty_file 2, undecodable 3" in err
    )
    assert "ignored: 1 .txt" in err
    assert "2 of" in err  # the clip of 0.05 s and ours of 0.5 s


class TreeFileSystem(LocalFileSystem):
    """An object store: tree://x is /x, and there are no folders."""

    @classmethod
    def scheme(cls):
        return "tree"

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        root = dir_or_prefix.removeprefix("tree:/")
        for folder, _, names in os.walk(os.path.dirname(root)):
            for name in names:
                path = os.path.join(folder, name)
                if path.startswith(root):
                    status = os.stat(path)
                    yield FileMetadata("tree:/" + path, status.st_size, status.st_mtime)

    def create(self, path, *arguments, **options):
        local = path.removeprefix("tree:/")
        os.makedirs(os.path.dirname(local), exist_ok=True)
        return super().create(local, *arguments, **options)

    def open(self, path, *arguments, **options):
        return super().open(path.removeprefix("tree:/"), *arguments, **options)

    def exists(self, path):
        return os.path.isfile(path.removeprefix("tree:/"))

    def size(self, path):
        return os.path.getsize(path.removeprefix("tree:/"))

    def metadata(self, path):
        return FileMetadata(path, self.size(path), 0.0)

    def rename(self, sources, destinations):
        for source, destination in zip(sources, destinations, strict=True):
            os.rename(source.removeprefix("tree:/"), destination.removeprefix("tree:/"))

    def delete(self, paths):
        for path in paths:
            os.remove(path.removeprefix("tree:/"))


def test_files_elsewhere(models, music, tmp_path):
    """Input, output and the work folder on one of Beam's file systems."""
    model = models / LOG_MEL
    shutil.copytree(music / "0", tmp_path / "in")
    (tmp_path / "in" / "broken.mp3").write_text("no audio")
    outputs = tmp_path / "out" / "rows.csv", tmp_path / "here.csv"
    outputs[0].parent.mkdir()
    assert (
        run("--model", model, "--input", f"tree:/{tmp_path}/in", "--output", f"tree:/{outputs[0]}")
        == 1
    )
    assert run("--model", model, "--input", tmp_path / "in", "--output", outputs[1]) == 1
    assert outputs[0].read_text() == outputs[1].read_text().replace(
        f"{tmp_path}", f"tree:/{tmp_path}"
    )
    assert [path.name for path in outputs[0].parent.rglob("*") if path.is_file()] == ["rows.csv"]
    single, here = (tmp_path / "out" / name for name in ("one.parquet", "here.parquet"))
    name = tmp_path / "in" / "00.wav"
    assert run("--model", model, "--input", f"tree:/{name}", "--output", f"tree:/{single}") == 0
    assert run("--model", model, "--input", name, "--output", here) == 0
    assert pq.read_table(single)["tags"] == pq.read_table(here)["tags"]


def test_pictures_of_a_folder(models, music, tmp_path):
    from PIL import Image

    output, plots = tmp_path / "rows.csv", tmp_path / "plots"
    few = [music / "0", music / "1" / "01.flac"]
    code = run("--model", models / LOG_MEL, "--input", *few, "--output", output, "--plot", plots)
    assert code == 0
    names = sorted(str(path.relative_to(plots)) for path in plots.rglob("*.*"))
    assert names == sorted(
        [*(f"0/{path.name}.png" for path in (music / "0").iterdir()), "1/01.flac.png"]
    )
    with Image.open(plots / "1" / "01.flac.png") as picture:
        assert picture.size[0] > 1000 and len(picture.convert("RGB").getcolors(1 << 24)) > 50

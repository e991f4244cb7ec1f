"""LiteRT models and serving.lite: as the SavedModel says, with nothing else installed."""

import csv
import functools
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from ai_edge_litert.interpreter import Interpreter
from packaging.requirements import Requirement

from beam_pipelines.audio.decode import load_clip
from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import UsageError
from schemas.saved_model import (
    TAGGRAM,
    find_lite_model,
    find_saved_model,
    lite_path,
    read_lite_info,
    read_model_info,
)
from serving import lite
from serving.engine.litert import load_lite_signature
from serving.engine.saved_model import load_signature
from tests.helpers.models import randomise
from tests.helpers.places import ROOT
from tests.helpers.taggers import LABELS, WINDOWS, noise
from trainer.export import main as export_main
from trainer.models.registry import build_model
from trainer.tagger.clip_tagger import Tagger
from trainer.tagger.litert import export_lite
from trainer.tagger.saved_model import export_saved_model, load_tagger

NEEDED = ("numpy", "soundfile", "soxr", "ai-edge-litert")
METHODS = {"serving_default": "serve", "taggram": "taggram", "embeddings": "embeddings"}


loaded = functools.cache(load_tagger)


def assert_agree(path, tagger, audio):
    """All signatures of a LiteRT model give what the tagger's methods give."""
    interpreter = Interpreter(str(path), num_threads=1)
    for signature, method in METHODS.items():
        answer = interpreter.get_signature_runner(signature)(audio=audio)
        expected = getattr(tagger, method)(audio)
        assert answer.keys() == expected.keys()
        for key, value in expected.items():
            value = value.numpy()
            if key == "tags":
                assert answer[key].tolist() == value.tolist()
                continue
            assert (answer[key].shape, answer[key].dtype) == (value.shape, np.float32)
            np.testing.assert_allclose(answer[key], value, rtol=1e-3, atol=1e-3)
            if key == "scores":
                np.testing.assert_allclose(answer[key], value, atol=1e-4)


@pytest.mark.parametrize("frontend", WINDOWS)
@pytest.mark.parametrize(("n_samples", "batch"), [(70_001, 1), (300, 2), (45_000, 3), (19_968, 1)])
def test_the_signatures_are_those_of_the_savedmodel(small_models, frontend, n_samples, batch):
    directory = str(small_models[frontend])
    assert_agree(lite_path(directory), loaded(directory), noise(n_samples, batch))


@pytest.mark.parametrize("frontend", WINDOWS)
def test_windows_of_many_tracks_share_a_batch(small_models, frontend):
    directory = str(small_models[frontend])
    shape = (5, 40, 96) if frontend == LOG_MEL else (5, 20_000)
    windows = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)
    answer = load_lite_signature(lite_path(directory), "windows")(windows)
    expected = loaded(directory).windows(windows)
    assert answer["tags"] == LABELS
    for key in ("scores", "embeddings"):
        np.testing.assert_allclose(answer[key], expected[key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "compression"), [("musicnn", "log10"), ("vgg", "db")])
def test_every_model_and_compression_has_a_lite_form(name, compression, tmp_path):
    """LiteRT runs it, so that no operation of TensorFlow's own is left in it."""
    spec = AudioSpec(sample_rate=2000, n_fft=256, hop_length=64, compression=compression)
    model = build_model(name, frontend=LOG_MEL, window=160, n_mels=96, n_tags=3)
    tagger = Tagger(randomise(model), spec, LOG_MEL, 160, LABELS, {"name": name})
    export_saved_model(tagger, str(tmp_path / "1"))
    path = export_lite(str(tmp_path / "1"))
    for n_samples, batch in ((25_000, 1), (700, 2)):
        assert_agree(path, tagger, noise(n_samples, batch))


def test_the_file_says_what_it_is(small_models):
    for frontend, directory in small_models.items():
        path = lite_path(str(directory))
        assert read_lite_info(path) == read_model_info(str(directory))
        assert read_lite_info(path).frontend == frontend
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["orpheus.json"]
            assert json.loads(archive.read("orpheus.json"))["labels"] == LABELS


def test_which_lite_model_a_path_means(small_models, tmp_path):
    directory = small_models[WAVEFORM]
    file = lite_path(str(directory))
    for path in (file, str(directory), f"{directory}/"):
        assert find_lite_model(path) == file
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "export").symlink_to(directory.parent / "versions")
    (directory.parent / "versions").mkdir(exist_ok=True)
    os.symlink(directory, tmp_path / "job" / "export" / "3")
    with pytest.raises(UsageError, match="job/export/3.tflite does not exist: trainer.export"):
        find_lite_model(str(tmp_path / "job"))
    os.symlink(file, tmp_path / "job" / "export" / "3.tflite")
    assert find_lite_model(str(tmp_path / "job")) == str(tmp_path / "job/export/3.tflite")
    with pytest.raises(UsageError, match="none.tflite does not exist"):
        find_lite_model(str(tmp_path / "none.tflite"))
    with pytest.raises(UsageError, match="waveform.tflite is a LiteRT model: serving.lite"):
        find_saved_model(file)


def test_an_earlier_lite_model_is_replaced_and_anything_else_is_left_alone(small_models, tmp_path):
    shutil.copytree(small_models[WAVEFORM], tmp_path / "1")
    path = tmp_path / "1.tflite"
    path.write_text("my notes")
    with pytest.raises(UsageError, match="1.tflite exists and is no exported model"):
        export_lite(f"{tmp_path}/1")
    (tmp_path / "job" / "checkpoints").mkdir(parents=True)
    (tmp_path / "job" / "checkpoints" / "best.keras").touch()
    (tmp_path / "job" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="1.tflite exists and is no exported model"):
        export_main(["--job_dir", f"{tmp_path}/job", "--output", f"{tmp_path}/1"])
    assert path.read_text() == "my notes"
    shutil.copyfile(lite_path(str(small_models[LOG_MEL])), path)
    assert export_lite(f"{tmp_path}/1/") == str(path)
    assert read_lite_info(str(path)).frontend == WAVEFORM
    assert sorted(os.listdir(tmp_path)) == ["1", "1.tflite", "job"]
    assert path.stat().st_mode == (tmp_path / "job" / "config.json").stat().st_mode


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Runs Python with the needed packages, what they need themselves, and the service."""
    site = tmp_path_factory.mktemp("bare")
    for package in ("schemas", "beam_pipelines", "serving"):
        (site / package).symlink_to(ROOT / package)
    waiting, seen = list(NEEDED), set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        package = importlib.metadata.distribution(name)
        needs = map(Requirement, package.requires or [])
        waiting += [n.name for n in needs if n.marker is None or n.marker.evaluate({"extra": ""})]
        for file in package.files:
            if file.parts[0] != ".." and file.suffix != ".pyc":
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(file.locate())
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(site)

    def run(*arguments):
        # -S: without the packages of this Python
        command = [sys.executable, "-S", "-B", *map(str, arguments)]
        return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True)

    return run


def test_the_bare_environment_is_bare(bare):
    names = [
        "tensorflow",
        "keras",
        "apache_beam",
        "scipy",
        "librosa",
        "pandas",
        "pyarrow",
        "mutagen",
        "pip",
        "trainer",
    ]
    code = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    assert bare("-c", code).stdout == "[]\n"


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A folder of readable and broken files; the error of each, or None."""
    folder = tmp_path_factory.mktemp("music")
    (folder / "deep").mkdir()
    stereo = noise(6 * 48_000, 2, seed=1).T
    soundfile.write(folder / "a.wav", noise(50_000)[0], 16_000)
    soundfile.write(folder / "b.flac", stereo, 48_000, "PCM_24")
    soundfile.write(folder / "deep" / "é.mp3", noise(5 * 22_050, seed=2)[0], 22_050, format="MP3")
    soundfile.write(folder / "short.ogg", noise(4_000, seed=3)[0], 16_000)
    (folder / "broken.mp3").write_bytes(b"no audio at all" * 99)
    (folder / "empty.wav").touch()
    (folder / "notes.txt").write_text("not audio")
    return folder, {
        "a.wav": None,
        "b.flac": None,
        "broken.mp3": "undecodable: no format that libsndfile reads; for others pip install "
        "'orpheus-tagging[formats]'",
        "deep/é.mp3": None,
        "empty.wav": "empty_file",
        "short.ogg": None,
    }


@pytest.mark.parametrize("frontend", WINDOWS)
def test_the_command_needs_nothing_else_and_says_what_the_savedmodel_says(
    bare, music, small_models, frontend, tmp_path
):
    folder, errors = music
    directory = small_models[frontend]
    output = tmp_path / "tags.jsonl"
    done = bare(
        *("-m", "serving.lite", lite_path(str(directory)), folder),
        *("--output", output, "--taggram", "--embeddings"),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "1 of 6 files are shorter than the model's window, and padded with zeros",
        "2 of 6 files could not be tagged: empty_file 1, undecodable 1",
        "ignored: 1 .txt",
    ]
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["path"] for row in rows] == [f"{folder}/{name}" for name in sorted(errors)]
    taggram = load_signature(str(directory), TAGGRAM)
    embeddings = load_signature(str(directory), "embeddings")
    spec = read_model_info(str(directory)).spec
    for row in rows:
        name = os.path.relpath(row["path"], folder)
        assert row["error"] == errors[name]
        if row["error"]:
            assert row["tags"] == row["starts"] == row["taggram"] == row["embedding"] == []
            continue
        audio = load_clip(pathlib.Path(row["path"]).read_bytes(), spec).samples[np.newaxis]
        expected = taggram(audio)
        scores = {each["tag"]: each["score"] for each in row["tags"]}
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
        means = dict(zip(LABELS, expected["scores"][0].mean(axis=0), strict=True))
        assert scores == pytest.approx(means, abs=1e-4)
        np.testing.assert_allclose(row["starts"], expected["starts"], atol=1e-3)
        for each in row["taggram"]:
            windows = expected["scores"][0, :, LABELS.index(each["tag"])]
            np.testing.assert_allclose(each["scores"], windows, atol=1e-3)
        np.testing.assert_allclose(
            row["embedding"], embeddings(audio)["embeddings"][0], rtol=1e-3, atol=1e-3
        )
        best = row["tags"][0]
        assert f"{row['path']}\n  {best['score']:.3f}  {best['tag']}\n" in done.stdout


def test_a_table_of_the_best_tags(music, small_models, tmp_path, capsys):
    folder, _ = music
    model, output = lite_path(str(small_models[LOG_MEL])), tmp_path / "tags.csv"
    files = [f"{folder}/a.wav", f"{folder}/b.flac"]
    assert lite.main([model, *files, "--top", "2", "--output", str(output)]) == 0
    assert capsys.readouterr().err == ""
    with open(output, newline="", encoding="utf8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["path", "error", "warnings", *LABELS]
    assert [row["path"] for row in rows] == files
    call = load_lite_signature(model)
    for row in rows:
        audio = load_clip(pathlib.Path(row["path"]).read_bytes(), AudioSpec()).samples
        scores = dict(zip(LABELS, call(audio[np.newaxis])["scores"][0], strict=True))
        del scores[min(scores, key=scores.get)]
        filled = {tag: float(row[tag]) for tag in LABELS if row[tag]}
        assert filled == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL"], "name audio files or directories, or --record"),
        (["MODEL", "SONG", "--record"], "name audio files or directories, or --record"),
        (["MODEL", "none.mp3"], "none.mp3 does not exist"),
        (["none.tflite", "SONG"], "none.tflite does not exist; trainer.task writes"),
        (["SONG", "SONG"], "a.wav is no LiteRT model of ours"),
        (
            ["MODEL", "SONG", "--top", "0"],
            "--top: '0' is not a whole number of at least 1",
        ),
        (["MODEL", "SONG", "--threshold", "1.5"], "--threshold: '1.5' is not a number from 0 to 1"),
        (["MODEL", "SONG", "--embeddings"], "--taggram and --embeddings add to the rows of"),
        (["MODEL", "SONG", "--output", "x.parquet"], "serving.lite writes .jsonl or .csv"),
        (["MODEL", "SONG", "--output", "x.txt"], "its suffix says how it is written"),
        (["MODEL", "SONG", "--output", "x.csv", "--taggram"], "CSV has one cell a tag"),
        (["MODEL", "--record", "--taggram"], "--taggram is for files, not for --record"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, music, small_models, tmp_path):
    names = {"MODEL": lite_path(str(small_models[LOG_MEL])), "SONG": f"{music[0]}/a.wav"}
    with pytest.raises(UsageError, match=re.escape(message)):
        lite.main([names.get(word, word) for word in arguments])


def test_a_damaged_model_is_said_so(small_models, music, tmp_path):
    whole = pathlib.Path(lite_path(str(small_models[LOG_MEL]))).read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"cut\.tflite is no LiteRT model of ours"):
        lite.main([f"{tmp_path}/cut.tflite", f"{music[0]}/a.wav"])
    with zipfile.ZipFile(tmp_path / "zip.tflite", "w") as archive:
        info = read_lite_info(lite_path(str(small_models[LOG_MEL])))
        archive.writestr("orpheus.json", json.dumps(info.to_json()))
    with pytest.raises(UsageError, match=r"zip\.tflite cannot be loaded as a LiteRT model"):
        lite.main([f"{tmp_path}/zip.tflite", f"{music[0]}/a.wav"])
    with pytest.raises(UsageError, match="cannot be loaded as a LiteRT model"):
        load_lite_signature(lite_path(str(small_models[LOG_MEL])), "no_such_signature")

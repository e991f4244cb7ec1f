"""serving.predict with real SavedModels: which files, what rows, what happens to bad ones."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from beam_pipelines.audio.decode import load_clip
from schemas.audio_spec import WAVEFORM, AudioSpec
from schemas.common.errors import RunError, UsageError
from schemas.saved_model import METADATA, ModelInfo
from serving import predict
from serving.engine.find_files import find_audio, find_inputs
from serving.engine.run import decode_ahead
from serving.engine.saved_model import load_signature
from tests.helpers.disks import written_under
from tests.helpers.places import ROOT

SPEC = AudioSpec(sample_rate=8000)
INFO = ModelInfo(["loud", "quiet", "half", "café"], SPEC, WAVEFORM, window=8000, model={})


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job directory whose model says how loud each second is."""
    import tensorflow as tf

    class Level(tf.Module):
        def __init__(self):
            super().__init__()
            self.one = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 8000], tf.float32, "windows")])
        def windows(self, windows):
            peak = tf.reduce_max(tf.abs(windows), axis=1)
            scores = tf.stack([peak, self.one - peak, peak / 2, peak / 2], axis=1)
            embeddings = tf.stack([peak, 10 * peak], axis=1)
            return {"scores": scores, "embeddings": embeddings, "tags": tf.constant(INFO.labels)}

    folder = tmp_path_factory.mktemp("job")
    save(Level(), folder / "export" / "1")
    return folder


def save(model, folder):
    """Write a module with a method `windows` as trainer.export writes a tagger."""
    import tensorflow as tf

    tf.saved_model.save(model, str(folder), signatures={"windows": model.windows})
    (folder / METADATA).parent.mkdir()
    (folder / METADATA).write_text(json.dumps(INFO.to_json()))


def tone(path, peak=0.5, seconds=1.0, rate=8000, channels=1):
    """Write a sine whose sample at the peak is in it; gives the path."""
    t = np.arange(int(seconds * rate)) / rate
    wave = peak * np.sin(2 * np.pi * 1000 * t)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(wave[:, np.newaxis], channels, axis=1), rate)
    return path


def run(job, capsys, *arguments):
    """Exit code, standard output and standard error of the command."""
    code = predict.main(["--model", str(job), *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def rows_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_rows_and_table(job, tmp_path, capsys):
    quiet_clip = tone(tmp_path / "in" / "quiet.wav", peak=0.25)
    loud_clip = tone(tmp_path / "in" / "b" / "loud.flac", peak=0.75, seconds=1.5)
    shown = [
        str(loud_clip),
        *("  0.750  loud", "  0.375  half", "  0.375  café", "  0.250  quiet"),
        str(quiet_clip),
        *("  0.750  quiet", "  0.250  loud", "  0.125  half", "  0.125  café"),
    ]
    code, out, err = run(job, capsys, "--input", tmp_path / "in")
    assert (code, out.splitlines(), err) == (0, shown, "")
    output = tmp_path / "rows.jsonl"
    code, out, err = run(job, capsys, "--input", loud_clip, "--output", output)
    assert (code, out.splitlines(), err) == (0, shown[:5], "")
    assert rows_of(output) == [
        {
            "path": str(loud_clip),
            "tags": [
                {"tag": "loud", "score": 0.75},
                {"tag": "half", "score": 0.375},
                {"tag": "café", "score": 0.375},
                {"tag": "quiet", "score": 0.25},
            ],
            "error": None,
            "warnings": [],
        }
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "rows.jsonl"]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_formats_go_through_the_writers_function(job, tmp_path, capsys, suffix):
    clip = tone(tmp_path / f"clip.{suffix}", peak=0.6, seconds=2.3, rate=44100, channels=2)
    samples = load_clip(clip.read_bytes(), SPEC).samples
    run(job, capsys, "--input", clip, "--output", tmp_path / "rows.jsonl", "--taggram")
    (row,) = rows_of(tmp_path / "rows.jsonl")
    starts = [0, 8000, len(samples) - 8000]
    peaks = [np.abs(samples[start : start + 8000]).max() for start in starts]
    assert min(peaks) > 0.5
    assert row["starts"] == pytest.approx([start / 8000 for start in starts], abs=1e-3)
    assert row["taggram"][0]["tag"] == "loud"
    assert row["taggram"][0]["scores"] == pytest.approx(peaks, abs=1e-6)
    assert row["tags"][0]["score"] == pytest.approx(np.mean(peaks), abs=1e-6)


def test_limits(job, tmp_path, capsys):
    clip = tone(tmp_path / "clip.wav", peak=0.25)
    output = tmp_path / "rows.jsonl"
    run(job, capsys, "--input", clip, "--output", output, "--threshold", 0.26)
    assert [tag["tag"] for tag in rows_of(output)[0]["tags"]] == ["quiet"]
    run(job, capsys, "--input", clip, "--output", output, "--top", 1)
    assert [tag["tag"] for tag in rows_of(output)[0]["tags"]] == ["quiet"]
    run(job, capsys, "--input", clip, "--output", output, "--top", 3, "--threshold", 0.25)
    assert [tag["tag"] for tag in rows_of(output)[0]["tags"]] == ["quiet", "loud"]


def test_short_audio_is_said(job, tmp_path, capsys):
    for name, seconds in (("a", 0.5), ("b", 1.0), ("c", 0.999), ("d", 2.0)):
        tone(tmp_path / f"{name}.wav", seconds=seconds)
    (tmp_path / "e.wav").touch()
    code, _, err = run(job, capsys, "--input", tmp_path)
    assert code == 1
    assert err.splitlines() == [
        "2 of 5 files are shorter than the model's window, and padded with zeros",
        "1 of 5 files could not be tagged: empty_file 1",
    ]


def test_what_a_user_should_know_of_the_tags_is_said(job, tmp_path, capsys):
    folder = tmp_path / "in"
    sound = tone(folder / "antiphase.wav", seconds=2)
    wave, rate = soundfile.read(sound)
    soundfile.write(sound, np.stack([wave, -wave], axis=1), rate)
    whole = tone(folder / "cut.wav", seconds=4).read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    tone(folder / "short and silent.wav", peak=0, seconds=0.5)
    tone(folder / "long.wav", seconds=5)
    tone(folder / "right.wav", seconds=4)
    output = tmp_path / "rows.jsonl"
    arguments = ("--input", folder, "--output", output, "--max_seconds", 4)
    code, out, err = run(job, capsys, *arguments)
    rows = {pathlib.Path(row["path"]).stem: row for row in rows_of(output)}
    assert {name: row["warnings"] for name, row in rows.items()} == {
        "antiphase": ["one_channel"],
        "cut": ["cut_short"],
        "long": [],
        "right": [],
        "short and silent": ["padded", "silent"],
    }
    assert {name: row["error"] for name, row in rows.items() if row["error"]} == {
        "long": "too_long: more than 4 s"
    }
    assert rows["antiphase"]["tags"][0] == {"tag": "loud", "score": 0.5}
    summary = [
        "1 of 5 files are shorter than the model's window, and padded with zeros",
        "1 of 5 files are silent: their tags mean nothing",
        "1 of 5 files are cut short: tagged as far as they can be decoded",
        "1 of 5 files are heard in their loudest channel alone: the mix of all cancels out",
        "1 of 5 files could not be tagged: too_long 1",
    ]
    assert [line for line in err.splitlines() if " of 5 files " in line] == summary
    one_by_one, out, err = run(job, capsys, "--input", folder, "--max_seconds", 4)
    assert (code, one_by_one, err.splitlines()) == (1, 1, summary)
    shown = [line for line in out.splitlines() if "error" in line or "warning" in line]
    assert shown == [
        "  warning: one_channel",
        "  warning: cut_short",
        "  error: too_long: more than 4 s",
        "  warning: padded, silent",
    ]


def test_broken_files_are_lines_and_the_rest_go_on(job, tmp_path, capsys):
    folder = tmp_path / "in"
    good = [tone(folder / name) for name in ("a.wav", "e.wav")]
    (folder / "b.mp3").write_bytes(b"")
    (folder / "c.mp3").write_text("this is no audio")
    (folder / "d.ogg").symlink_to(tmp_path / "nowhere.ogg")
    (folder / "notes.txt").write_text("no audio either")
    code, out, err = run(job, capsys, "--input", folder)
    assert code == 1
    assert err.splitlines() == [
        "3 of 5 files could not be tagged: empty_file 1, undecodable 1, unreadable 1",
        "ignored: 1 .txt",
    ]
    errors = [line for line in out.splitlines() if line.startswith("  error: ")]
    assert errors == [
        "  error: empty_file",
        "  error: undecodable: neither libsndfile nor FFmpeg reads it",
        "  error: unreadable: ENOENT, No such file or directory",
    ]
    names = [line for line in out.splitlines() if not line.startswith(" ")]
    assert names == [str(folder / name) for name in ("a.wav", "b.mp3", "c.mp3", "d.ogg", "e.wav")]
    assert [str(path) for path in good] == [names[0], names[4]]
    output = tmp_path / "rows.jsonl"
    assert run(job, capsys, "--input", folder / "c.mp3", "--output", output)[0] == 1
    assert rows_of(output) == [
        {"path": names[2], "tags": [], "error": errors[1][9:], "warnings": []}
    ]


def test_a_model_that_fails_on_a_clip_is_a_line_too(tmp_path, capsys):
    import tensorflow as tf

    class Picky(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8000], tf.float32, "windows")])
        def windows(self, windows):
            tf.debugging.assert_less(tf.reduce_max(windows), 0.6, message="too loud")
            score = tf.reduce_max(windows, axis=1, keepdims=True)
            scores = tf.repeat(score, 4, axis=1)
            return {"scores": scores, "embeddings": score, "tags": tf.constant(INFO.labels)}

    save(Picky(), tmp_path / "1")
    for name, peak in (("a", 0.25), ("b", 0.75), ("c", 0.5)):
        tone(tmp_path / f"{name}.wav", peak, seconds=1.5)
    (tmp_path / "d.wav").touch()
    code, out, _ = run(tmp_path, capsys, "--input", tmp_path, "--top", 1)
    lines = out.splitlines()
    assert code == 1 and len(lines) == 8
    assert "too loud" in lines[3]
    # With Beam, too.
    output = tmp_path / "rows.jsonl"
    code, _, err = run(tmp_path, capsys, "--input", tmp_path, "--top", 1, "--output", output)
    assert "2 of 4 files could not be tagged: empty_file 1, model_failed 1" in err
    rows = rows_of(output)
    assert [[tag["score"] for tag in row["tags"]] for row in rows] == [[0.25], [], [0.5], []]
    assert rows[1]["error"].startswith("model_failed: ") and "too loud" in rows[1]["error"]
    assert f"  error: {rows[1]['error']}" == lines[3]


def test_as_a_user_runs_it(job, tmp_path, command):
    """With a file whose name is no text, as disks from elsewhere hold them."""
    name = os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav")
    tone(tmp_path / "clip.wav", peak=0.75).rename(os.fsdecode(name))
    output = tmp_path / "rows.jsonl"
    result = command(
        "serving.predict", "--model", job, "--input", tmp_path, "--output", output, "--top", 1
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path}/caf\\udce9.wav\n  0.750  loud\n"
    assert os.fsencode(rows_of(output)[0]["path"]) == name


def test_control_c_without_an_output(job, tmp_path):
    clip = tone(tmp_path / "in" / "0000.wav")
    for i in range(1, 4000):
        os.link(clip, tmp_path / "in" / f"{i:04}.wav")
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.predict", "--model", job, "--input", tmp_path / "in"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    done = re.fullmatch(r"stopped after (\d+) of 4000 files", err.strip())
    assert 4 <= int(done[1]) < 4000


def test_a_full_disk_is_one_line(job, tmp_path, monkeypatch):
    clip = tone(tmp_path / "clip.wav")
    output = tmp_path / "rows.jsonl"
    written_under(monkeypatch, output).symlink_to("/dev/full")
    with pytest.raises(RunError, match="rows.jsonl cannot be written: No space left"):
        predict.main(["--model", str(job), "--input", str(clip), "--output", str(output)])
    assert os.listdir(tmp_path) == ["clip.wav"]


def test_a_file_that_cannot_be_made_is_the_users_mistake(job, tmp_path, monkeypatch):
    clip = tone(tmp_path / "clip.wav")
    output = tmp_path / "rows.jsonl"
    written_under(monkeypatch, output).mkdir()
    with pytest.raises(UsageError, match="rows.jsonl cannot be written: Is a directory"):
        predict.main(["--model", str(job), "--input", str(clip), "--output", str(output)])


def test_bad_arguments(job, tmp_path, capsys):
    clip = tone(tmp_path / "clip.wav")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no audio")
    output = tmp_path / "rows.jsonl"
    for message, arguments in {
        "does not exist": ["--input", tmp_path / "nowhere.wav"],
        "holds no audio file": ["--input", clip, tmp_path / "empty"],
        "holds no exported model": ["--model", tmp_path, "--input", clip],
        "from 0 to 1": ["--input", clip, "--threshold", 2],
        "--top: .* at least 1": ["--input", clip, "--top", 0],
        "a directory that exists": ["--input", clip, "--output", tmp_path / "no" / "rows.jsonl"],
        "a file in": ["--input", clip, "--output", "/dev/null"],
        ".jsonl, .csv, .parquet": ["--input", clip, "--output", tmp_path / "rows.txt"],
        "CSV has one cell": ["--input", clip, "--taggram", "--output", tmp_path / "rows.csv"],
        "a directory, made": ["--input", clip, "--plot", clip],
        "--input": [],
        "unknown option --tpo": ["--input", clip, "--tpo", 3],
    }.items():
        with pytest.raises(UsageError, match=message):
            run(job, capsys, "--output", output, *arguments)
    with pytest.raises(UsageError, match="--output, which is missing"):
        run(job, capsys, "--input", clip, "--taggram")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.wav", "empty"]


def test_a_folder_that_is_no_model_of_ours(job, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(UsageError, match="holds no exported model"):
        predict.main(["--model", str(tmp_path), "--input", str(tmp_path)])
    with pytest.raises(UsageError, match="cannot be loaded as a SavedModel"):
        load_signature(str(tmp_path))
    with pytest.raises(UsageError, match="no signature 'taggram', only windows$"):
        load_signature(str(job / "export" / "1"), "taggram")


def test_a_model_of_an_older_export_is_said(tmp_path):
    import tensorflow as tf

    class Old(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "audio")])
        def serve(self, audio):
            return {"scores": audio[:, :4], "tags": tf.constant(INFO.labels)}

    model = Old()
    tf.saved_model.save(model, str(tmp_path / "old"), signatures={"serving_default": model.serve})
    message = "no signature 'windows', only serving_default; export it again with trainer.export"
    with pytest.raises(UsageError, match=message):
        load_signature(str(tmp_path / "old"), "windows")
    serve = load_signature(str(tmp_path / "old"))
    assert serve(np.ones((1, 9), np.float32))["scores"].tolist() == [[1, 1, 1, 1]]


def test_a_model_is_named_by_its_job_or_its_versions(job, tmp_path, capsys):
    clip = tone(tmp_path / "clip.wav", peak=0.75)
    outs = [
        run(folder, capsys, "--input", clip, "--top", 1)
        for folder in (job, job / "export", job / "export" / "1")
    ]
    assert outs == [(0, f"{clip}\n  0.750  loud\n", "")] * 3


def test_find_audio(tmp_path):
    names = ["b.wav", "a/z.MP3", "a/deep/c.Flac", "a/x.ogg", "a/y.m4a", "a/cover.jpg", "mp3"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "0-link").symlink_to(tmp_path / "a" / "deep")
    found = ("a/deep/c.Flac", "a/x.ogg", "a/y.m4a", "a/z.MP3", "b.wav")
    expected = [str(tmp_path / name) for name in found]
    assert find_audio([str(tmp_path)]) == expected
    assert find_inputs([str(tmp_path)]) == (expected, {".jpg": 1, "without a suffix": 1})
    single = str(tmp_path / "a" / "cover.jpg")
    assert find_audio([single, expected[4], str(tmp_path)]) == [single, expected[4], *expected[:4]]


def test_a_linked_directory_elsewhere_is_searched_once(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "song.mp3").touch()
    for name in ("one", "two"):
        (tmp_path / "music" / name).symlink_to(tmp_path / "other")
    assert find_audio([str(tmp_path / "music")]) == [str(tmp_path / "music" / "one" / "song.mp3")]


def test_decoding_runs_ahead_only_so_far(tmp_path):
    clip = str(tone(tmp_path / "clip.wav"))
    begun = []

    def paths():
        for i in range(10):
            begun.append(i)
            yield clip

    with ThreadPoolExecutor(2) as pool:
        clips = decode_ahead(pool, paths(), INFO, ahead=3, max_seconds=None)
        assert len(begun) == 3
        for taken, (path, track) in enumerate(clips, start=1):
            assert (path, track.windows(0, 9).shape) == (clip, (1, 8000))
            assert len(begun) == min(10, taken + 3)
    assert taken == 10

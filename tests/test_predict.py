"""serving.predict with real SavedModels: which files, what rows, what happens to bad ones."""

import json
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.audio import load_clip
from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.errors import RunError, UsageError
from schemas.saved_model import METADATA, ModelInfo
from serving import predict
from serving.inputs import find_audio
from serving.model import load_signature
from tests.conftest import ROOT

SPEC = AudioSpec(sample_rate=8000)
TAGS = ["loud", "quiet", "long", "café"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job directory whose model says how loud and how long (of 2 s) the audio is."""
    import tensorflow as tf

    class Level(tf.Module):
        def __init__(self):
            super().__init__()
            self.rate = tf.Variable(float(SPEC.sample_rate))

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "audio")])
        def serve(self, audio):
            peak = tf.reduce_max(tf.abs(audio), axis=1)
            length = tf.cast(tf.shape(audio)[1], tf.float32) / (2 * self.rate) * tf.ones_like(peak)
            scores = tf.stack([peak, 1 - peak, length, length], axis=1)
            return {"scores": scores, "tags": tf.constant(TAGS)}

    folder = tmp_path_factory.mktemp("job")
    save(Level(), folder / "export" / "1")
    return folder


def save(model, folder):
    """Write a module with a method `serve` as trainer.export writes a tagger."""
    import tensorflow as tf

    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    info = ModelInfo(labels=TAGS, spec=SPEC, frontend=WAVEFORM, window=8000, model={})
    (folder / METADATA).parent.mkdir()
    (folder / METADATA).write_text(json.dumps(info.to_json()))


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
    output = tmp_path / "rows.jsonl"
    code, out, err = run(job, capsys, "--input", tmp_path / "in", "--output", output)
    assert (code, err) == (0, "")
    assert rows_of(output) == [
        {
            "path": str(loud_clip),
            "tags": [
                {"tag": "loud", "score": 0.75},
                {"tag": "long", "score": 0.75},
                {"tag": "café", "score": 0.75},
                {"tag": "quiet", "score": 0.25},
            ],
            "error": None,
        },
        {
            "path": str(quiet_clip),
            "tags": [
                {"tag": "quiet", "score": 0.75},
                {"tag": "long", "score": 0.5},
                {"tag": "café", "score": 0.5},
                {"tag": "loud", "score": 0.25},
            ],
            "error": None,
        },
    ]
    assert out.splitlines() == [
        str(loud_clip),
        *("  0.750  loud", "  0.750  long", "  0.750  café", "  0.250  quiet"),
        str(quiet_clip),
        *("  0.750  quiet", "  0.500  long", "  0.500  café", "  0.250  loud"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "rows.jsonl"]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_formats_go_through_the_writers_function(job, tmp_path, capsys, suffix):
    clip = tone(tmp_path / f"clip.{suffix}", peak=0.6, rate=44100, channels=2)
    samples = load_clip(clip.read_bytes(), SPEC).samples
    assert 0.5 < np.abs(samples).max() < 0.7
    run(job, capsys, "--input", clip, "--output", tmp_path / "rows.jsonl")
    (row,) = rows_of(tmp_path / "rows.jsonl")
    scores = {entry["tag"]: entry["score"] for entry in row["tags"]}
    assert scores["loud"] == pytest.approx(np.abs(samples).max(), abs=1e-6)
    assert scores["long"] == pytest.approx(len(samples) / 16000, abs=1e-6)


def test_limits(job, tmp_path, capsys):
    clip = tone(tmp_path / "clip.wav", peak=0.25)
    output = tmp_path / "rows.jsonl"
    run(job, capsys, "--input", clip, "--output", output, "--threshold", 0.5)
    assert [tag["tag"] for tag in rows_of(output)[0]["tags"]] == ["quiet", "long", "café"]
    run(job, capsys, "--input", clip, "--output", output, "--top", 1)
    assert [tag["tag"] for tag in rows_of(output)[0]["tags"]] == ["quiet"]
    run(job, capsys, "--input", clip, "--output", output, "--top", 3, "--threshold", 0.6)
    assert [tag["tag"] for tag in rows_of(output)[0]["tags"]] == ["quiet"]


def test_short_audio_is_said(job, tmp_path, capsys):
    for name, seconds in (("a", 0.5), ("b", 1.0), ("c", 0.999), ("d", 2.0)):
        tone(tmp_path / f"{name}.wav", seconds=seconds)
    (tmp_path / "e.wav").touch()
    code, _, err = run(job, capsys, "--input", tmp_path)
    assert code == 1
    assert err.splitlines() == [
        "2 of 5 files are shorter than the model's window and were padded with zeros",
        "1 of 5 files could not be tagged",
    ]
    log_mel = ModelInfo([], SPEC, LOG_MEL, window=16, model={})
    assert predict.is_short(np.zeros(15 * SPEC.hop_length - 1, np.float32), log_mel)
    assert not predict.is_short(np.zeros(15 * SPEC.hop_length, np.float32), log_mel)


def test_broken_files_are_lines_and_the_rest_go_on(job, tmp_path, capsys):
    folder = tmp_path / "in"
    good = [tone(folder / name) for name in ("a.wav", "e.wav")]
    (folder / "b.mp3").write_bytes(b"")
    (folder / "c.mp3").write_text("this is no audio")
    (folder / "d.ogg").symlink_to(tmp_path / "nowhere.ogg")
    code, out, err = run(job, capsys, "--input", folder, "--output", tmp_path / "rows.jsonl")
    assert code == 1
    assert err == "3 of 5 files could not be tagged\n"
    rows = rows_of(tmp_path / "rows.jsonl")
    assert [os.path.basename(row["path"]) for row in rows] == [
        "a.wav",
        "b.mp3",
        "c.mp3",
        "d.ogg",
        "e.wav",
    ]
    assert [row["path"] for row in rows if row["error"] is None] == list(map(str, good))
    assert [bool(row["tags"]) for row in rows] == [True, False, False, False, True]
    assert rows[1]["error"] == "empty_file"
    assert rows[2]["error"].startswith("undecodable")
    assert rows[3]["error"] == "No such file or directory"
    assert "  error: No such file or directory" in out.splitlines()


def test_a_model_that_fails_on_a_clip_is_a_line_too(tmp_path, capsys):
    import tensorflow as tf

    class Picky(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "audio")])
        def serve(self, audio):
            tf.debugging.assert_less(tf.shape(audio)[1], 12000, message="too long")
            return {"scores": audio[:, :1], "tags": tf.constant(["first"])}

    save(Picky(), tmp_path / "1")
    clips = [tone(tmp_path / "long.wav", seconds=2), tone(tmp_path / "short.wav", seconds=1)]
    code, _, _ = run(tmp_path, capsys, "--input", *clips, "--output", tmp_path / "rows.jsonl")
    long, short = rows_of(tmp_path / "rows.jsonl")
    assert code == 1
    assert "too long" in long["error"] and "\n" not in long["error"]
    assert short == {"path": str(clips[1]), "tags": [{"tag": "first", "score": 0}], "error": None}


def test_as_a_user_runs_it(job, tmp_path, command):
    """With a file whose name is no text, as disks from elsewhere hold them."""
    name = os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav")
    tone(tmp_path / "clip.wav").rename(os.fsdecode(name))
    output = tmp_path / "rows.jsonl"
    result = command(
        "serving.predict", "--model", job, "--input", tmp_path, "--output", output, "--top", 1
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path}/caf\\udce9.wav\n  0.500  loud\n"
    assert os.fsencode(rows_of(output)[0]["path"]) == name


def test_control_c_keeps_what_was_done(job, tmp_path):
    clip = tone(tmp_path / "in" / "0000.wav")
    for i in range(1, 4000):
        os.link(clip, tmp_path / "in" / f"{i:04}.wav")
    output = tmp_path / "rows.jsonl"
    arguments = ["--model", job, "--input", tmp_path / "in", "--output", output]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.predict", *map(str, arguments)],
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
    assert not output.exists()
    rows = rows_of(tmp_path / "rows.jsonl.part")
    assert 4 <= len(rows) < 4000
    assert err.strip() == (
        f"stopped after {len(rows)} of 4000 files; their lines are in {output}.part"
    )


def test_a_full_disk_is_one_line(job, tmp_path):
    clip = tone(tmp_path / "clip.wav")
    output = tmp_path / "rows.jsonl"
    (tmp_path / "rows.jsonl.part").symlink_to("/dev/full")
    with pytest.raises(RunError, match="rows.jsonl.part cannot be written: No space left"):
        predict.main(["--model", str(job), "--input", str(clip), "--output", str(output)])
    assert not output.exists()


def test_bad_arguments(job, tmp_path, capsys):
    clip = tone(tmp_path / "clip.wav")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no audio")
    output = tmp_path / "rows.jsonl"
    for message, arguments in {
        "does not exist": ["--input", tmp_path / "nowhere.wav"],
        "holds no audio file": ["--input", clip, tmp_path / "empty"],
        "holds no exported model": ["--model", tmp_path, "--input", clip],
        "between 0 and 1": ["--input", clip, "--threshold", 2],
        "1 or more": ["--input", clip, "--top", 0],
        "a directory that exists": ["--input", clip, "--output", tmp_path / "no" / "rows.jsonl"],
        "a file in": ["--input", clip, "--output", "/dev/null"],
        "--input": [],
        "unrecognized arguments: --tpo": ["--input", clip, "--tpo", 3],
    }.items():
        with pytest.raises(UsageError, match=message):
            run(job, capsys, "--output", output, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.wav", "empty"]


def test_a_folder_that_is_no_model_of_ours(job, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(UsageError, match="holds no exported model"):
        predict.main(["--model", str(tmp_path), "--input", str(tmp_path)])
    with pytest.raises(UsageError, match="cannot be loaded as a SavedModel"):
        load_signature(str(tmp_path))
    with pytest.raises(UsageError, match="no signature 'taggram', only serving_default"):
        load_signature(str(job / "export" / "1"), "taggram")


def test_a_model_is_named_by_its_job_or_its_versions(job, tmp_path, capsys):
    clip = tone(tmp_path / "clip.wav")
    outs = [
        run(folder, capsys, "--input", clip, "--top", 1)
        for folder in (job, job / "export", job / "export" / "1")
    ]
    assert outs == [(0, f"{clip}\n  0.500  loud\n", "")] * 3


def test_find_audio(tmp_path):
    names = ["b.wav", "a/z.MP3", "a/deep/c.Flac", "a/x.ogg", "a/y.m4a", "a/cover.jpg", "mp3"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "0-link").symlink_to(tmp_path / "a" / "deep")
    expected = [str(tmp_path / name) for name in ("a/deep/c.Flac", "a/x.ogg", "a/z.MP3", "b.wav")]
    assert find_audio([str(tmp_path)]) == expected
    single = str(tmp_path / "a" / "y.m4a")
    assert find_audio([single, expected[3], str(tmp_path)]) == [single, expected[3], *expected[:3]]


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
        clips = predict.decode_ahead(pool, paths(), SPEC, ahead=3)
        assert len(begun) == 3
        for taken, (path, audio, error) in enumerate(clips, start=1):
            assert (path, audio.shape, error) == (clip, (8000,), None)
            assert len(begun) == min(10, taken + 3)
    assert taken == 10


scores_of = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30)


@given(scores_of, st.none() | st.floats(0, 1, width=32), st.none() | st.integers(1, 40))
def test_best_tags(scores, threshold, top):
    names = [f"tag {i}" for i in range(len(scores))]
    rows = predict.best_tags(names, np.float32(scores), threshold, top)
    ranked = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    wanted = [i for i in ranked if threshold is None or scores[i] >= threshold][:top]
    assert [row["tag"] for row in rows] == [names[i] for i in wanted]
    assert all(
        math.isclose(row["score"], scores[i], abs_tol=1e-6)
        for row, i in zip(rows, wanted, strict=True)
    )

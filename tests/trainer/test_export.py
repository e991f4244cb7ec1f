"""The tagger and its SavedModel, called as a stranger would: with TensorFlow alone."""

import dataclasses
import json
import os
import subprocess
import sys

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf

from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.common.errors import UsageError
from schemas.saved_model import METADATA, read_lite_info, read_model_info
from tests.helpers.models import randomise
from tests.helpers.taggers import LABELS, SPEC, WINDOWS, make_tagger, noise, shared_tagger
from trainer.export import main
from trainer.tagger.clip_tagger import Tagger
from trainer.tagger.saved_model import export_saved_model, load_tagger

LEAST = 39 * SPEC.hop_length  # samples of a window of 40 frames

STRANGER = """
import sys
import numpy as np
import tensorflow as tf

audio = np.load(sys.argv[1])
results = {}
for directory in sys.argv[2:]:
    signatures = tf.saved_model.load(directory).signatures
    for name in signatures:
        if name in ("clips", "features", "windows"):
            continue
        for clip in audio:
            outputs = signatures[name](audio=tf.constant(audio[clip]))
            for key, value in outputs.items():
                value = value.numpy()
                value = value.astype("S") if value.dtype == object else value
                results["/".join((directory, name, clip, key))] = value
assert not {"trainer", "schemas", "serving", "librosa"} & set(sys.modules)
np.savez("results.npz", **results)
"""


def expected(frontend, model, clip):
    """Scores of the windows of one clip and their starts in s, without the tagger."""
    window = WINDOWS[frontend]
    if frontend == WAVEFORM:
        data, step = np.pad(clip, (0, max(0, window - len(clip)))), 1
    else:
        clip = np.pad(clip, (0, max(0, LEAST - len(clip))))
        power = librosa.feature.melspectrogram(
            y=clip, sr=16000, n_fft=2048, hop_length=512, n_mels=96
        )
        data, step = librosa.power_to_db(power, top_db=80).T, 512
    starts = list(range(0, len(data) - window + 1, window))
    if starts[-1] + window < len(data):
        starts.append(len(data) - window)
    windows = np.stack([data[start : start + window] for start in starts])
    both = keras.Model(model.inputs, [model.output, model.get_layer("embedding").output])
    scores, embeddings = both.predict(windows, verbose=0)
    return scores, embeddings, np.array(starts) * step / 16000


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Both front ends, saved and called from a process that does not know the project."""
    folder = tmp_path_factory.mktemp("export")
    clips = {
        "one_window": noise(LEAST, seed=1),
        "long": noise(70_001, seed=2),
        "short": noise(3_000, seed=3),
        "two": noise(45_000, batch=2, seed=4),
    }
    clips["first"], clips["second"] = clips["two"][:1], clips["two"][1:]
    clips["padded"] = np.pad(clips["short"], ((0, 0), (0, LEAST - 3_000)))
    np.savez(folder / "clips.npz", **clips)
    models = {}
    for frontend in WINDOWS:
        tagger, models[frontend] = shared_tagger(frontend)
        export_saved_model(tagger, str(folder / frontend / "1"))
    directories = [f"{frontend}/1" for frontend in WINDOWS]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, "clips.npz", *directories],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = np.load(folder / "results.npz")
    return folder, clips, models, lambda *path: results["/".join(path)]


@pytest.mark.parametrize("frontend", WINDOWS)
@pytest.mark.parametrize("clip", ["one_window", "long", "short", "first", "second"])
def test_signatures_give_what_the_parts_give(exported, frontend, clip):
    _, clips, models, result = exported
    scores, embeddings, starts = expected(frontend, models[frontend], clips[clip][0])
    at = f"{frontend}/1"
    serve = result(at, "serving_default", clip, "scores")
    assert serve.shape == (1, 3) and serve.dtype == np.float32
    np.testing.assert_allclose(serve[0], scores.mean(axis=0), atol=1e-4)
    taggram = result(at, "taggram", clip, "scores")
    assert taggram.shape == (1, *scores.shape)
    np.testing.assert_allclose(taggram[0], scores, atol=1e-4)
    np.testing.assert_allclose(result(at, "taggram", clip, "starts"), starts, atol=1e-6)
    np.testing.assert_allclose(
        result(at, "embeddings", clip, "embeddings")[0],
        embeddings.mean(axis=0),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("frontend", WINDOWS)
def test_labels_come_with_every_answer(exported, frontend):
    *_, result = exported
    for signature in ("serving_default", "taggram", "embeddings"):
        tags = result(f"{frontend}/1", signature, "long", "tags")
        assert [tag.decode() for tag in tags] == LABELS


@pytest.mark.parametrize("frontend", WINDOWS)
def test_a_batch_gives_what_its_clips_give_alone(exported, frontend):
    *_, result = exported
    two, first, second = (
        result(f"{frontend}/1", "taggram", clip, "scores") for clip in ("two", "first", "second")
    )
    np.testing.assert_allclose(two, np.concatenate([first, second]), atol=1e-5)
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("frontend", WINDOWS)
def test_a_short_clip_is_padded_with_zeros(exported, frontend):
    *_, result = exported
    short, padded = (
        result(f"{frontend}/1", "serving_default", clip, "scores") for clip in ("short", "padded")
    )
    np.testing.assert_allclose(short, padded, atol=1e-6)


@pytest.mark.parametrize("frontend", WINDOWS)
def test_a_loaded_tagger_gives_what_the_tagger_gives(exported, frontend):
    folder, clips, *_ = exported
    tagger, _ = shared_tagger(frontend)
    loaded = load_tagger(str(folder / frontend / "1"))
    assert loaded.info == tagger.info
    for method in ("serve", "taggram", "embeddings"):
        one = getattr(tagger, method)(clips["two"])
        other = getattr(loaded, method)(clips["two"])
        assert one.keys() == other.keys()
        for key in one:
            if key != "tags":
                np.testing.assert_allclose(one[key], other[key], atol=1e-6)
    assert hasattr(loaded, "features") == (frontend == LOG_MEL)


@pytest.mark.parametrize("n_samples", [70_001, 45_000])
def test_a_stored_spectrogram_gives_what_its_audio_gives(exported, n_samples):
    folder, *_ = exported
    audio = noise(n_samples, seed=5)
    power = librosa.feature.melspectrogram(
        y=audio[0], sr=16000, n_fft=2048, hop_length=512, n_mels=96
    )
    stored = librosa.power_to_db(power, top_db=80).T[None]
    for tagger in (shared_tagger(LOG_MEL)[0], load_tagger(str(folder / LOG_MEL / "1"))):
        answer = tagger.features(stored)
        np.testing.assert_allclose(answer["scores"], tagger.serve(audio)["scores"], atol=1e-4)
        assert answer["tags"].numpy().tolist() == [label.encode() for label in LABELS]


@pytest.mark.parametrize("frontend", WINDOWS)
def test_windows_that_others_have_cut(exported, frontend):
    folder, *_ = exported
    rng = np.random.default_rng(1)
    shape = (5, WINDOWS[frontend]) if frontend == WAVEFORM else (5, WINDOWS[frontend], 96)
    windows = rng.normal(0, 0.1, shape).astype(np.float32)
    tagger, model = shared_tagger(frontend)
    both = keras.Model(model.inputs, [model.output, model.get_layer("embedding").output])
    scores, embeddings = both.predict(windows, verbose=0)
    for one in (tagger, load_tagger(str(folder / frontend / "1"))):
        answer = one.windows(windows)
        np.testing.assert_allclose(answer["scores"], scores, atol=1e-5)
        np.testing.assert_allclose(answer["embeddings"], embeddings, rtol=1e-3, atol=1e-4)
        assert answer["tags"].numpy().tolist() == [label.encode() for label in LABELS]


def test_a_short_spectrogram_is_padded_with_its_floor():
    tagger, model = shared_tagger(LOG_MEL)
    stored = np.random.default_rng(0).uniform(-60, -10, (2, 25, 96)).astype(np.float32)
    padded = np.stack([np.pad(s, ((0, 15), (0, 0)), constant_values=s.max() - 80) for s in stored])
    np.testing.assert_allclose(
        tagger.features(stored)["scores"], model.predict(padded, verbose=0), atol=1e-5
    )


def test_spectrograms_are_nothing_for_the_waveform_front_end():
    tagger, _ = shared_tagger(WAVEFORM)
    with pytest.raises(UsageError, match="needs audio, not spectrograms"):
        tagger.features(np.zeros((1, 40, 96), np.float32))


def test_silence_and_no_samples_at_all_have_scores():
    for frontend in WINDOWS:
        tagger, _ = shared_tagger(frontend)
        silent, empty = (tagger.serve(np.zeros((1, n), np.float32)) for n in (30_000, 0))
        assert np.all(np.isfinite(silent["scores"]))
        np.testing.assert_allclose(silent["scores"], empty["scores"], atol=1e-6)


def test_a_tagger_follows_the_weights_of_its_model():
    tagger, model = make_tagger(LOG_MEL)
    audio = noise(30_000)
    before = tagger.serve(audio)["scores"].numpy()
    randomise(model, seed=9)
    assert np.abs(tagger.serve(audio)["scores"] - before).max() > 1e-3


def test_the_model_says_what_it_is(exported):
    folder, *_ = exported
    with open(folder / LOG_MEL / "1" / METADATA, encoding="utf8") as stream:
        values = json.load(stream)
    assert values == {
        "labels": LABELS,
        "spec": SPEC.to_json(),
        "frontend": LOG_MEL,
        "window": 40,
        "model": {"name": "pons", "n_filters": 1, "n_dense": 8},
        "licence": "",
    }
    info = read_model_info(str(folder / LOG_MEL / "1"))
    assert info.spec == SPEC and info.labels == LABELS


def test_an_exported_model_is_replaced_and_anything_else_is_left_alone(tmp_path):
    place = tmp_path / "model" / "1"
    tagger, _ = shared_tagger(WAVEFORM)
    export_saved_model(tagger, str(place))
    other, _ = make_tagger(WAVEFORM, licence="CC BY 4.0")
    export_saved_model(other, str(place))
    assert read_model_info(str(place)).licence == "CC BY 4.0"
    assert os.listdir(tmp_path / "model") == ["1"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists and is no exported model"):
        export_saved_model(tagger, str(tmp_path / "notes"))
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_a_failed_export_leaves_nothing(tmp_path):
    tagger, _ = make_tagger(WAVEFORM)
    tagger.info = dataclasses.replace(tagger.info, model={"name": object()})
    with pytest.raises(TypeError):
        export_saved_model(tagger, str(tmp_path / "1"))
    assert os.listdir(tmp_path) == []


def test_labels_must_fit_the_model():
    _, model = make_tagger(LOG_MEL)
    with pytest.raises(UsageError, match="2 labels for a model of 3 outputs"):
        Tagger(model, SPEC, LOG_MEL, 40, ["a", "b"], {"name": "pons"})


@pytest.mark.parametrize("content", [None, "{}", "no json", '{"spec": {"hop_length": 0}}'])
def test_what_is_no_exported_model_is_said_so(tmp_path, content):
    if content is not None:
        (tmp_path / "assets.extra").mkdir()
        (tmp_path / METADATA).write_text(content)
    with pytest.raises(UsageError, match=str(tmp_path)):
        load_tagger(str(tmp_path))


def test_signatures_leave_batch_and_length_free(exported):
    folder, *_ = exported
    signatures = tf.saved_model.load(str(folder / LOG_MEL / "1")).signatures
    assert sorted(signatures) == [
        *("clips", "embeddings", "features", "serving_default", "taggram", "windows")
    ]
    (_, inputs) = signatures["serving_default"].structured_input_signature
    assert inputs["audio"].shape.as_list() == [None, None] and inputs["audio"].dtype == tf.float32


def make_job(folder):
    """A job directory as trainer.task leaves it, with two checkpoints."""
    facts = {"audio_format": WAVEFORM, **SPEC.to_json(), "vocabulary": ["noise", *LABELS]}
    config = {
        "model": {"name": "pons", "frontend": LOG_MEL, "n_filters": 1, "n_dense": 8},
        "model-training": {"window_seconds": 1.3},
        "tags": {"without": ["noise"]},
        "tfrecords": facts,
    }
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    tagger, model = make_tagger(LOG_MEL)
    model.save(folder / "checkpoints" / "epoch-02.keras")
    randomise(model, seed=5).save(folder / "checkpoints" / "best.keras")
    return tagger


def test_the_command_exports_a_checkpoint_of_a_job(tmp_path, command):
    best = make_job(tmp_path / "job")
    audio = noise(30_000)
    done = command(
        "trainer.export",
        *("--job_dir", tmp_path / "job", "--output", tmp_path / "deep" / "1"),
        *("--licence", "CC BY 4.0"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    loaded = load_tagger(str(tmp_path / "deep" / "1"))
    assert (loaded.info.labels, loaded.info.window) == (LABELS, 40)
    assert (loaded.info.spec, loaded.info.licence) == (SPEC, "CC BY 4.0")
    assert sorted(os.listdir(tmp_path / "deep")) == ["1", "1.tflite"]
    assert read_lite_info(str(tmp_path / "deep" / "1.tflite")) == loaded.info
    np.testing.assert_allclose(
        loaded.serve(audio)["scores"], best.serve(audio)["scores"], atol=1e-6
    )
    main(["--job_dir", f"{tmp_path}/job", "--checkpoint=epoch-02", "--output", f"{tmp_path}/2"])
    early = load_tagger(str(tmp_path / "2")).serve(audio)["scores"]
    np.testing.assert_allclose(early, shared_tagger(LOG_MEL)[0].serve(audio)["scores"], atol=1e-6)


def test_a_bad_export_command_is_one_clear_line_and_writes_nothing(tmp_path):
    job, output = tmp_path / "job", tmp_path / "output"
    arguments = ["--job_dir", str(job), "--output", str(output)]
    with pytest.raises(UsageError, match="job holds no checkpoints"):
        main(arguments)
    make_job(job)
    with pytest.raises(UsageError, match="no checkpoint 'epoch-9': there are best, epoch-02"):
        main([*arguments, "--checkpoint", "epoch-9"])
    (job / "checkpoints" / "broken.keras").write_bytes(b"PK no zip")
    with pytest.raises(UsageError, match="broken.keras cannot be read as a model"):
        main([*arguments, "--checkpoint", "broken"])
    with pytest.raises(UsageError, match="job exists and is no exported model"):
        main([*arguments[:3], str(job)])
    values = json.loads((job / "config.json").read_text())
    values["model"]["frontend"] = WAVEFORM
    (job / "config.json").write_text(json.dumps(values))
    with pytest.raises(UsageError, match=r"takes windows \(None, 40, 96\): that is no waveform"):
        main(arguments)
    (job / "config.json").unlink()
    with pytest.raises(UsageError, match="config.json cannot be read"):
        main(arguments)
    assert sorted(os.listdir(tmp_path)) == ["job"]

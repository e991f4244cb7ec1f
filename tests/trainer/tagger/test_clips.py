"""Batches of unequal clips, samples that are no audio, LiteRT models without signatures."""

import re

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.common.errors import RunError
from schemas.saved_model import CLIPS, SERVE, lite_path
from serving.engine.litert import load_lite_signature
from serving.engine.saved_model import load_signature
from tests.helpers.taggers import SPEC, noise, shared_tagger
from trainer.input.windows import cut_unequal, cut_windows
from trainer.tagger.saved_model import load_tagger

LEAST = 39 * SPEC.hop_length  # samples of a window of 40 frames
LENGTHS = [70_001, 3_000, LEAST, 45_000, 0, 40_000, 20_000, 20_001]


@pytest.fixture(scope="module")
def unequal():
    """Clips filled up with what must not be looked at, and each alone."""
    alone = [noise(n, seed=n)[:, :n] * 10.0 ** -(k % 3) for k, n in enumerate(LENGTHS)]
    batch = np.full((len(LENGTHS), max(LENGTHS)), np.nan, np.float32)
    for row, clip in zip(batch, alone, strict=True):
        row[: clip.shape[1]] = clip[0]
    return batch, alone


@pytest.mark.parametrize("frontend", [LOG_MEL, WAVEFORM])
def test_each_clip_of_a_batch_has_the_scores_that_it_has_alone(small_models, unequal, frontend):
    batch, alone = unequal
    path = str(small_models[frontend])
    tagger, loaded = shared_tagger(frontend)[0], load_tagger(path)
    expected = np.concatenate([loaded.serve(clip)["scores"] for clip in alone])
    for one in (tagger, loaded):
        answer = one.clips(batch, LENGTHS)
        np.testing.assert_allclose(answer["scores"], expected, rtol=0, atol=1e-5)
        assert answer["tags"].shape == (expected.shape[1],)
    runners = [Interpreter(lite_path(path)).get_signature_runner(name) for name in (CLIPS, SERVE)]
    found = runners[0](audio=batch, lengths=np.array(LENGTHS, np.int32))["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    same = [k for k, n in enumerate(LENGTHS) if n]  # LiteRT takes no empty arrays
    lite = np.concatenate([runners[1](audio=alone[k])["scores"] for k in same])
    np.testing.assert_allclose(found[same], lite, rtol=0, atol=1e-5)
    filled = loaded.serve(np.nan_to_num(batch))["scores"].numpy()
    assert np.abs(filled - expected).max() > 0.05  # what this is for


def test_windows_of_unequal_clips():
    clips = np.arange(20.0).reshape(2, 10)
    windows, shares = cut_unequal(tf.constant(clips), tf.constant([10, 5]), 4)
    np.testing.assert_array_equal(windows[0], cut_windows(clips[:1], 4)[0])
    np.testing.assert_array_equal(windows[1, :2], cut_windows(clips[1:, :5], 4)[0])
    np.testing.assert_allclose(shares, [[1 / 3] * 3, [0.5, 0.5, 0]])


@pytest.mark.parametrize("frontend", [LOG_MEL, WAVEFORM])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 8.01, -32768.0])
def test_what_is_no_audio_is_an_error_of_the_call(small_models, frontend, bad):
    path = str(small_models[frontend])
    audio = noise(30_000, batch=2)
    audio[1, 20_000] = bad
    loaded = load_tagger(path)
    said = "audio must be finite samples of full scale 1, none beyond 8 times that"
    for call in (loaded.serve, loaded.taggram, loaded.embeddings):
        with pytest.raises(tf.errors.InvalidArgumentError, match=said):
            call(audio)
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        loaded.clips(audio, [30_000, 30_000])
    with pytest.raises(RunError, match="the model fails: .*" + re.escape(said)):
        load_signature(path, SERVE)(audio)
    with pytest.raises(RunError, match="the model fails: the audio holds samples that are no"):
        load_lite_signature(lite_path(path))(audio)
    scores = Interpreter(lite_path(path)).get_signature_runner(SERVE)(audio=audio)["scores"]
    assert np.isfinite(scores[0]).all() and np.isnan(scores[1]).all()
    good = np.clip(np.nan_to_num(audio, nan=0, posinf=8, neginf=-8), -8, 8)
    assert np.isfinite(loaded.serve(good)["scores"]).all()


@pytest.mark.parametrize("lengths", [[10, 30_001], [-1, 30_000]])
def test_lengths_that_do_not_fit_are_an_error_of_the_call(small_models, lengths):
    path = str(small_models[LOG_MEL])
    with pytest.raises(tf.errors.InvalidArgumentError, match="lengths must be from 0 to the num"):
        load_tagger(path).clips(noise(30_000, batch=2), lengths)
    runner = Interpreter(lite_path(path)).get_signature_runner(CLIPS)
    found = runner(audio=noise(30_000, batch=2), lengths=np.array(lengths, np.int32))["scores"]
    assert np.isnan(found).all(axis=1).tolist() == [not 0 <= n <= 30_000 for n in lengths]


@pytest.mark.parametrize("frontend", [LOG_MEL, WAVEFORM])
def test_lite_callers_without_signatures_get_the_scores(small_models, frontend):
    path = str(small_models[frontend])
    audio = noise(45_000, batch=2)
    interpreter = Interpreter(lite_path(path))
    [argument], [scores, _] = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(argument["index"], audio.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(argument["index"], audio)
    interpreter.invoke()
    found = interpreter.get_tensor(scores["index"])
    np.testing.assert_allclose(found, load_tagger(path).serve(audio)["scores"], atol=1e-4)

"""Windows of long files: the whole-clip rule from blocks, in memory or from a file."""

import dataclasses
import os
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.audio import libsndfile
from beam_pipelines.audio.decode import load_clip
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.spectrogram import log_mel
from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.rejects import Reason
from schemas.saved_model import ModelInfo
from serving.engine.track import Spool, load_track, window_starts
from serving.output.result import Warned
from trainer.input import windows

SPECS = {
    "db": AudioSpec(sample_rate=4000, n_mels=20, n_fft=256, hop_length=64),
    "log10": AudioSpec(sample_rate=4000, n_mels=16, n_fft=128, hop_length=50, compression="log10"),
}


def info(spec, frontend=LOG_MEL, window=30):
    return ModelInfo(["tag"], spec, frontend, window, {})


def noise(seconds, rate, channels=1, seed=0):
    """Noise that comes and goes, with digital silence in it."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 1, (int(seconds * rate), channels))
    samples *= 0.2 * np.abs(np.sin(np.arange(len(samples)) / rate))[:, None]
    samples[len(samples) // 2 : len(samples) // 2 + rate // 4] = 0
    return samples


def reference(path, model):
    """Windows cut from the whole clip, by the functions of the writer."""
    samples = load_clip(path.read_bytes(), model.spec).samples
    if model.frontend == LOG_MEL:
        least = (model.window - 1) * model.spec.hop_length
        data = log_mel(np.pad(samples, (0, max(0, least - len(samples)))), model.spec)
    else:
        data = np.pad(samples, (0, max(0, model.window - len(samples))))
    starts = windows.window_starts(len(data), model.window).numpy()
    return np.stack([data[start : start + model.window] for start in starts]), starts


def check(path, model, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libsndfile, "block_length", lambda n_channels: block)
        track = load_track(str(path), model)
    expected, starts = reference(path, model)
    assert track.starts.tolist() == starts.tolist()
    step = model.spec.hop_length if model.frontend == LOG_MEL else 1
    np.testing.assert_allclose(track.seconds, starts * step / model.spec.sample_rate)
    result = np.concatenate([track.windows(i, i + 1) for i in range(len(track))])
    assert result.dtype == np.float32 and result.shape == expected.shape
    if model.frontend == WAVEFORM:
        np.testing.assert_array_equal(result, expected)
    else:
        np.testing.assert_allclose(result, expected, atol=1e-4)
    np.testing.assert_array_equal(track.windows(0, len(track)), result)
    return track


@pytest.mark.parametrize("in_memory", [1 << 25, 1000])
@pytest.mark.parametrize("block", [1000, 4096, 1 << 21])
@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_blocks_give_the_windows_of_the_whole_clip(tmp_path, monkeypatch, suffix, block, in_memory):
    monkeypatch.setattr(Spool.__init__, "__defaults__", (in_memory,))
    for rate, channels in ((22050, 1), (8000, 2)):
        path = tmp_path / f"{rate}.{suffix}"
        soundfile.write(path, noise(6.1, rate, channels), rate)
        check(path, info(SPECS["db"]), block)
        check(path, info(SPECS["log10"]), block)
        check(path, info(SPECS["db"], WAVEFORM, 2999), block)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 6000),
    rate=st.sampled_from([2000, 4000, 5000]),
    block=st.integers(1, 3000),
    window=st.integers(1, 40),
    name=st.sampled_from(sorted(SPECS)),
)
def test_any_length_block_and_window(tmp_path_factory, n, rate, block, window, name):
    path = tmp_path_factory.getbasetemp() / "any.wav"
    soundfile.write(path, noise(n / rate, rate)[:n] if n > rate else np.full(n, 0.1), rate)
    for frontend in (LOG_MEL, WAVEFORM):
        model = info(SPECS[name], frontend, window if frontend == LOG_MEL else window * 50)
        track = check(path, model, block)
        samples = len(load_clip(path.read_bytes(), model.spec).samples)
        least = (window - 1) * model.spec.hop_length if frontend == LOG_MEL else window * 50
        assert track.warnings == ((Warned.PADDED,) if samples < least else ())


@given(st.integers(1, 500), st.integers(1, 100))
def test_the_rule_is_the_trainers(extra, window):
    length = window + extra - 1
    expected = windows.window_starts(length, window).numpy()
    assert window_starts(length, window).tolist() == expected.tolist()


@pytest.mark.parametrize("limit", [0, 10_000])
def test_a_spool_gives_back_what_it_got(limit):
    rows = np.arange(600, dtype=np.float32).reshape(100, 6)
    spool = Spool(limit)
    for begin, end in ((0, 1), (1, 40), (40, 40), (40, 100)):
        spool.append(rows[begin:end])
    assert spool.length == 100
    for start, count in ((0, 100), (99, 1), (37, 20)):
        np.testing.assert_array_equal(spool.read(start, count), rows[start : start + count])


@pytest.mark.fixtures
def test_broken_files_are_judged_as_the_writer_does(fixtures_dir):
    spec = AudioSpec()
    models = info(spec, LOG_MEL, 100), info(spec, WAVEFORM, 30_000)
    folder = fixtures_dir / "mini-msd" / "7digital"
    reasons = []
    for path in sorted(folder.rglob("*.mp3"))[:40]:
        try:
            load_clip(path.read_bytes(), spec)
        except AudioError as error:
            reasons.append(error.reason)
            with pytest.raises(AudioError) as raised:
                load_track(str(path), models[0])
            assert (raised.value.reason, raised.value.detail) == (error.reason, error.detail)
            continue
        for model in models:
            check(path, model, 1 << 21)
    assert {Reason.EMPTY_FILE, Reason.UNDECODABLE} <= set(reasons)


def test_a_pipe_can_be_read(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(3, 4000), 4000)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[path.read_bytes()])
    writer.start()
    model = info(SPECS["db"])
    piped = load_track(str(tmp_path / "pipe"), model)
    writer.join()
    np.testing.assert_array_equal(piped.windows(0, 9), load_track(str(path), model).windows(0, 9))


def test_no_samples_at_all(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    with pytest.raises(AudioError, match="^no_samples$"):
        load_track(str(tmp_path / "none.wav"), info(SPECS["db"]))
    soundfile.write(tmp_path / "one.wav", np.zeros(1), 96000)
    low = dataclasses.replace(SPECS["db"], sample_rate=1000)
    with pytest.raises(AudioError, match="no_samples: 1 samples at 96000 Hz"):
        load_track(str(tmp_path / "one.wav"), info(low))

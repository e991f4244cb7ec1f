"""The in-graph log-mel against librosa, and how clips are cut into windows."""

import librosa
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec, mel_filters
from trainer.input.log_mel import clip_floor, log_mel
from trainer.input.windows import cut_windows, pad_clips, window_starts

SPECS = {
    "urop2019": AudioSpec(),
    "pons": AudioSpec(n_fft=512, hop_length=256, compression="log10"),
    "odd": AudioSpec(sample_rate=22050, n_mels=40, n_fft=600, hop_length=199, top_db=60.0),
}


def clips(n_samples, seed=0):
    """A loud and a quiet clip: noise, a tone, a click and digital silence."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples)
    loud = 0.5 * np.sin(0.2 * time) + rng.normal(0, 0.05, n_samples)
    loud[n_samples // 2 :] = 0
    quiet = rng.normal(0, 1e-4, n_samples)
    quiet[n_samples // 3] = 0.01
    return np.stack([loud, quiet]).astype(np.float32)


def reference(audio, spec):
    """The spectrogram [frames, n_mels] of one clip, by librosa."""
    power = librosa.feature.melspectrogram(
        y=audio,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        n_mels=spec.n_mels,
    )
    if spec.compression == "log10":
        return np.log10(10000 * power + 1).T
    return librosa.power_to_db(power, ref=1.0, amin=spec.amin, top_db=spec.top_db).T


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("n_samples", [48_000, 5_000, 1])
def test_log_mel_agrees_with_librosa(name, n_samples):
    spec = SPECS[name]
    audio = clips(n_samples)
    result = log_mel(tf.constant(audio), spec).numpy()
    assert result.shape == (2, spec.n_frames(n_samples), spec.n_mels)
    for one, clip in zip(result, audio, strict=True):
        assert np.abs(one - reference(clip, spec)).max() < 1.5e-4


def test_log_mel_of_silence_is_one_level():
    silence = tf.zeros([1, 9000])
    assert np.all(log_mel(silence, SPECS["pons"]) == 0)
    np.testing.assert_allclose(log_mel(silence, SPECS["urop2019"]), -100, rtol=1e-6)


def test_the_floor_is_each_clip_s_own():
    spec = SPECS["urop2019"]
    loud, quiet = log_mel(tf.constant(clips(32_000)), spec).numpy()
    assert loud.max() - loud.min() == pytest.approx(80, abs=1e-4)
    assert quiet.min() < loud.min() - 1


@given(st.integers(1, 50), st.integers(0, 200))
def test_windows_cover_every_sample(window, more):
    length = window + more
    starts = window_starts(length, window).numpy().tolist()
    assert len(starts) == -(-length // window)
    assert starts[:-1] == [window * k for k in range(len(starts) - 1)]
    assert starts[-1] == length - window
    covered = {start + k for start in starts for k in range(window)}
    assert covered == set(range(length))


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(0, 30), st.booleans())
def test_windows_are_cut_where_they_start(window, more, with_bands):
    shape = (2, window + more, 3) if with_bands else (2, window + more)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    windows = cut_windows(tf.constant(data), window).numpy()
    starts = window_starts(shape[1], window).numpy()
    assert windows.shape == (2, len(starts), window, *shape[2:])
    for index, start in enumerate(starts):
        np.testing.assert_array_equal(windows[:, index], data[:, start : start + window])


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("window", [1, 2, 187])
def test_min_samples_make_one_window_and_no_sample_less_does(name, window):
    spec = SPECS[name]
    assert spec.min_samples(WAVEFORM, window) == window
    least = spec.min_samples(LOG_MEL, window)
    assert spec.n_frames(least) == window
    assert least == 0 or spec.n_frames(least - 1) == window - 1


def test_padding_goes_to_the_end_and_long_clips_stay():
    data = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(pad_clips(data, 4), [[1, 2, 0, 0], [3, 4, 0, 0]])
    np.testing.assert_array_equal(pad_clips(data, 1), data)
    bands = tf.reshape(data, [2, 2, 1])
    floors = tf.constant([[[-9.0]], [[-8.0]]])
    padded = pad_clips(bands, 3, floors)
    np.testing.assert_array_equal(padded[:, :, 0], [[1, 2, -9], [3, 4, -8]])


@pytest.mark.parametrize("name", SPECS)
def test_a_padded_spectrogram_is_that_of_padded_audio_but_for_the_seam(name):
    spec = SPECS[name]
    audio = tf.constant(clips(20_000)[:, :9_000])
    stored = log_mel(audio, spec)
    frames = stored.shape[1] + 20
    padded = pad_clips(stored, frames, clip_floor(stored, spec)).numpy()
    exact = log_mel(pad_clips(audio, (frames - 1) * spec.hop_length), spec).numpy()
    seam = stored.shape[1] + spec.n_fft // (2 * spec.hop_length)
    np.testing.assert_allclose(padded[:, : stored.shape[1]], exact[:, : stored.shape[1]], atol=2e-4)
    np.testing.assert_allclose(padded[:, seam:], exact[:, seam:], atol=2e-4)


@given(
    st.integers(1, 24).map(lambda k: 2000 * k),
    st.integers(130, 3000),
    st.integers(1, 64),
)
@settings(max_examples=30, deadline=None)
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_the_mel_filters_are_librosas(sample_rate, n_fft, n_mels):
    spec = AudioSpec(sample_rate=sample_rate, n_fft=n_fft, n_mels=n_mels, hop_length=100)
    theirs = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
    ours = mel_filters(spec)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)

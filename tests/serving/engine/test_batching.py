"""Windows of many tracks in a batch: every track gets its own scores back."""

import errno

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import RunError
from schemas.saved_model import ModelInfo
from serving.engine.batching import Collector, answer, batch_size, open_track, pack, tag_track
from tests.helpers.disks import failing

SPEC = AudioSpec(sample_rate=1000, n_fft=64, hop_length=32, n_mels=8)
INFO = ModelInfo(["peak", "mean"], SPEC, WAVEFORM, window=100, model={})
LOUD = 0.9


def model(windows):
    """A model as serving.engine.saved_model gives one: it fails on what is too loud."""
    peak = np.abs(windows).max(axis=1)
    if peak.max() > LOUD:
        raise RunError("too loud")
    scores = np.stack([peak, np.abs(windows).mean(axis=1)], axis=1)
    return {"scores": scores, "embeddings": scores[:, :1] * 2, "tags": INFO.labels}


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    """Tracks of 1 to 7 windows, one that is short, some that the model refuses, errors."""
    folder = tmp_path_factory.mktemp("tracks")
    rng = np.random.default_rng(0)
    found = []
    for i, length in enumerate((100, 250, 40, 700, 310, 100, 555)):
        samples = rng.uniform(-0.1, 0.1, length) * (i + 1)
        if i in (1, 5):
            samples[length // 2] = 0.99
        path = folder / f"{i}.wav"
        soundfile.write(path, samples, 1000)
        found.append(open_track(str(path), INFO))
    (folder / "none.wav").touch()
    return [*found, *(open_track(str(folder / name), INFO) for name in ("none.wav", "no.wav"))]


def expected(track):
    """Result of one track, window by window."""
    if isinstance(track, str):
        return track, None
    windows = track.windows(0, len(track))
    if np.abs(windows).max() > LOUD:
        return "model_failed: too loud", None
    return None, np.stack([np.abs(windows).max(axis=1), np.abs(windows).mean(axis=1)], axis=1)


def check(track, result):
    error, windows = expected(track)
    assert result.error == error
    if windows is None:
        assert result.scores.size == result.windows.size == result.embedding.size == 0
        return
    np.testing.assert_allclose(result.windows, windows, rtol=1e-6)
    np.testing.assert_allclose(result.scores, windows.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(result.embedding, 2 * windows[:, 0].mean(keepdims=True), rtol=1e-6)
    assert result.starts.tolist() == track.seconds.tolist()
    assert result.warnings == track.warnings


def test_what_cannot_be_opened_says_why(tracks):
    assert tracks[-2:] == ["empty_file", "unreadable: ENOENT, No such file or directory"]


def test_a_hiccup_of_the_disk_is_no_error_and_full_memory_no_files(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.full(100, 0.1), 1000)
    path = str(tmp_path / "a.wav")
    left = failing(monkeypatch, {"a.wav": [errno.EIO] * 3})
    assert len(open_track(path, INFO)) == 1 and not left["a.wav"]
    left["a.wav"][:] = [errno.ESTALE, None]
    assert open_track(path, INFO) == "unreadable: ESTALE, Stale file handle"
    left["a.wav"][:] = []

    def read(self, *args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    with pytest.raises(MemoryError):
        open_track(path, INFO)


@given(st.lists(st.integers(0, 8), max_size=12), st.integers(1, 20))
def test_any_order_and_size_of_batches(tracks, order, size):
    batches = list(pack(((row, tracks[i]) for row, i in enumerate(order)), size))
    lengths = [0 if b.windows is None else len(b.windows) for b in batches]
    assert all(length == size for length in lengths[:-1])
    assert sum(lengths) == sum(len(tracks[i]) for i in order if i < 7)
    collector = Collector()
    done = [pair for batch in batches for pair in collector.add(answer(model, batch))]
    assert [row for row, _ in done] == list(range(len(order)))
    for (_, result), i in zip(done, order, strict=True):
        check(tracks[i], result)


def test_a_track_alone(tracks):
    for track in tracks:
        check(track, tag_track(model, track, INFO))


def test_large_windows_come_in_small_batches():
    def size(frontend, window):
        return batch_size(ModelInfo([], AudioSpec(), frontend, window, {}))

    assert size(LOG_MEL, 468) == size(WAVEFORM, 48_000) == 16
    assert size(WAVEFORM, 240_000) == 4
    assert size(WAVEFORM, 9_000_000) == 1

"""Silence against librosa, against the 2019 project, and against its own laws."""

import dataclasses
import json

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.audio.silence import SILENT_RMS, SilenceStats
from tests.helpers.broken_audio import ANTIPHASE, DAMAGED, SILENT
from tests.helpers.hearing import measure_silence

# Levels in dB that no sum of four blocks brings near the threshold of -60.
LEVELS = st.sampled_from([0.0, -20.0, -40.0, -90.0, -np.inf])


@st.composite
def patchwork(draw):
    """Noise in patches of different level between silent ends; the first patch is loudest."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    patches = [np.zeros(4096)]
    for level in [0.0, *draw(st.lists(LEVELS, max_size=8))]:
        noise = 0.3 * rng.choice([-1.0, 1.0], draw(st.integers(1500, 9000)))
        patches.append(noise * 10 ** (level / 20))
    patches.append(np.zeros(draw(st.integers(2600, 4000))))
    return np.concatenate(patches).astype(np.float32)


@pytest.mark.fixtures
def test_silence_statistics_of_2019(rows_of_2019, decoded):
    columns = [field.name for field in dataclasses.fields(SilenceStats)][:7]
    compared = 0
    for row in rows_of_2019("s3_check_silence.csv"):
        path = row["mp3_path"]
        stats = decoded[path].stats
        assert stats.is_silent == (path in SILENT)
        if path in ANTIPHASE:
            assert stats.effective_clip_length > 20
            continue
        if path in SILENT:  # 2019 took them for fully sounding
            assert (stats.effective_clip_length, stats.silence_detail) == (0, ())
            continue
        ours = [getattr(stats, name) for name in columns]
        theirs = [float(row[name]) for name in columns]
        tolerance = 0.07 if path in DAMAGED else 1e-9  # s; 0.07 s is what ffmpeg kept
        assert ours == pytest.approx(theirs, abs=tolerance), path
        if path not in DAMAGED:
            gaps = json.loads(row["silence_detail"].replace("(", "[").replace(")", "]"))
            assert np.ravel(stats.silence_detail) == pytest.approx(np.ravel(gaps), abs=1e-9)
        compared += 1
    assert compared == 54


@given(patchwork())
@settings(max_examples=60, deadline=None)
def test_sounding_intervals_are_librosas(mono):
    stats = measure_silence(mono, 22050)
    split = librosa.effects.split(mono, top_db=60, frame_length=2048, hop_length=512)
    times = [stats.audio_start, *sum(stats.silence_detail, ()), stats.audio_end]
    np.testing.assert_allclose(np.array(times) * 22050, split.ravel())
    gaps = [end - start for start, end in stats.silence_detail]
    assert stats.effective_clip_length == stats.audio_end - stats.audio_start
    assert stats.mid_silence_length == pytest.approx(sum(gaps))
    assert stats.max_silence_length == pytest.approx(max(gaps, default=0))
    assert stats.non_silence_length == pytest.approx(np.diff(split).sum() / 22050)
    assert stats.silence_percentage == pytest.approx(
        stats.mid_silence_length / stats.effective_clip_length * 100
    )


@pytest.mark.parametrize("n_samples", [5000, 5120, 5121])
@pytest.mark.parametrize("sounding", [slice(-100, None), slice(0, 100), slice(2500, 2600)])
def test_a_click_is_found_where_librosa_finds_it(n_samples, sounding):
    mono = np.zeros(n_samples, np.float32)
    mono[sounding] = 0.5
    stats = measure_silence(mono, 1)
    split = librosa.effects.split(mono, top_db=60, frame_length=2048, hop_length=512)
    assert [[stats.audio_start, stats.audio_end]] == split.tolist()


@given(patchwork(), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_silence_in_front_moves_all_times(mono, hops):
    before = measure_silence(mono, 22050)
    after = measure_silence(np.concatenate([np.zeros(hops * 512, np.float32), mono]), 22050)
    shift = hops * 512 / 22050
    assert after.audio_start == pytest.approx(before.audio_start + shift)
    assert after.audio_end == pytest.approx(before.audio_end + shift)
    assert np.array(after.silence_detail) == pytest.approx(np.array(before.silence_detail) + shift)
    assert after.mid_silence_length == pytest.approx(before.mid_silence_length)


@given(patchwork(), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_gain_changes_nothing_above_the_absolute_level(mono, halvings):
    quiet = mono * np.float32(2.0**-halvings)
    if 0.3 * 2.0**-halvings > SILENT_RMS * 2:
        assert measure_silence(quiet, 22050) == measure_silence(mono, 22050)
    elif 0.3 * 2.0**-halvings < SILENT_RMS:
        assert measure_silence(quiet, 22050).is_silent


def test_absolute_level_tells_quiet_from_silent():
    rng = np.random.default_rng(0)
    dither = rng.uniform(-1, 1, 60_000) / 32768
    assert measure_silence(dither.astype(np.float32), 44100).is_silent
    quiet = measure_silence(np.float32(3) * dither.astype(np.float32), 44100)
    assert (quiet.is_silent, quiet.effective_clip_length) == (False, 60_000 / 44100)


@pytest.mark.parametrize("n_samples", [1, 511, 512, 513, 1102, 2048, 5000])
def test_short_clips_sound_from_end_to_end(n_samples):
    stats = measure_silence(np.full(n_samples, 0.1, np.float32), 8000)
    assert (stats.audio_start, stats.audio_end) == (0, n_samples / 8000)
    assert (stats.silence_detail, stats.silence_percentage) == ((), 0)

"""From channels to one signal: the weights of BS.775, and mixes that cancel out."""

import numpy as np
import pytest

from beam_pipelines.audio import ffmpeg
from beam_pipelines.audio.channels import to_mono, weights
from beam_pipelines.audio.decode import load_clip, measure
from schemas.audio_spec import AudioSpec
from tests.helpers.encoded import encode, tone
from tests.helpers.hearing import hear_mono
from tests.helpers.streams import encode_stream

ROOT = np.sqrt(2)
SURROUND = np.array([1, 1, ROOT, 0, 1 / ROOT, 1 / ROOT]) / (2 + 2 * ROOT)


def test_five_channels_and_their_bass_are_mixed_as_bs775_says():
    np.testing.assert_allclose(weights(6), SURROUND, rtol=1e-6)
    np.testing.assert_allclose(weights(6, ("FL", "FC", "FR", "BL", "BR", "LFE")).sum(), 1, 1e-6)
    in_order = weights(6, ("FL", "FC", "FR", "BL", "BR", "LFE"))
    np.testing.assert_allclose(in_order, SURROUND[[0, 2, 1, 4, 5, 3]], rtol=1e-6)
    np.testing.assert_allclose(weights(2, ("LFE", "LFE2")), [0.5, 0.5])
    np.testing.assert_allclose(weights(200), np.full(200, 1 / 200), rtol=1e-6)


def test_more_than_two_channels_are_the_weighted_sum():
    samples = np.random.default_rng(0).uniform(-1, 1, (50, 6)).astype(np.float32)
    np.testing.assert_allclose(to_mono(samples), samples @ SURROUND, atol=1e-6)


def surround(container, codec, layout="5.1"):
    """A second of one tone a channel, by FFmpeg."""
    sound = tone(seconds=1, rate=48000, channels=6, level=0.2)
    return encode_stream(sound, 48000, container, codec, layout=layout), sound


@pytest.mark.parametrize("has_ffmpeg", [True, False])
def test_the_layout_of_a_file_says_what_each_channel_is_for(has_ffmpeg, monkeypatch):
    monkeypatch.setattr(ffmpeg, "is_there", lambda: has_ffmpeg)
    for container, codec in (("wav", "pcm_s16le"), ("flac", "flac")):
        data, sound = surround(container, codec)
        np.testing.assert_allclose(hear_mono(data)[0], sound @ SURROUND, atol=1e-4)
    mono, _ = hear_mono(encode(sound, 48000, "OGG"))  # in Vorbis' own order
    expected = sound @ SURROUND[[0, 2, 1, 4, 5, 3]]
    inside = slice(5000, 40_000)
    np.testing.assert_allclose(mono[inside], expected[inside], atol=0.02)


def test_another_layout_has_other_weights():
    data, sound = surround("wav", "pcm_s16le", "6.0")  # front, centre, back centre, sides
    expected = np.array([1, 1, ROOT, 1, 1 / ROOT, 1 / ROOT])
    np.testing.assert_allclose(hear_mono(data)[0], sound @ (expected / expected.sum()), atol=1e-4)


def opposite(level=1.0, seconds=3.0):
    sound = tone(seconds=seconds, channels=1, level=0.3)
    return np.concatenate([sound, -level * sound], axis=1)


def test_of_opposite_channels_the_loudest_is_heard_alone():
    data = encode(opposite(1.001))
    clip = load_clip(data, AudioSpec())
    assert clip.hearing.only_channel == 1
    assert not clip.stats.is_silent
    np.testing.assert_allclose(hear_mono(data)[0], opposite(1.001)[:, 1], atol=1e-4)


def test_what_cancels_out_in_part_is_mixed():
    assert measure(encode(opposite(0.97))).hearing.only_channel is None  # 36 dB under
    assert measure(encode(np.zeros((1000, 2)))).hearing.only_channel is None
    changing = np.concatenate([opposite(), tone(seconds=3, channels=2)])
    assert measure(encode(changing)).hearing.only_channel is None

"""Decoding against librosa, against the 2019 project, and against its own laws."""

import io
import json
import pickle
import struct

import hypothesis.extra.numpy as hnp
import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.audio import decode, headers
from beam_pipelines.audio.channels import to_mono
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.headers import Probe
from schemas.audio_spec import AudioSpec
from schemas.rejects import Reason
from tests.helpers.broken_audio import ANTIPHASE, BROKEN, DAMAGED, SILENT
from tests.helpers.encoded import encode, tone
from tests.helpers.hearing import hear_mono

SPEC = AudioSpec()


@pytest.mark.fixtures
def test_broken_files_have_the_right_reason(rejected):
    assert rejected == BROKEN


@pytest.mark.fixtures
def test_decoded_rate_length_and_intervals(msd, decoded):
    name = "s1b_decode_split_librosa070_ffmpeg.json"
    expected = json.loads((msd / "expected" / name).read_text())
    lengths = {}
    for row in expected:
        path = row["file_path"]
        if "split" not in row:
            assert path in BROKEN
            continue
        clip, stats = decoded[path].clip, decoded[path].stats
        hearing = clip.hearing
        assert hearing.rate == row["sr"]
        assert hearing.channels == (1 if len(row["shape"]) == 1 else row["shape"][0])
        n_samples = round(hearing.duration * hearing.rate)
        if n_samples != row["shape"][-1]:
            lengths[path] = (n_samples, row["shape"][-1])
        elif path not in SILENT | ANTIPHASE:
            times = [stats.audio_start, *sum(stats.silence_detail, ()), stats.audio_end]
            samples = [round(time * hearing.rate) for time in times]
            assert samples == sum(row["split"], []), path
    assert lengths == DAMAGED


@pytest.mark.parametrize("channels", [1, 2])
def test_load_clip_is_librosas_load(channels):
    data = encode(tone(rate=44100, channels=channels), 44100)
    clip = decode.load_clip(data, SPEC)
    mono = librosa.to_mono(soundfile.read(io.BytesIO(data))[0].T)
    expected = librosa.resample(mono, orig_sr=44100, target_sr=16000, res_type="soxr_hq")
    assert clip.samples.shape == expected.shape == (32000,)
    assert np.abs(clip.samples - expected).max() <= 0.51 / 32768
    np.testing.assert_allclose(hear_mono(data)[0], mono, atol=1e-7)
    np.testing.assert_array_equal(clip.samples, clip.pcm / 32768)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 2)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_mono_is_the_mean(samples):
    mono = to_mono(samples)
    assert (mono.dtype, mono.shape) == (np.float32, samples.shape[:1])
    np.testing.assert_array_equal(mono, samples.mean(axis=1))


def test_16_bits_go_and_come_back():
    pcm = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(decode.to_pcm16(decode.from_pcm16(pcm)), pcm)
    over = np.array([1.0, 7.0, -1.0, -7.0, 0.4 / 32768, 0.6 / 32768], np.float32)
    assert decode.to_pcm16(over).tolist() == [32767, 32767, -32768, -32768, 0, 1]


def test_resample_keeps_pitch_and_its_input():
    mono = tone(rate=48000)[:, 0]
    assert decode.resample(mono, 16000, 16000) is mono
    spectrum = np.abs(np.fft.rfft(decode.resample(mono, 48000, 16000)))
    assert np.argmax(spectrum) == 440  # half a Hz a bin


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_formats(kind):
    signal = tone(channels=2)
    samples, rate = hear_mono(encode(signal, kind=kind))
    assert (samples.dtype, len(samples), rate) == (np.float32, len(signal), 22050)
    lossy = kind in ("MP3", "OGG")
    error = np.sqrt(np.mean((samples - signal.mean(axis=1))[2000:-2000] ** 2))
    assert error < (0.02 if lossy else 1e-4)


def _reason(data: bytes) -> Reason:
    with pytest.raises(AudioError) as caught:
        decode.load_clip(data, SPEC)
    return caught.value.reason


def test_reasons():
    assert _reason(b"") is Reason.EMPTY_FILE
    assert _reason(b"<html>404</html>") is Reason.UNDECODABLE
    assert _reason(encode(np.zeros((0, 1)))) is Reason.NO_SAMPLES
    assert _reason(encode(np.zeros(1), rate=96000)) is Reason.NO_SAMPLES
    for value in (np.nan, np.inf, 1e30):
        poisoned = tone()
        poisoned[7] = value
        assert _reason(encode(poisoned, subtype="FLOAT")) is Reason.UNDECODABLE
    wave = bytearray(encode(tone()))
    wave[24:28] = struct.pack("<I", 3)
    assert _reason(bytes(wave)) is Reason.UNDECODABLE  # 3 Hz


def test_a_claim_of_samples_is_not_believed():
    flac = bytearray(encode(tone(), kind="FLAC"))
    sound, rate = hear_mono(bytes(flac))
    flac[21] |= 0x0F  # the upper bits of the number of samples: 300 GB of them
    again, same = hear_mono(bytes(flac))
    assert same == rate
    np.testing.assert_array_equal(again, sound)


def test_detail_is_the_same_for_the_same_bytes():
    details = set()
    for _ in range(3):
        with pytest.raises(AudioError) as caught:
            hear_mono(b"no audio")
        details.add(str(pickle.loads(pickle.dumps(caught.value))))
    assert details == {"undecodable: neither libsndfile nor FFmpeg reads it"}


MP3 = encode(tone(seconds=1, channels=2), kind="MP3")


@given(
    st.lists(st.tuples(st.integers(0, len(MP3)), st.integers(0, 40), st.binary(max_size=60))),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_no_damage_gets_past_decode(damages, cut):
    data = MP3
    for start, length, foreign in damages:
        data = data[:start] + foreign + data[start + length :]
    if cut and damages:
        data = data[: damages[0][0]]
    try:
        samples, rate = hear_mono(data)
    except AudioError as error:
        assert error.reason in (Reason.EMPTY_FILE, Reason.UNDECODABLE, Reason.NO_SAMPLES)
    else:
        assert samples.ndim == 1 and len(samples) and rate > 0
        assert np.isfinite(samples).all()
    assert isinstance(headers.probe(data), Probe)

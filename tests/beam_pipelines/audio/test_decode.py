"""Audio against librosa, against the 2019 project's numbers, and against its own laws."""

import csv
import dataclasses
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

from beam_pipelines.audio import decode, headers, spectrogram
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.filters import Limits, failed_filter
from beam_pipelines.audio.headers import Probe
from beam_pipelines.audio.mpeg import intact_frames
from beam_pipelines.audio.silence import SILENT_RMS, SilenceStats, measure_silence
from schemas.audio_spec import AudioSpec
from schemas.rejects import Reason
from tests.helpers.broken_audio import BROKEN, DAMAGED, SILENT

SPEC = AudioSpec()
PONS = AudioSpec(n_fft=512, hop_length=256, compression="log10")
RECIPE = Limits(200_000, 15.0, 3.0, 1.0)


def encode(samples, rate=22050, kind="WAV", subtype=None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


def tone(seconds=2.0, rate=22050, channels=1, level=0.3) -> np.ndarray:
    """Sine waves of another pitch in each channel, float32 [samples, channels]."""
    time = np.arange(int(seconds * rate)) / rate
    pitches = 220 * 1.5 ** np.arange(channels)
    return (level * np.sin(2 * np.pi * time[:, None] * pitches)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Decoded:
    clip: decode.Clip
    stats: SilenceStats
    probe: Probe
    size: int


@pytest.fixture(scope="module")
def msd(fixtures_dir):
    return fixtures_dir / "mini-msd"


@pytest.fixture(scope="module")
def rejected(msd):
    """Path to reason of every file of the tree that gives no samples."""
    reasons = {}
    for entry in json.loads((msd / "audio_manifest.json").read_text()):
        try:
            decode.decode((msd / "7digital" / entry["path"]).read_bytes())
        except AudioError as error:
            reasons[entry["path"]] = error.reason
    return reasons


@pytest.fixture(scope="module")
def decoded(msd, rejected):
    """Path to everything that is measured of a file."""
    found = {}
    for entry in json.loads((msd / "audio_manifest.json").read_text()):
        if entry["path"] not in rejected:
            data = (msd / "7digital" / entry["path"]).read_bytes()
            clip = decode.load_clip(data, SPEC)
            stats = measure_silence(clip.mono, clip.rate)
            found[entry["path"]] = Decoded(clip, stats, headers.probe(data), len(data))
    return found


def rows(path) -> list[dict]:
    with open(path, encoding="utf8", newline="") as stream:
        return list(csv.DictReader(stream))


# Against the 2019 project


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
        assert clip.rate == row["sr"]
        assert clip.channels == (1 if len(row["shape"]) == 1 else row["shape"][0])
        if len(clip.mono) != row["shape"][-1]:
            lengths[path] = (len(clip.mono), row["shape"][-1])
        elif path not in SILENT:
            times = [stats.audio_start, *sum(stats.silence_detail, ()), stats.audio_end]
            samples = [round(time * clip.rate) for time in times]
            assert samples == sum(row["split"], []), path
    assert lengths == DAMAGED


@pytest.mark.fixtures
def test_silence_statistics_of_2019(msd, decoded):
    columns = [field.name for field in dataclasses.fields(SilenceStats)][:7]
    compared = 0
    for row in rows(msd / "expected" / "s3_check_silence.csv"):
        path = row["mp3_path"]
        stats = decoded[path].stats
        assert stats.is_silent == (path in SILENT)
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


@pytest.mark.fixtures
@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("s4_filter_trim15.csv", Limits(min_effective_length=15.0)),
        ("s4_filter_tot3.csv", Limits(max_total_silence=3.0)),
        ("s4_filter_max1.csv", Limits(max_silence=1.0)),
        ("s4_ultimate_README_min200000_trim15_tot3_max1.csv", RECIPE),
        ("s4_ultimate_without_all_zero_INTENDED.csv", RECIPE),
    ],
)
def test_survivors_of_each_filter(msd, decoded, name, limits):
    """Exactly those of 2019, but for the three silent clips, which 2019 took for sounding."""
    survivors = {
        row["mp3_path"]
        for row in rows(msd / "expected" / "s3_check_silence.csv")
        if not decoded[row["mp3_path"]].stats.is_silent
        and failed_filter(decoded[row["mp3_path"]].size, decoded[row["mp3_path"]].stats, limits)
        is None
    }
    expected = {row["mp3_path"] for row in rows(msd / "expected" / name)}
    assert survivors == expected - SILENT
    assert ("INTENDED" in name) == expected.isdisjoint(SILENT)


@pytest.mark.fixtures
def test_probe_says_what_mutagen_said(msd, decoded):
    for row in rows(msd / "expected" / "s1_fetcher.csv"):
        path = row["file_path"]
        if path in BROKEN:
            data = (msd / "7digital" / path).read_bytes()
            assert headers.probe(data) == Probe()
        elif path == "4/6/4644454.clip.mp3":  # a WAV file; 2019 asked for MP3 headers only
            assert decoded[path].probe == Probe(5.0, 1, 22050, 352800)
        else:
            found = decoded[path].probe
            assert found.channels == int(row["channels"])
            assert found.duration == pytest.approx(float(row["clip_length"]), abs=1e-9)
            assert found.sample_rate == decoded[path].clip.rate


@pytest.mark.fixtures
def test_cut_file_still_claims_its_length(decoded):
    cut = decoded["9/9/9942929.clip.mp3"]
    assert cut.probe.duration == 30.0
    assert cut.clip.duration == pytest.approx(527_663 / 44100)


# Against librosa


@pytest.mark.parametrize("spec", [SPEC, PONS, AudioSpec(22050, 40, 1024, 300, top_db=40.0)])
@pytest.mark.parametrize("n_samples", [300, 16_000, 300_000])
def test_log_mel_is_librosas(spec, n_samples):
    rng = np.random.default_rng(n_samples)
    fade = np.linspace(0, 1, n_samples) ** 4
    noise = (0.2 * rng.standard_normal(n_samples) * fade).astype(np.float32)
    mel = librosa.feature.melspectrogram(
        y=noise,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        n_mels=spec.n_mels,
    )
    if spec.compression == "db":
        expected = librosa.power_to_db(mel, ref=1.0, amin=spec.amin, top_db=spec.top_db)
    else:
        expected = np.log10(10000 * mel + 1)
    ours = spectrogram.log_mel(noise, spec)
    assert ours.dtype == np.float32
    assert ours.shape == (spec.n_frames(n_samples), spec.n_mels) == expected.T.shape
    np.testing.assert_allclose(ours, expected.T, atol=1e-3)


def test_log_mel_floor_of_nothing():
    zeros = np.zeros(4000, np.float32)
    np.testing.assert_allclose(spectrogram.log_mel(zeros, SPEC), -100, rtol=1e-6)
    np.testing.assert_array_equal(spectrogram.log_mel(zeros, PONS), 0)


@pytest.mark.parametrize("channels", [1, 2])
def test_load_clip_is_librosas_load(channels):
    data = encode(tone(rate=44100, channels=channels), 44100)
    clip = decode.load_clip(data, SPEC)
    mono = librosa.to_mono(soundfile.read(io.BytesIO(data))[0].T)
    expected = librosa.resample(mono, orig_sr=44100, target_sr=16000, res_type="soxr_hq")
    assert clip.samples.shape == expected.shape == (32000,)
    assert np.abs(clip.samples - expected).max() <= 0.51 / 32768
    np.testing.assert_allclose(clip.mono, mono, atol=1e-7)
    np.testing.assert_array_equal(clip.samples, clip.pcm / 32768)


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


# Laws


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


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_mono_is_the_mean(samples):
    mono = decode.to_mono(samples)
    assert (mono.dtype, mono.shape) == (np.float32, samples.shape[:1])
    if samples.shape[1] <= 2:
        np.testing.assert_array_equal(mono, samples.mean(axis=1))
    np.testing.assert_allclose(mono, samples.mean(axis=1, dtype=float), atol=1e-6)


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


# Formats and faults


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_formats(kind):
    signal = tone(channels=2)
    samples, rate = decode.decode(encode(signal, kind=kind))
    assert (samples.dtype, samples.shape, rate) == (np.float32, signal.shape, 22050)
    lossy = kind in ("MP3", "OGG")
    error = np.sqrt(np.mean((samples - signal)[2000:-2000] ** 2))
    assert error < (0.02 if lossy else 1e-4)


def test_foreign_bytes_in_an_mp3_cost_only_what_they_replace():
    signal = tone(seconds=6)
    data = encode(signal, kind="MP3")
    middle = len(data) // 2
    frames = intact_frames(data)
    assert frames in data and len(frames) > len(data) - 1000
    before = decode.decode(b"\x00junk" * 300 + data)[0]
    np.testing.assert_array_equal(before, decode.decode(data)[0])
    hole = b"\x5a" * 3000
    holed = decode.decode(data[:middle] + hole + data[middle + len(hole) :])[0]
    lost = len(signal) * len(hole) / len(data)
    assert len(signal) - 2 * lost < len(holed) < len(signal)
    tagged = decode.decode(b"\x00junk" * 300 + data + b"TAG" + bytes(125))[0]
    np.testing.assert_array_equal(tagged, before)


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
    sound, rate = decode.decode(bytes(flac))
    flac[21] |= 0x0F  # the upper bits of the number of samples: 300 GB of them
    again, same = decode.decode(bytes(flac))
    assert same == rate
    np.testing.assert_array_equal(again, sound)


def test_detail_is_the_same_for_the_same_bytes():
    details = set()
    for _ in range(3):
        with pytest.raises(AudioError) as caught:
            decode.decode(b"no audio")
        details.add(str(pickle.loads(pickle.dumps(caught.value))))
    assert details == {"undecodable: no format that libsndfile reads"}


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
        samples, rate = decode.decode(data)
    except AudioError as error:
        assert error.reason in (Reason.EMPTY_FILE, Reason.UNDECODABLE, Reason.NO_SAMPLES)
    else:
        assert samples.ndim == 2 and len(samples) and rate > 0
        assert np.isfinite(samples).all()
    assert isinstance(headers.probe(data), Probe)


def test_filters_strict_and_inclusive():
    stats = SilenceStats(0, 15, 15.0, 3.0, 1.0, 12.0, 20.0, ((1, 2), (3, 5)), False)
    assert failed_filter(200_001, stats, RECIPE) is None
    assert failed_filter(200_000, stats, RECIPE) is Reason.TOO_SMALL
    assert failed_filter(200_000, None, RECIPE) is Reason.TOO_SMALL
    assert failed_filter(200_001, None, RECIPE) is None
    for field, value, reason in [
        ("effective_clip_length", 14.99, Reason.EFFECTIVE_LENGTH),
        ("mid_silence_length", 3.01, Reason.TOTAL_SILENCE),
        ("max_silence_length", 1.01, Reason.MAX_SILENCE),
    ]:
        worse = dataclasses.replace(stats, **{field: value})
        assert failed_filter(200_001, worse, RECIPE) is reason
        assert failed_filter(0, worse, Limits()) is None

"""Every recording is heard whole: the files that listeners report, and those of other projects."""

import csv
import hashlib
import io

import av
import numpy as np
import pytest
import soundfile

from beam_pipelines.audio import ffmpeg, libsndfile
from beam_pipelines.audio.channels import to_mono
from beam_pipelines.audio.decode import load_clip, measure
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.mpeg import constant_rate_seconds
from schemas.audio_spec import WAVEFORM, AudioSpec
from schemas.rejects import Reason
from schemas.saved_model import ModelInfo
from serving.engine.track import load_track
from tests.helpers.hearing import hear_mono

SPEC = AudioSpec()
INFO = ModelInfo(["a"], SPEC, WAVEFORM, 1, {})
MADE = {
    **{"vbr6_noxing.mp3": 30.04, "joined_info.mp3": 24.09, "chained.ogg": 24.01},
    **{"bitflip.mp3": 11.97, "flac-with-id3v1.flac": 12.0, "flac-no-total-samples.flac": 12.0},
    **{"mp4-video-with-mp3.mp4": 12.02, "wav-size-zero.wav": 1.7, "short.aif": 2.0},
    **{"short.oga": 2.0, "short.opus": 2.0, "short.WAVE": 2.0, "short.m4a": 2.04},
    **{"xing-bytes-bit31.mp3": 6.0, "ogg255.ogg": 60.0},
}
# FFmpeg plays these; six chip tunes and modules, and two FLACs whose claim nothing backs.
OUT_OF_REACH = {
    *("133.flac", "134.flac", "144.vgm", "145.vgm", "146.vgm", "147.mod", "148.xm", "149.mod"),
}
EXCEPTIONS = {
    "193.mp4": "FFmpeg's decoder makes samples of it that are no audio levels",
    "128.flac": "libsndfile reads on where FFmpeg gives up in a damaged frame",
    "129.flac": "libsndfile ends at a damaged frame, without an error, that FFmpeg passes over",
    "207.mp3": "0.03 s fewer: 0.41 s, under the half second that is looked for",
}
HEARD_NONETHELESS = {
    "003.m4b": "FFmpeg 5.1 gave nothing, its successors play it",
    "041.mp4": "the same",
    "010.wav": "libsndfile reads it",
    "032.flac": "libsndfile reads on where FFmpeg gives up in a damaged frame",
}


def seconds(data):
    return measure(data).hearing.duration


@pytest.mark.fixtures
@pytest.mark.parametrize(("name", "expected"), MADE.items())
def test_what_listeners_report_is_heard_whole(fixtures_dir, name, expected):
    path = fixtures_dir / "odd-audio" / "made" / name
    assert seconds(path.read_bytes()) == pytest.approx(expected, abs=0.06)
    assert load_track(str(path), INFO).duration == pytest.approx(expected, abs=0.06)


@pytest.mark.fixtures
def test_a_claim_of_a_thousand_channels_is_refused(fixtures_dir):
    path = fixtures_dir / "odd-audio" / "made" / "channels-1024-trailing.wav"
    with pytest.raises(AudioError, match="1024 channels"):
        measure(path.read_bytes())


@pytest.fixture(scope="module")
def judged(fixtures_dir):
    """What build, scan and service say of every odd file: name to three judgements."""
    folder = fixtures_dir / "odd-audio"
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.suffix not in (".csv", ".md"):
            doors = (by_build(data), by_scan(data), by_service(io.BytesIO(data)))
            found[str(path.relative_to(folder))] = (*doors, by_service(str(path)))
    return found


def by_build(data):
    try:
        clip = load_clip(data, SPEC)
    except AudioError as error:
        return str(error)
    return clip.hearing.duration, hashlib.md5(clip.pcm.tobytes()).hexdigest()


def by_scan(data):
    try:
        return measure(data).hearing.duration
    except AudioError as error:
        return str(error)


def by_service(source):
    try:
        track = load_track(source, INFO)
    except AudioError as error:
        return str(error)
    pcm = np.concatenate(track._kept._parts)[: round(track.duration * SPEC.sample_rate)]
    return track.duration, hashlib.md5(pcm.tobytes()).hexdigest()


@pytest.mark.fixtures
def test_all_doors_agree_on_every_odd_file(judged):
    assert len(judged) == 314 + 16
    for name, (build, scan, *services) in judged.items():
        if isinstance(build, str):
            assert services == [build] * 2, name
            assert scan == build or build.startswith("no_samples: ")  # at the model's rate
            assert "\n" not in build and len(build) < 120
        else:
            assert scan == build[0]
            assert [digest for *_, digest in services] == [build[1]] * 2, name


@pytest.mark.fixtures
def test_files_of_other_projects_have_the_length_that_ffmpeg_gives(fixtures_dir, judged):
    folder = fixtures_dir / "odd-audio"
    with open(folder / "table.csv", encoding="utf8") as stream:
        table = {row["file"]: float(row["ffmpeg_seconds"] or 0) for row in csv.DictReader(stream)}
    plays = {name: length for name, length in table.items() if length >= 0.1}
    assert len(plays) == 155
    lengths = {
        name: 0.0 if isinstance(found, str) else found for name, (_, found, *_) in judged.items()
    }
    wrong = {name for name, length in plays.items() if abs(lengths[name] - length) > 0.06}
    assert wrong == OUT_OF_REACH | set(EXCEPTIONS)
    heard = {name for name, length in table.items() if not length and lengths[name] > 0.05}
    assert heard == set(HEARD_NONETHELESS), "what ffmpeg cannot play is refused"


def noise(seconds, channels=2, rate=22050):
    draw = np.random.default_rng(0)
    return draw.uniform(-0.3, 0.3, (int(seconds * rate), channels)).astype(np.float32)


def encoded(sound, kind, rate=22050):
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_what_libsndfile_reads_whole_keeps_its_samples(kind):
    data = encoded(noise(3), kind)
    with soundfile.SoundFile(io.BytesIO(data)) as source:
        samples, rate = source.read(dtype="float32", always_2d=True), source.samplerate
    mono, same = hear_mono(data)
    assert same == rate
    assert measure(data).hearing.decoder == "libsndfile"
    np.testing.assert_array_equal(mono, to_mono(samples))


@pytest.mark.parametrize("decoder", [ffmpeg, libsndfile])
@pytest.mark.parametrize("kind", ["MP3", "OGG", "FLAC"])
def test_blocks_are_the_whole(decoder, kind, monkeypatch):
    data = encoded(noise(3), kind)
    monkeypatch.setattr(decoder, "block_length", lambda n_channels: 1 << 20)
    ((whole, _, _),) = decoder.decode_blocks(io.BytesIO(data))
    monkeypatch.setattr(decoder, "block_length", lambda n_channels: 1000)
    blocks = [block.samples for block in decoder.decode_blocks(io.BytesIO(data))]
    assert [len(block) for block in blocks[:-1]] == [1000] * (len(blocks) - 1)
    assert len(blocks[-1]) < 1000
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_a_flac_that_ends_too_early_gives_what_is_left():
    data = encoded(noise(10), "FLAC")
    hearing = measure(data[: len(data) * 9 // 10]).hearing
    assert hearing.duration == pytest.approx(9, abs=0.3)
    assert hearing.duration + hearing.cut_short == pytest.approx(10)


def test_without_ffmpeg_the_others_decode_and_a_container_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(ffmpeg, "is_there", lambda: False)
    assert seconds(encoded(noise(1), "WAV")) == 1
    with pytest.raises(AudioError, match=r"pip install 'orpheus-tagging\[formats\]'") as caught:
        measure(b"\x00\x00\x00\x20ftypM4A " + bytes(100))
    assert caught.value.reason is Reason.UNDECODABLE


def test_seconds_of_a_constant_rate_are_counted_by_their_headers():
    data = encoded(noise(5), "MP3")
    found = constant_rate_seconds(io.BytesIO(data))
    expected = ffmpeg.packet_seconds(io.BytesIO(data))
    assert found is None or found == pytest.approx(expected, abs=0.1)
    assert constant_rate_seconds(io.BytesIO(encoded(noise(1), "WAV"))) is None


@pytest.mark.parametrize("name", ["._", ".AppleDouble"])
@pytest.mark.parametrize("kind", ["MP3", "WAV"])
def test_a_name_in_the_working_directory_changes_nothing(tmp_path, monkeypatch, kind, name):
    """libsndfile looks for the resource fork of a file without a name there."""
    data = encoded(noise(3), kind)
    path = tmp_path / "clip"
    path.write_bytes(data)
    expected = load_clip(data, SPEC).pcm
    (tmp_path / name).mkdir() if name == ".AppleDouble" else (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    clip = load_clip(data, SPEC)
    assert clip.hearing.decoder == "libsndfile"
    np.testing.assert_array_equal(clip.pcm, expected)
    assert by_service(str(path))[1] == hashlib.md5(expected.tobytes()).hexdigest()


def by_ffmpeg(data):
    """float32 [n]: all frames as FFmpeg decodes them, mixed as documented; and the rate."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
        resampler = av.AudioResampler("flt", frames[0].layout, frames[0].sample_rate)
        blocks = [out for frame in frames for out in resampler.resample(frame)]
        names = tuple(channel.name for channel in frames[0].layout.channels)
        width = frames[0].layout.nb_channels
        samples = np.concatenate([block.to_ndarray().reshape(-1, width) for block in blocks])
        if not np.abs(samples).max() < 1e6:
            raise ValueError("no audio levels")
        return to_mono(samples, names), frames[0].sample_rate


SMALL_DIFFERENCES = {
    "207.mp3": "0.03 s of damaged frames are left out",
    "210.mp3": "libsndfile takes off the encoder's delay by the LAME tag, FFmpeg does not here",
    "211.mp3": "the same",
    "218.bit": "a test vector whose stereo libmpg123 takes otherwise than FFmpeg: 19 dB",
    "219.mp3": "damaged frames, which each decoder conceals in its own way",
}


@pytest.mark.fixtures
def test_samples_are_those_of_ffmpeg(fixtures_dir, judged):
    """40 dB over the difference, at the file's own rate, for all that FFmpeg decodes alone."""
    wrong = {}
    for name, (build, *_) in judged.items():
        data = (fixtures_dir / "odd-audio" / name).read_bytes()
        try:
            expected, rate = by_ffmpeg(data)
        except (av.FFmpegError, IndexError, ValueError, RuntimeError):
            continue
        if isinstance(build, str) or len(expected) < 0.1 * rate:
            continue
        mono, same = hear_mono(data)
        if same != rate:  # libsndfile decodes Opus at the rate that went into it
            assert data[28:36] == b"OpusHead" and rate == 48000, name
            continue
        n = min(len(mono), len(expected))
        difference = np.mean((mono[:n] - expected[:n]) ** 2, dtype=float)
        power = np.mean(expected[:n] ** 2, dtype=float)
        if difference > max(1e-4 * power, 1e-12):
            wrong[name] = round(float(10 * np.log10(power / difference)), 1)
    assert set(wrong) == set(SMALL_DIFFERENCES), wrong

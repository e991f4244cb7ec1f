"""Every recording is heard whole: the files that listeners report, and those of other projects."""

import csv
import io

import numpy as np
import pytest
import soundfile

from beam_pipelines.audio import ffmpeg, libsndfile
from beam_pipelines.audio.decode import decode
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.mpeg import constant_rate_seconds
from schemas.audio_spec import WAVEFORM, AudioSpec
from schemas.rejects import Reason
from schemas.saved_model import ModelInfo
from serving.engine.track import load_track

INFO = ModelInfo(["a"], AudioSpec(), WAVEFORM, 16000, {})
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


def seconds(data):
    samples, rate = decode(data)
    return len(samples) / rate


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
        decode(path.read_bytes())


@pytest.mark.fixtures
def test_files_of_other_projects_have_the_length_that_ffmpeg_gives(fixtures_dir):
    folder = fixtures_dir / "odd-audio"
    with open(folder / "table.csv", encoding="utf8") as stream:
        table = {row["file"]: float(row["ffmpeg_seconds"] or 0) for row in csv.DictReader(stream)}
    plays = {name: length for name, length in table.items() if length >= 0.1}
    assert len(plays) == 155
    wrong = {}
    for name, length in plays.items():
        for hear in (seconds, lambda data: load_track(io.BytesIO(data), INFO).duration):
            try:
                found = hear((folder / name).read_bytes())
            except AudioError:
                found = 0.0
            if abs(found - length) > 0.06:
                wrong[name] = found
    assert set(wrong) == OUT_OF_REACH | set(EXCEPTIONS), wrong


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
    expected, rate = next(libsndfile.decode_blocks(io.BytesIO(data), -1))
    samples, same = decode(data)
    assert same == rate
    np.testing.assert_array_equal(samples, expected)


def test_blocks_of_ffmpeg_are_the_whole():
    data = encoded(noise(3), "MP3")
    whole, rate = next(ffmpeg.decode_blocks(io.BytesIO(data), -1))
    blocks = [block for block, _ in ffmpeg.decode_blocks(io.BytesIO(data), 1000)]
    assert [len(block) for block in blocks[:-1]] == [1000] * (len(blocks) - 1)
    assert len(blocks[-1]) < 1000
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_a_flac_that_ends_too_early_gives_what_is_left():
    data = encoded(noise(10), "FLAC")
    samples, rate = decode(data[: len(data) * 9 // 10])
    assert len(samples) / rate == pytest.approx(9, abs=0.3)


def test_without_ffmpeg_the_others_decode_and_a_container_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(ffmpeg, "is_there", lambda: False)
    assert seconds(encoded(noise(1), "WAV")) == 1
    with pytest.raises(AudioError, match=r"pip install 'orpheus-tagging\[formats\]'") as caught:
        decode(b"\x00\x00\x00\x20ftypM4A " + bytes(100))
    assert caught.value.reason is Reason.UNDECODABLE


def test_seconds_of_a_constant_rate_are_counted_by_their_headers():
    data = encoded(noise(5), "MP3")
    found = constant_rate_seconds(io.BytesIO(data))
    expected = ffmpeg.claimed_seconds(io.BytesIO(data))
    assert found is None or found == pytest.approx(expected, abs=0.1)
    assert constant_rate_seconds(io.BytesIO(encoded(noise(1), "WAV"))) is None

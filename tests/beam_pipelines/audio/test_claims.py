"""Files that end before what their headers speak of."""

import io

import numpy as np
import pytest

from beam_pipelines.audio.claims import claimed_seconds
from beam_pipelines.audio.decode import measure
from tests.helpers.encoded import encode, tone
from tests.helpers.streams import encode_stream

SOUND = tone(seconds=10, rate=44100)


def files():
    for kind in ("WAV", "AIFF", "FLAC", "RF64"):
        yield kind, encode(SOUND, 44100, kind)
    yield "MP3", encode_stream(SOUND, 44100, "mp3", "libmp3lame")  # with a Xing or Info header
    yield "M4A", encode_stream(SOUND, 44100, "mp4", "aac", options={"movflags": "faststart"})
    yield "WavPack", encode_stream(SOUND, 44100, "wv", "wavpack")


FILES = dict(files())


@pytest.mark.parametrize("kind", FILES)
def test_a_whole_file_is_not_cut_short(kind):
    hearing = measure(FILES[kind]).hearing
    assert hearing.cut_short == 0
    assert hearing.duration == pytest.approx(10, abs=0.06)


@pytest.mark.parametrize("kind", FILES)
def test_half_a_file_says_what_is_missing(kind):
    data = FILES[kind]
    hearing = measure(data[: len(data) // 2]).hearing
    assert hearing.duration == pytest.approx(5, abs=0.6)
    assert hearing.duration + hearing.cut_short == pytest.approx(10, abs=0.06)


@pytest.mark.parametrize("kind", FILES)
def test_a_quarter_of_a_second_is_nothing(kind):
    data = FILES[kind]
    if kind in ("M4A", "WavPack"):
        pytest.skip("its frames are as long as that")
    hearing = measure(data[: len(data) * 99 // 100]).hearing
    assert hearing.duration < 10 and hearing.cut_short == 0


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\xf0\xff\x7f"])
def test_a_size_that_the_recorder_did_not_know_claims_nothing(size):
    data = bytearray(encode(SOUND, 44100))
    at = data.index(b"data") + 4
    data[at : at + 4] = size
    assert claimed_seconds(io.BytesIO(bytes(data))) == 0
    hearing = measure(bytes(data)).hearing
    assert (hearing.cut_short, hearing.duration) == (0, 10)


def test_no_header_claims_nothing():
    for data in (b"", b"RIFF", b"RIFF\0\0\0\0WAVEdata", b"fLaC", bytes(100), b"FORM\0\0\0\0AIFF"):
        assert claimed_seconds(io.BytesIO(data)) == 0
    noise = np.random.default_rng(0).bytes(10_000)
    assert claimed_seconds(io.BytesIO(noise)) == 0

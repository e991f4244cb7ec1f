"""What the headers of files say."""

import pytest

from beam_pipelines.audio import headers
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.headers import Probe
from tests.helpers.broken_audio import BROKEN


@pytest.mark.fixtures
def test_probe_says_what_mutagen_said(msd, rows_of_2019, decoded):
    for row in rows_of_2019("s1_fetcher.csv"):
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
            assert found.sample_rate == decoded[path].clip.hearing.rate


@pytest.mark.fixtures
def test_cut_file_still_claims_its_length(decoded):
    cut = decoded["9/9/9942929.clip.mp3"]
    assert cut.probe.duration == 30.0
    assert cut.clip.hearing.duration == pytest.approx(527_663 / 44100)


@pytest.mark.fixtures
def test_a_figure_that_no_column_holds_is_none(fixtures_dir):
    """One flipped bit in a Xing header gives a bit rate over 2**31."""
    path = fixtures_dir / "odd-audio" / "made" / "xing-bytes-bit31.mp3"
    found = headers.probe(path.read_bytes())
    assert (found.bit_rate, found.channels, found.sample_rate) == (None, 2, 44100)


def test_only_the_names_of_7digital_are_promises():
    headers.check_label("songs/one.mp3", b"RIFF and so on")
    with pytest.raises(AudioError, match="mislabelled: it is a .wav file"):
        headers.check_label("7/7.clip.mp3", b"RIFF and so on")

"""Which names are audio."""

import pytest

from schemas.audio_files import is_audio


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("song.mp3", True),
        ("a/b/Song.FLAC", True),
        ("radio.OGA", True),
        ("book.m4b", True),
        ("cover.jpg", False),
        ("mp3", False),
        ("a/._song.mp3", False),
        (".AppleDouble/song.mp3", False),
        ("album/@eaDir/song.mp3/SYNOAUDIO_VIDEO.mp3", False),
        ("__MACOSX/song.wav", False),
        ("a.__MACOSX/song.wav", True),
    ],
)
def test_names(path, expected):
    assert is_audio(path) is expected

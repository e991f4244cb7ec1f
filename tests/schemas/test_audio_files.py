"""Which names are audio."""

import pytest

from schemas.audio_files import ignored_as, ignored_line, is_audio


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


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/Cover.JPG", ".jpg"),
        ("a/song.mp3", None),
        ("a/._song.mp3", "._*"),
        ("@eaDir/song.mp3/x.jpg", "@eaDir"),
        (".DS_Store", "without a suffix"),
        ("Dr. Who and the rest", "without a suffix"),
        ("dot.", "without a suffix"),
        (None, "pipes, sockets, devices and link loops"),
    ],
)
def test_what_is_passed_over_is_counted_by_suffix(path, expected):
    assert ignored_as(path) == expected


def test_the_line_names_the_most_frequent_first():
    assert ignored_line({}) == ""
    assert ignored_line({".cue": 3, ".jpg": 1200}) == "ignored: 1,200 .jpg, 3 .cue"
    many = {f".x{number}": 10 - number for number in range(10)}
    assert ignored_line(many).endswith("4 .x6, 3 .x7, 3 others")

"""The tags that files carry, in every format, as mutagen and FFmpeg write them."""

import io
import struct

import mutagen
import pytest
from mutagen import id3
from mutagen.apev2 import APEv2

from beam_pipelines.tags.in_files import FileTags, read_file_tags, split_tags
from tests.helpers.encoded_by_ffmpeg import FORMATS, write_with_ffmpeg

ABOUT = {"album_artist": "The Band", "artist": "A. Singer", "title": "Ünder", "album": "LP"}
FULL = FileTags(("Rock", "Indie", "Pop", "sad", "study"), **ABOUT, year=1987)


def id3_frames():
    return [
        id3.TCON(encoding=3, text=["Rock; Indie", "(13)"]),
        id3.TMOO(encoding=3, text=["sad"]),
        id3.TIT1(encoding=3, text=["study"]),
        id3.TPE1(encoding=3, text=[ABOUT["artist"]]),
        id3.TPE2(encoding=3, text=[ABOUT["album_artist"]]),
        id3.TIT2(encoding=3, text=[ABOUT["title"]]),
        id3.TALB(encoding=3, text=[ABOUT["album"]]),
        id3.TDRC(encoding=3, text=["1987-05-01"]),
    ]


@pytest.mark.parametrize("version", [3, 4])
def test_id3(tmp_path, version):
    path = write_with_ffmpeg(tmp_path / "a.mp3")
    tags = id3.ID3()
    for frame in id3_frames():
        tags.add(frame)
    if version == 3:  # has no frame for a mood
        tags.delall("TMOO")
        tags.add(id3.TXXX(encoding=1, desc="mood", text=["sad"]))
    tags.update_to_v23() if version == 3 else None
    tags.save(path, v2_version=version, v23_sep=None if version == 3 else "/")
    assert read_file_tags(str(path)) == FULL


def test_id3_in_its_first_version_alone(tmp_path):
    path = write_with_ffmpeg(tmp_path / "a.mp3")
    id3.delete(path)
    fields = (b"Under", b"A. Singer", b"LP", b"1987", b"", 17)
    path.write_bytes(path.read_bytes() + b"TAG" + struct.pack("30s30s30s4s30sB", *fields))
    found = read_file_tags(str(path))
    assert found == FileTags(("Rock",), "", "A. Singer", "Under", "LP", 1987)


def test_id3_of_version_2_2(tmp_path):
    path = write_with_ffmpeg(tmp_path / "a.mp3")
    id3.delete(path)

    def frame(name, text):
        body = b"\0" + text.encode("latin1")
        return name + len(body).to_bytes(3, "big") + body

    frames = frame(b"TCO", "(17)Rock/Pop") + frame(b"TT1", "study") + frame(b"TP1", "A. Singer")
    frames += frame(b"TYE", "1987")
    size = bytes([0, 0, len(frames) >> 7, len(frames) & 127])
    path.write_bytes(b"ID3\2\0\0" + size + frames + path.read_bytes())
    found = read_file_tags(str(path))
    assert found == FileTags(("Rock", "Pop", "study"), artist="A. Singer", year=1987)


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus"])
def test_vorbis_comments(tmp_path, suffix):
    path = write_with_ffmpeg(tmp_path / f"a{suffix}")
    file = mutagen.File(path)
    file["GENRE"] = ["Rock;Indie", "(13)"]
    file["Mood"], file["grouping"] = "sad", "study"
    file["albumartist"], file["artist"] = ABOUT["album_artist"], ABOUT["artist"]
    file["title"], file["album"], file["date"] = ABOUT["title"], ABOUT["album"], "1987"
    file.save()
    assert read_file_tags(str(path)) == FULL


def test_mp4(tmp_path):
    path = write_with_ffmpeg(tmp_path / "a.m4a")
    file = mutagen.File(path)
    file["\xa9gen"], file["\xa9grp"] = ["Rock/Indie", "Pop"], "study"
    file["----:com.apple.iTunes:MOOD"] = [b"sad"]
    file["aART"], file["\xa9ART"] = ABOUT["album_artist"], ABOUT["artist"]
    file["\xa9nam"], file["\xa9alb"], file["\xa9day"] = ABOUT["title"], ABOUT["album"], "1987"
    file.save()
    assert read_file_tags(str(path)) == FULL


def test_asf(tmp_path):
    path = write_with_ffmpeg(tmp_path / "a.wma")
    file = mutagen.File(path)
    file["WM/Genre"], file["WM/Mood"] = ["Rock", "Indie;Pop"], "sad"
    file["WM/ContentGroupDescription"], file["WM/AlbumArtist"] = "study", ABOUT["album_artist"]
    file["Author"], file["Title"] = ABOUT["artist"], ABOUT["title"]
    file["WM/AlbumTitle"], file["WM/Year"] = ABOUT["album"], "1987"
    file.save()
    assert read_file_tags(str(path)) == FULL


def test_apev2(tmp_path):
    path = write_with_ffmpeg(tmp_path / "a.wv")
    tags = APEv2()
    tags["Genre"], tags["MOOD"] = ["Rock", "Indie/Pop"], "sad"
    tags["Grouping"], tags["Album Artist"] = "study", ABOUT["album_artist"]
    tags["Artist"], tags["Title"] = ABOUT["artist"], ABOUT["title"]
    tags["Album"], tags["Year"] = ABOUT["album"], "1987"
    tags.save(str(path))
    assert read_file_tags(str(path)) == FULL


def test_apev2_of_an_mp3(tmp_path):
    path = write_with_ffmpeg(tmp_path / "a.mp3")
    id3.delete(path)
    tags = APEv2()
    tags["Genre"], tags["Artist"] = "Rock/Pop", ABOUT["artist"]
    tags.save(str(path))
    for file in (str(path), io.BytesIO(path.read_bytes())):
        assert read_file_tags(file) == FileTags(("Rock", "Pop"), artist=ABOUT["artist"])


@pytest.mark.parametrize("suffix", FORMATS)
def test_as_ffmpeg_writes_them(tmp_path, suffix):
    given = {"genre": "Hip-Hop; R&B", "date": "2004", **ABOUT}
    path = write_with_ffmpeg(tmp_path / f"a{suffix}", tags=given)
    with open(path, "rb") as stream:
        assert read_file_tags(stream) == FileTags(("Hip-Hop", "R&B"), **ABOUT, year=2004)


def test_files_without_tags_or_sense(tmp_path):
    path = write_with_ffmpeg(tmp_path / "a.mp3")
    id3.delete(path)
    assert read_file_tags(str(path)) == FileTags()
    for content in (b"", b"no audio " * 99, b"OggS" + bytes(99), b"ID3\4\0\0\0\0\7\x7fxxxx"):
        (tmp_path / "b.mp3").write_bytes(content)
        assert (read_file_tags(str(tmp_path / "b.mp3")) or FileTags()) == FileTags()
    assert read_file_tags(str(tmp_path / "nowhere.mp3")) is None


@pytest.mark.parametrize(
    ("text", "numbered", "expected"),
    [
        ("Rock; Indie ;;", False, ["Rock", "Indie"]),
        ("Rock/Pop\0Jazz", False, ["Rock", "Pop", "Jazz"]),
        ("(17)", False, ["Rock"]),
        ("(4)(17)Euro  disco", False, ["Disco", "Rock", "Euro disco"]),
        ("(RX)", False, ["Remix"]),
        ("((not a number)", False, ["(not a number)"]),
        ("(999)", False, []),
        ("17", True, ["Rock"]),
        ("80", False, ["80"]),
        ("999", True, []),
    ],
)
def test_one_field_holds_several(text, numbered, expected):
    assert [tag for tag in split_tags([text], numbered) if tag] == expected

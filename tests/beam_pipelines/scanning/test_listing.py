"""The listing: every audio file once, in a fixed order, whatever the tree looks like."""

import csv
import os
import socket

import pytest
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.scanning.listing import AudioFile, list_audio, parse_7digitalid
from schemas.common.errors import UsageError
from serving.engine.find_files import find_inputs

STRANGE = "a [b]*? {c} ü"


class PrefixFileSystem(LocalFileSystem):
    """An object store as far as the listing can see: names with a scheme, no folders."""

    @classmethod
    def scheme(cls):
        return "prefixed"

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        root = dir_or_prefix.removeprefix("prefixed:/")
        for entry in super()._list(os.path.dirname(root)):
            path = "prefixed:/" + entry.path
            if path.startswith(dir_or_prefix):
                yield FileMetadata(path, entry.size_in_bytes, entry.last_updated_in_seconds)


def make_tree(root, sizes: dict[str, int]) -> None:
    for i, (name, size) in enumerate(sizes.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (1000.5 + i, 1000.5 + i))


TREE = {
    "6/0/6010476.clip.mp3": 7,
    "6/0/60.CLIP.MP3": 1,
    "b.WaV": 2,
    "b/x.flac": 0,
    "b-c/x.ogg": 3,
    "ü/日/1 2.m4a": 4,
    "b/notes.txt": 5,
    "b/mp3": 5,
    ".DS_Store": 5,
}
LISTED = [
    ("6/0/60.CLIP.MP3", 1, 1001.5),
    ("6/0/6010476.clip.mp3", 7, 1000.5),
    ("b-c/x.ogg", 3, 1004.5),
    ("b.WaV", 2, 1002.5),
    ("b/x.flac", 0, 1003.5),
    ("ü/日/1 2.m4a", 4, 1005.5),
]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("scheme", ["", "prefixed:/"])
def test_audio_files_in_order_under_any_name(tmp_path, scheme, slash):
    make_tree(tmp_path / STRANGE, TREE)
    make_tree(tmp_path / "a b", {"elsewhere.mp3": 1})  # [b] is no pattern
    found = list_audio(f"{scheme}{tmp_path / STRANGE}{slash}")
    assert found.files == [AudioFile(*row) for row in LISTED]
    assert found.ignored == {".txt": 1, "without a suffix": 2}


def test_links_are_followed_but_never_around(tmp_path):
    make_tree(tmp_path / "disk", {"1.clip.mp3": 3, "deep/2.clip.mp3": 4})
    root = tmp_path / "root"
    make_tree(root, {"a/3.clip.mp3": 5})
    (root / "z").symlink_to(tmp_path / "disk")
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "self.mp3").symlink_to(root / "a" / "self.mp3")
    (root / "gone.mp3").symlink_to(tmp_path / "nowhere")
    found = list_audio(str(root))
    assert [(file.path, file.size) for file in found.files] == [
        ("a/3.clip.mp3", 5),
        ("gone.mp3", 0),
        ("z/1.clip.mp3", 3),
        ("z/deep/2.clip.mp3", 4),
    ]


def test_pipes_and_sockets_are_ignored(tmp_path):
    make_tree(tmp_path, {"1.clip.mp3": 3})
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "self.mp3").symlink_to(tmp_path / "self.mp3")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.mp3"))
        found = list_audio(str(tmp_path))
    assert ([file.path for file in found.files], found.ignored) == (
        ["1.clip.mp3"],
        {"pipes, sockets, devices and link loops": 3},
    )


def test_what_other_systems_leave_is_passed_over_below_the_root_alone(tmp_path, monkeypatch):
    root = tmp_path / "@eaDir" / "._music"
    make_tree(
        root, {"a.mp3": 1, "@eaDir/a.mp3/thumb.jpg": 2, "b/__MACOSX/._b.mp3": 2, "._a.mp3": 3}
    )
    make_tree(root, {"b/b.mp3": 1, "b/Cover.JPG": 2, "b/back.jpg": 2, "b/b.cue": 2})
    passed_over = {"@eaDir": 1, "__MACOSX": 1, "._*": 1, ".jpg": 2, ".cue": 1}
    monkeypatch.chdir(root.parent)
    for folder in (str(root), "._music"):
        found = list_audio(folder)
        assert [file.path for file in found.files] == ["a.mp3", "b/b.mp3"]
        assert found.ignored == passed_over
        searched = find_inputs([folder])
        assert [os.path.relpath(path, folder) for path in searched.files] == ["a.mp3", "b/b.mp3"]
        assert searched.ignored == passed_over
    monkeypatch.chdir(root)
    assert find_inputs(["."]).ignored == passed_over
    assert find_inputs(["._a.mp3"]).files == ["._a.mp3"]  # what is named is taken


def test_a_folder_without_audio_says_what_it_holds(tmp_path):
    make_tree(tmp_path, {"a.cue": 1, "b.CUE": 1, "c.jpg": 1})
    for search in (lambda: list_audio(str(tmp_path)), lambda: find_inputs([str(tmp_path)])):
        with pytest.raises(UsageError, match="no audio file .*; ignored: 2 .cue, 1 .jpg$"):
            search()


def test_a_name_that_is_not_utf8_is_written_out(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.mp3")).write_bytes(b"x")
    assert [file.path for file in list_audio(str(tmp_path)).files] == ["caf\\xe9.mp3"]


def test_bad_roots_are_usage_errors(tmp_path):
    make_tree(tmp_path, {"notes.txt": 1})
    for root in (tmp_path, tmp_path / "nowhere", tmp_path / "notes.txt", "nothing://bucket/x"):
        with pytest.raises(UsageError, match="audio folder"):
            list_audio(str(root))


@given(st.integers(0, 10**18 - 1))
def test_every_id_is_read_from_its_name(number):
    assert parse_7digitalid(f"any/folder/{number}.clip.mp3") == number


def test_an_id_must_fit_a_column():
    assert parse_7digitalid("9" * 18 + ".clip.mp3") == 10**18 - 1
    assert parse_7digitalid("1" + "0" * 18 + ".clip.mp3") is None


@given(st.from_regex(r"\d{1,20}\.clip\.mp3", fullmatch=True) | st.text())
def test_a_name_means_its_id_only_in_one_spelling(name):
    number = parse_7digitalid("x/" + name)
    spelling = name.rsplit("/", 1)[-1]
    assert number is None or (f"{number}.clip.mp3" == spelling and 0 <= number < 10**18)


@pytest.mark.fixtures
def test_the_tree_of_2019(fixtures_dir):
    root = fixtures_dir / "mini-msd" / "7digital"
    listed = list_audio(str(root))
    assert (len(listed.files), listed.ignored) == (79, {})
    ours = {
        (str(parse_7digitalid(file.path)), file.path, str(file.size))
        for file in listed.files
        if parse_7digitalid(file.path) is not None
    }
    path = fixtures_dir / "mini-msd" / "expected" / "s1_fetcher.csv"
    with open(path, encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert ours == {(row["track_7digitalid"], row["file_path"], row["file_size"]) for row in rows}
    bad = list_audio(str(fixtures_dir / "mini-msd" / "7digital_badnames")).files
    assert [parse_7digitalid(file.path) for file in bad] == [None] * 8

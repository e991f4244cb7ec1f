"""FMA in its own format: three header rows, lists as text, tracks without a root genre."""

import csv

import pytest

from beam_pipelines import build
from beam_pipelines.sources.fma import parse_tracks
from schemas.common.errors import UsageError
from schemas.manifest import read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.music import look_at, write_noise

GENRES = [  # number, tracks, parent, title, root
    (2, 100, 0, "International", 2),
    (12, 300, 0, "Rock", 12),
    (25, 90, 12, "Punk", 12),
    (1235, 20, 0, "Instrumental", 1235),
]
GROUPS = ["", "album", "album", "artist", "artist", "artist", "set", "set"]
COLUMNS = ["", "id", "title", "bio", "id", "name", "split", "subset"]
GROUPS += ["track"] * 4
COLUMNS += ["genre_top", "genres", "genres_all", "title"]
TRACKS = {  # number: artist, split, subset, root genre, genres, all genres
    2: (1, "training", "small", "Rock", "[25]", "[25, 12]"),
    3: (1, "training", "medium", "Rock", "[12]", "[12]"),
    140: (4, "validation", "small", "International", "[2]", "[2]"),
    1686: (5, "test", "large", "", "[25, 2]", "[2, 25, 12]"),
    99134: (6, "test", "small", "International", "[2]", "[2]"),
    155320: (7, "training", "large", "Instrumental", "[1235]", "[1235]"),
}
OPTIONS = ("--source", "fma", "--sample_rate", "8000", "--num_shards", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The metadata as they come out of the archive, and the clips; the last is not there."""
    root = tmp_path_factory.mktemp("fma")
    meta = root / "fma_metadata"
    meta.mkdir()
    with open(meta / "genres.csv", "w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerows([["genre_id", "#tracks", "parent", "title", "top_level"], *GENRES])
    with open(meta / "tracks.csv", "w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerows([GROUPS, COLUMNS, ["track_id", *[""] * (len(COLUMNS) - 1)]])
        bio = '<p>Lines,\nand "more" lines</p>' * 10_000  # longer than csv takes unasked
        for number, (artist, split, subset, top, genres, every) in TRACKS.items():
            about = [number, 1, "An album", bio, artist, f"Artist {artist}", split, subset]
            table.writerow([*about, top, genres, every, f"Title {number}"])
    for number in TRACKS:
        path = root / "fma_large" / f"{number // 1000:03d}" / f"{number:06d}.mp3"
        write_noise(path, number, format="MP3")
    (root / "fma_large/099/099134.mp3").write_bytes(b"\xff\xfb" * 9)
    (root / "fma_large/155/155320.mp3").unlink()
    return root


def options(folder):
    return [*OPTIONS, "--annotations", str(folder), "--audio_dir", str(folder / "fma_large")]


def test_tracks_parts_tags_and_rejects(folder, tmp_path):
    output = tmp_path / "out"
    assert build.main([*options(folder), "--output", str(output)]) == 0
    tracks = rows(output / "tracks.parquet")
    names = ("track_id", "path", "artist_id", "artist_name", "title", "split", "tags")
    assert sorted([row[name] for name in names] for row in tracks) == [
        ["140", "000/000140.mp3", "4", "Artist 4", "Title 140", "validation", ["International"]],
        ["2", "000/000002.mp3", "1", "Artist 1", "Title 2", "train", ["Rock"]],
        ["3", "000/000003.mp3", "1", "Artist 1", "Title 3", "train", ["Rock"]],
    ]
    rejects = rows(output / "rejects.parquet")
    assert {row["path"]: row["reason"] for row in rejects if row["kind"] == "song"} == {
        "001/001686.mp3": "no_tag",  # no root genre: what it is, nobody said
        "099/099134.mp3": "undecodable",
        "155/155320.mp3": "no_audio",
    }
    listed = {f"{number // 1000:03d}/{number:06d}.mp3" for number in TRACKS}
    accounts_close(output, listed - {"155/155320.mp3"}, n_songs=6)
    assert read_dataset(str(output)).data["split"]["by"] == "official"


@pytest.mark.parametrize(
    ("subset", "numbers"), [("small", [2, 140, 99134]), ("medium", [2, 3, 140, 99134])]
)
def test_subsets_lie_in_each_other(folder, subset, numbers):
    source = look_at(*options(folder), "--subset", subset)
    assert [row.number for row in source.rows] == list(map(str, numbers))


def test_all_genres_with_their_parents_and_a_split_by_artist(folder):
    source = look_at(*options(folder), "--genres", "all", "--split", "artist")
    tags = {row.number: row.tags for row in source.rows}
    assert tags["2"] == ("Punk", "Rock") and tags["1686"] == ("International", "Punk", "Rock")
    assert source.split is None


HEADERS = [GROUPS, COLUMNS, ["track_id"]]
ROW = ["7", "1", "a", "b", "1", "n", "training", "small", "Rock", "[12]", "[12]", "t"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "tracks.csv has no column set split: it must have FMA's three header rows"),
        ([GROUPS, COLUMNS, ROW], "has no column track_id in the third row"),
        ([*HEADERS, ROW[:5]], "track 7: IndexError"),
        ([*HEADERS, [*ROW[:6], "dev", *ROW[7:]]], "track 7: KeyError\\('dev'\\)"),
        ([*HEADERS, [*ROW[:10], "[99]", "t"]], "track 7: KeyError\\(99\\)"),
        ([*HEADERS, [*ROW[:10], "[1", "t"]], "track 7: JSONDecodeError"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(UsageError, match=message):
        list(parse_tracks(table, {12: "Rock"}, which="all"))


def test_bad_places(folder, tmp_path):
    given = ["--source", "fma", "--audio_dir", folder, "--annotations"]
    with pytest.raises(UsageError, match="holds no tracks.csv"):
        look_at(*given, tmp_path)
    with pytest.raises(UsageError, match="none of the 6 files is there: 000/000002.mp3 is not"):
        look_at(*given, folder / "fma_metadata")

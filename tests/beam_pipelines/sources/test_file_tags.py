"""A music library whose files carry genres: what becomes tags, and the way to a tagger."""

import collections
import csv
import shutil

import mutagen
import pytest
from mutagen import id3

from beam_pipelines import build
from beam_pipelines.sources.file_tags import label_track
from beam_pipelines.tags.in_files import FileTags
from schemas.common.errors import UsageError
from schemas.manifest import read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.encoded_by_ffmpeg import FORMATS, write_with_ffmpeg
from tests.helpers.music import look_at, write_noise

GENRES = ["Hip-Hop; Rock", "hip hop", "Hip Hop", "R&B", "R and B/rock", "rnb", "Drum and Bass"]
OPTIONS = ("--source", "file-tags", "--sample_rate", "8000", "--num_shards", "4")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Twenty-eight songs of fourteen artists in seven formats, one without a genre, one broken."""
    folder = tmp_path_factory.mktemp("library")
    for number in range(28):
        suffix = list(FORMATS)[number % 7]
        about = {"genre": GENRES[(number + number // 7) % 7], "artist": f"Artist {number // 2}"}
        about |= {"date": str(1978 + number), "title": f"Song {number}"}
        write_with_ffmpeg(folder / f"{number // 2}/{number:02d}{suffix}", number, tags=about)
    write_noise(folder / "none.wav")
    (folder / "broken.mp3").write_bytes(b"")
    (folder / "cover.jpg").write_bytes(b"")
    return folder


def test_genres_are_cleaned_and_the_report_says_what_they_were_called(library, tmp_path, capsys):
    output = tmp_path / "out"
    options = [*OPTIONS, "--audio_dir", str(library), "--output", str(output)]
    assert build.main([*options, "--tag_threshold", "4", "--split_percent", "50,25,25"]) == 0
    tracks = {row["title"]: row for row in rows(output / "tracks.parquet")}
    expected = {  # Drum and Bass has four tracks, as much as is asked for
        **{"Hip-Hop; Rock": {"hip hop", "rock"}, "hip hop": {"hip hop"}, "Hip Hop": {"hip hop"}},
        **{"R&B": {"r and b"}, "R and B/rock": {"r and b", "rock"}, "rnb": {"r and b"}},
        "Drum and Bass": {"drum and bass"},
    }
    assert len(tracks) == 28
    for number in range(28):
        row = tracks[f"Song {number}"]
        assert set(row["tags"]) == expected[GENRES[(number + number // 7) % 7]], number
        assert (row["artist_name"], row["year"]) == (f"Artist {number // 2}", 1978 + number)
    parts = collections.defaultdict(set)
    for row in tracks.values():
        parts[row["artist_id"]].add(row["split"])
    assert all(len(found) == 1 for found in parts.values())
    rejects = rows(output / "rejects.parquet")
    assert {row["path"]: row["reason"] for row in rejects if row["kind"] == "file"} == {
        "none.wav": "no_tag",
        "broken.mp3": "no_tag",
    }
    accounts_close(
        output, {*(row["path"] for row in tracks.values()), "none.wav", "broken.mp3"}, 30
    )
    data = read_dataset(str(output)).data
    assert data["spellings"] == {
        "hip hop": {"hip hop": 4, "Hip Hop": 4, "Hip-Hop": 4},
        "r and b": {"R and B": 4, "R&B": 4, "rnb": 4},
        "rock": {"Rock": 4, "rock": 4},
    }
    assert "R and B (4)" in (output / "report.html").read_text()
    out, err = capsys.readouterr()
    assert "30 audio files, 28 with a genre, mood or grouping" in err and "ignored: 1 .jpg" in out


def test_decades_and_no_cleaning(library):
    tags = {
        row.title: row.tags
        for row in look_at(*OPTIONS, "--audio_dir", library, "--decades", "--tag_threshold", 4).rows
        if row.title in ("Song 0", "Song 22")
    }
    assert tags == {"Song 0": ("Hip-Hop", "Rock", "1970s"), "Song 22": ("R and B", "Rock", "2000s")}


def test_other_tags_are_another_data_set(library, tmp_path):
    def prints():
        return look_at(*OPTIONS, "--audio_dir", tmp_path, "--tag_threshold", 1).fingerprints()

    write_with_ffmpeg(tmp_path / "a.flac", tags={"genre": "Rock"})
    before = prints()
    file = mutagen.File(tmp_path / "a.flac")
    file["genre"] = "Jazz"
    file.save()
    assert prints() != before


@pytest.mark.fixtures
def test_labels_written_as_genres_give_the_shards_of_the_labels(fixtures_dir, tmp_path):
    """Clips of the corpus: the same records by either way, so the same training and areas."""
    corpus = fixtures_dir / "corpus"
    with open(corpus / "labels.csv", newline="", encoding="utf8") as stream:
        labels = list(csv.DictReader(stream))[::20]
    music, lines = tmp_path / "music", ["path,tags"]
    for row in labels:
        path = music / row["path"].removeprefix("7digital/").replace(".clip", "")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(corpus / row["path"], path)
        genres = id3.ID3()
        genres.add(id3.TCON(encoding=3, text=["; ".join(row["tags"].split("|"))]))
        genres.save(path)
        lines.append(f"{path.relative_to(music)},{row['tags']}")
    (tmp_path / "songs.csv").write_text("\n".join(lines) + "\n")
    found = []
    for source in (["labels", "--manifest", str(tmp_path / "songs.csv")], ["file-tags"]):
        output = tmp_path / source[0]
        options = ["--source", *source, "--audio_dir", str(music), "--output", str(output)]
        more = ["--split", "track", "--tag_cleaning", "none", "--num_shards", "3"]
        assert build.main([*options, *more]) == 0
        dataset = read_dataset(str(output))
        assert sum(dataset.records(part) for part in dataset.parts) == len(labels)
        found.append((dataset.vocabulary, dataset.parts))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("album_artist", "artist", "expected"),
    [
        ("The Band", "A", "the band"),
        ("", "A", "a"),
        ("Various Artists", "A", "a"),
        ("", "", ""),
    ],
)
def test_compilations_have_the_artists_of_their_tracks(album_artist, artist, expected):
    found = FileTags(("x",), album_artist, artist)
    assert label_track("a.mp3", found).artist == expected


def test_bad_options(library, tmp_path):
    with pytest.raises(UsageError, match="--audio_dir is missing: the files themselves"):
        look_at(*OPTIONS)
    with pytest.raises(UsageError, match="--tag_lists has no meaning with --tag_cleaning merge"):
        look_at(*OPTIONS, "--audio_dir", library, "--tag_lists", "x")
    write_noise(tmp_path / "a.wav")
    with pytest.raises(UsageError, match="none of the 1 audio files under .* carries a genre"):
        look_at(*OPTIONS, "--audio_dir", tmp_path)
    with pytest.raises(UsageError, match="no tag is left"):
        look_at(*OPTIONS, "--audio_dir", library, "--tag_threshold", "2000")

"""MagnaTagATune in its own format: quoted, tab-separated, three empty files."""

import csv

import pytest

from beam_pipelines import build
from beam_pipelines.sources import magnatagatune
from beam_pipelines.sources.magnatagatune import EMPTY, parse_clips, part_of
from schemas.common.errors import UsageError
from schemas.manifest import read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.music import look_at, write_noise

TAGS = ["female vocal", "woman singing", "guitar", "no guitar", "weird"]
CLIPS = {  # path: artist, tags
    "0/one-first-01-a-0-29.mp3": ("One", ["guitar", "woman singing", "female vocal"]),
    "9/one-first-02-b-0-29.mp3": ("One", ["guitar"]),
    "b/two-second-01-c-0-29.mp3": ("Two", ["no guitar"]),
    "c/three-third-01-d-0-29.mp3": ("Three", ["weird"]),
    "d/four-fourth-01-e-0-29.mp3": ("Four", []),
    "f/four-fourth-02-f-29-58.mp3": ("Four", ["guitar", "weird"]),
    **{path: ("Nobody", ["guitar"]) for path in EMPTY},
    "e/gone-gone-01-g-0-29.mp3": ("Gone", ["guitar"]),
}
OPTIONS = ("--source", "magnatagatune", "--sample_rate", "8000", "--num_shards", "4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Audio and annotations as they come from the archive."""
    root = tmp_path_factory.mktemp("mtt")
    infos = ["clip_id track_number title artist album url segmentStart segmentEnd original_url"]
    with open(root / "annotations_final.csv", "w", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow(["clip_id", *TAGS, "mp3_path"])
        for number, (path, (_, tags)) in enumerate(CLIPS.items(), start=2):
            table.writerow([number, *(int(tag in tags) for tag in TAGS), path])
    with open(root / "clip_info_final.csv", "w", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow([*infos[0].split(), "mp3_path"])
        for number, (path, (artist, _)) in enumerate(CLIPS.items(), start=2):
            about = [1, 'Say "a"\tb', artist, "An album", "http://x", 0, 29, "http://y", path]
            table.writerow([number, *about])
    for seed, path in enumerate(CLIPS):
        if "gone" not in path:
            write_noise(root / "audio" / path, seed, format="MP3")
    for path in EMPTY:
        (root / "audio" / path).write_bytes(b"")
    return root


def options(folder, output):
    places = ["--annotations", str(folder), "--audio_dir", str(folder / "audio")]
    return [*OPTIONS, *places, "--output", str(output)]


def test_tracks_parts_tags_and_rejects(folder, tmp_path, capsys):
    output = tmp_path / "out"
    assert build.main(options(folder, output)) == 0
    tracks = {row["path"]: row for row in rows(output / "tracks.parquet")}
    written = [path for path in CLIPS if path not in EMPTY and "gone" not in path]
    assert sorted(tracks) == sorted(written)
    for number, (path, (artist, tags)) in enumerate(CLIPS.items(), start=2):
        if path in tracks:
            row = tracks[path]
            assert (row["track_id"], row["artist_id"], sorted(row["tags"])) == (
                str(number),
                artist,
                sorted(tags),
            )
            assert row["title"] == 'Say "a"\tb' and row["release"] == "An album"
    parts = {path[0]: row["split"] for path, row in tracks.items()}
    assert parts == {
        **dict.fromkeys("09b", "train"),
        "c": "validation",
        **dict.fromkeys("df", "test"),
    }
    rejects = rows(output / "rejects.parquet")
    songs = {
        row["path"]: (row["reason"], row["detail"]) for row in rejects if row["kind"] == "song"
    }
    assert songs == {
        **dict.fromkeys(EMPTY, ("empty_file", "empty in the published archive")),
        "e/gone-gone-01-g-0-29.mp3": ("no_audio", ""),
    }
    accounts_close(output, {*written, *EMPTY}, n_songs=len(CLIPS))
    data = read_dataset(str(output)).data
    assert data["split"]["by"] == "official" and data["untagged"] == 1
    out, err = capsys.readouterr()
    assert "10 tracks are listed, 9 have audio" in err
    assert "planned without a tag: 1 tracks" in out


def test_synonyms_and_a_split_by_artist(folder):
    source = look_at(*options(folder, "")[:-2], "--merge_synonyms", "--split", "artist")
    tags = {row.path: row.tags for row in source.rows}
    assert tags["0/one-first-01-a-0-29.mp3"] == ("female vocal", "guitar")
    assert source.split is None and source.rows[0].artist == "One"


def test_every_folder_has_its_part():
    parts = "".join(part_of(f"{folder:x}/a.mp3")[1] for folder in range(16))
    assert parts == "r" * 12 + "a" + "e" * 3


def test_a_synonym_stands_once():
    names = [tag for line in magnatagatune.SYNONYMS for tag in line[1:]]
    assert len(set(names)) == len(names)
    assert not set(names) & {line[0] for line in magnatagatune.SYNONYMS}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([], "annotations_final.csv has no column clip_id"),
        ([["clip_id", "rock"]], "has no column mp3_path"),
        ([["clip_id", "rock", "mp3_path"]], "names no clip"),
        ([["clip_id", "rock", "mp3_path"], ["2", "1"]], "clip '2' has 2 fields, the header 3"),
    ],
)
def test_bad_tables(tags, message):
    info = [["clip_id", "artist", "title", "album"]]
    with pytest.raises(UsageError, match=message):
        parse_clips(tags, info)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--annotations", "nowhere"], "nowhere holds no annotations_final.csv"),
        (["--audio_dir", "nowhere"], "none of the 10 files is there: .* not under --audio_dir"),
        (["--manifest", "x.csv"], "--manifest has no meaning with --source magnatagatune"),
        (["--audio_dir", ""], "--audio_dir is missing"),
        (["--annotations", ""], "--annotations is missing"),
        (["--top_tags", "0"], "--top_tags"),
    ],
)
def test_bad_options(folder, tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        build.main([*options(folder, tmp_path / "out"), *more])
    assert not (tmp_path / "out").exists()

"""MTG-Jamendo in its own format: tags in columns without names, copies of low bit rate."""

import random
import resource
import time

import pytest

from beam_pipelines import build
from beam_pipelines.sources.annotations import read_table
from beam_pipelines.sources.mtg_jamendo import HEADER, parse_tracks
from schemas.common.errors import UsageError
from schemas.manifest import PARTS, read_dataset
from tests.helpers.accounts import accounts_close, rows
from tests.helpers.music import look_at, write_noise

GENRES = ["genre---rock", "genre---pop", "genre---metal"]
OTHERS = ["instrument---guitar", "mood/theme---happy"]
OPTIONS = ("--source", "mtg-jamendo", "--sample_rate", "8000", "--num_shards", "4")


def tracks_of(group):
    """(number, tags) of the group's list."""
    found = []
    for number in range(200, 218):
        tags = [*GENRES[: number % 3 + 1], *OTHERS[: number % 2 + 1]]
        kept = [tag for tag in tags if group in ("", "_top50tags") or tag.startswith("genre")]
        found.append((number, kept[1:] if group == "_top50tags" else kept))
    return [(number, tags) for number, tags in found if tags]


def part_in(split, number):
    return PARTS[(number // 2 + split) % 3]


def line(number, tags):
    start = f"track_{number:07d}\tartist_{number // 2:06d}\talbum_{number:06d}"
    return "\t".join([start, f"{number % 100:02d}/{number}.mp3", "151.4", *tags])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The repository's lists and the audio; every third file in its low bit rate."""
    root = tmp_path_factory.mktemp("jamendo")
    for group in ("", "_genre", "_top50tags"):
        lists = {f"data/autotagging{group}.tsv": lambda _: True}
        for split in range(5):
            for part in PARTS:
                name = f"data/splits/split-{split}/autotagging{group}-{part}.tsv"
                lists[name] = lambda n, split=split, part=part: part_in(split, n) == part
        for name, keep in lists.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            found = [line(number, tags) for number, tags in tracks_of(group) if keep(number)]
            path.write_text("\n".join(["\t".join(HEADER), *found]) + "\n")
    for number in range(200, 217):
        low = ".low" if number % 3 == 0 else ""
        write_noise(root / "audio" / f"{number % 100:02d}/{number}{low}.mp3", number, format="MP3")
    return root


def options(folder, output):
    places = ["--annotations", str(folder), "--audio_dir", str(folder / "audio")]
    return [*OPTIONS, *places, "--output", str(output)]


def test_parts_are_those_of_its_lists_on_every_track(folder, tmp_path, capsys):
    output = tmp_path / "out"
    assert build.main(options(folder, output)) == 0
    listed = dict(tracks_of("_top50tags"))
    tracks = {row["track_id"]: row for row in rows(output / "tracks.parquet")}
    there = [number for number in listed if number < 217]
    assert sorted(tracks) == [f"track_{number:07d}" for number in there]
    for number in there:
        row = tracks[f"track_{number:07d}"]
        low = ".low" if number % 3 == 0 else ""
        assert row["path"] == f"{number % 100:02d}/{number}{low}.mp3"
        assert row["split"] == part_in(0, number)
        assert sorted(row["tags"]) == sorted(listed[number])
        about = (row["artist_id"], row["release"])
        assert about == (f"artist_{number // 2:06d}", f"album_{number:06d}")
    accounts_close(output, {row["path"] for row in tracks.values()}, n_songs=len(listed))
    assert f"{len(listed)} tracks are listed, {len(there)} have audio" in capsys.readouterr().err
    data = read_dataset(str(output)).data
    assert data["split"]["by"] == "official"
    assert (data["options"]["tag_group"], data["options"]["split_number"]) == ("top50", 0)


@pytest.mark.parametrize("split", range(5))
@pytest.mark.parametrize("group", ["all", "genre"])
def test_the_lists_of_every_split_and_group(folder, split, group):
    chosen = ["--tag_group", group, "--split_number", split]
    source = look_at(*options(folder, "")[:-2], *chosen)
    listed = tracks_of("" if group == "all" else "_genre")
    assert source.split == {f"track_{n:07d}": part_in(split, n) for n, _ in listed}
    assert {row.track_id: set(row.tags) for row in source.rows} == {
        f"track_{number:07d}": set(tags) for number, tags in listed
    }


def test_the_data_folder_and_a_split_of_ones_own(folder, tmp_path):
    split = tmp_path / "split.csv"
    named = {f"track_{number:07d}": PARTS[number % 3] for number in range(200, 210)}
    lines = [f"{track},{part}" for track, part in named.items()]
    split.write_text("track_id,split\n" + "\n".join(lines) + "\n")
    more = ["--annotations", folder / "data", "--split", split, "--tag_group", "all"]
    source = look_at(*options(folder, "")[:-2], *more)
    assert source.split == named and source.n_songs == 18


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be TRACK_ID"),
        ("TRACK_ID\tTAGS\n", "the first line must be TRACK_ID"),
        ("\t".join(HEADER) + "\ntrack_1\tartist_1\n", "track_1 has 2 fields, not 6 or more"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    path = tmp_path / "list.tsv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        parse_tracks(read_table(str(path), "\t", quoted=False), str(path))


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "list.tsv").write_bytes(b"TRACK_ID\t\xff\n")
    with pytest.raises(UsageError, match="list.tsv: 'utf-8' codec can't decode byte 0xff"):
        list(read_table(str(tmp_path / "list.tsv"), "\t", quoted=False))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--split", "artist", "--split_number", "1"],
            "--split_number has no meaning with --split",
        ),
        (["--split_number", "5"], "--split_number"),
        (["--tag_group", "instrument"], "holds no splits/split-0/autotagging_instrument-train.tsv"),
        (["--merge_synonyms"], "--merge_synonyms has no meaning with --source mtg-jamendo"),
    ],
)
def test_bad_options(folder, tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        build.main([*options(folder, tmp_path / "out"), *more])
    assert not (tmp_path / "out").exists()


def test_a_list_of_the_true_size_is_read_in_seconds(tmp_path):
    choose = random.Random(0)
    tags = [f"genre---tag{number}" for number in range(195)]
    lines = [line(number, choose.sample(tags, choose.randint(1, 30))) for number in range(55_000)]
    path = tmp_path / "autotagging.tsv"
    path.write_text("\n".join(["\t".join(HEADER), *lines]) + "\n")
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = parse_tracks(read_table(str(path), "\t", quoted=False), str(path))
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert len(found) == 55_000 and {tag for row in found for tag in row.tags} == set(tags)
    assert seconds < 5 and grown < 300, (seconds, grown)

"""The rules of the join, the split and the dealing: exact values and laws."""

import collections
import tempfile

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.dataset import hashing, rules, sharding
from beam_pipelines.dataset.rules import Candidate, Rules, check_track
from beam_pipelines.dataset.sharding import (
    MOST_SONGS_A_SHARD,
    class_advice,
    shard_advice,
    shard_names,
)
from beam_pipelines.million_song import summary_file
from beam_pipelines.runtime import storage
from beam_pipelines.scanning.listing import ListedFile
from beam_pipelines.sources import million_song
from schemas.common.components import union_find
from schemas.common.errors import UsageError
from schemas.manifest import PARTS
from schemas.rejects import Reason
from schemas.split_file import parse_split

RULES = Rules(keep_untagged=False, split_file=False)
SMALL = ListedFile("p", 9, "too_small", "not over 9 bytes")


def song(track_id="TRAAAAA128F0000001", number=7):
    return summary_file.Song(track_id, number, "SO", "AR", "artist", "title", "release", 1999)


def candidate(track_id="TRAAAAA128F0000001", size=10, split="", artist_id="AR"):
    return Candidate(track_id, 7, "SO", artist_id, "a", "t", "r", 0, "p", size, ["rock"], split)


def test_one_file_and_one_song_are_a_pair():
    pair, rejects = million_song.match_id(7, [ListedFile("0/7.clip.mp3", 5)], [song()])
    assert pair == (song(), ListedFile("0/7.clip.mp3", 5))
    assert rejects == []


@pytest.mark.parametrize(
    ("number", "n_files", "n_songs", "file_reason", "song_reason"),
    [
        (7, 2, 1, Reason.AMBIGUOUS_7DIGITALID, Reason.AMBIGUOUS_7DIGITALID),
        (7, 1, 2, Reason.AMBIGUOUS_7DIGITALID, Reason.AMBIGUOUS_7DIGITALID),
        (7, 0, 2, None, Reason.AMBIGUOUS_7DIGITALID),
        (7, 0, 1, None, Reason.NO_AUDIO),
        (7, 2, 0, Reason.NOT_IN_SUMMARY, None),
        (0, 1, 1, Reason.NOT_IN_SUMMARY, Reason.NO_7DIGITALID),
    ],
)
def test_all_that_share_an_id_in_vain_are_rejected(
    number, n_files, n_songs, file_reason, song_reason
):
    files = [ListedFile(f"{i}.clip.mp3", 1) for i in range(n_files)]
    songs = [song(f"TRAAAAA128F000000{i}", number) for i in range(n_songs)]
    pair, rejects = million_song.match_id(number, files, songs)
    assert pair is None
    assert [(r.kind, r.path, r.track_id, r.reason) for r in rejects] == [
        *(("file", file.path, None, file_reason) for file in files),
        *(("song", None, s.track_id, song_reason) for s in songs),
    ]


@pytest.mark.parametrize(
    ("tags", "mismatch", "part", "file", "rules", "reason"),
    [
        (["rock"], False, None, ListedFile("p", 9), RULES, None),
        (["rock"], True, None, ListedFile("p", 9), RULES, Reason.MISMATCH),
        ([], False, None, ListedFile("p", 9), RULES, Reason.NO_TAG),
        ([], False, None, ListedFile("p", 9), RULES._replace(keep_untagged=True), None),
        (
            ["rock"],
            False,
            None,
            ListedFile("p", 9),
            RULES._replace(split_file=True),
            Reason.NO_SPLIT,
        ),
        (["rock"], False, "test", ListedFile("p", 9), RULES._replace(split_file=True), None),
        (["rock"], False, None, ListedFile("p", 0), RULES, Reason.EMPTY_FILE),
        (["rock"], False, None, SMALL, RULES, Reason.TOO_SMALL),
        ([], False, None, SMALL, RULES, Reason.NO_TAG),
    ],
)
def test_metadata_alone_rule_a_track_out(tags, mismatch, part, file, rules, reason):
    found, rejects = check_track([(song(), file)], tags, mismatch, part, rules)
    if reason is None:
        assert found == Candidate(*song(), "p", file.size, tags, part or "")
        assert rejects == []
    else:
        assert found is None
        assert [(r.kind, r.path, r.track_id, r.reason) for r in rejects] == [
            ("file", "p", song().track_id, reason),
            ("song", "p", song().track_id, reason),
        ]


def test_a_repeated_track_id_rejects_all_its_rows():
    pairs = [(song(number=7), ListedFile("a", 1)), (song(number=8), ListedFile("b", 1))]
    found, rejects = check_track(pairs, ["rock"], False, None, RULES)
    assert found is None
    assert [(r.kind, r.path, r.reason) for r in rejects] == [
        ("file", "a", Reason.AMBIGUOUS_TRACK_ID),
        ("song", "a", Reason.AMBIGUOUS_TRACK_ID),
        ("file", "b", Reason.AMBIGUOUS_TRACK_ID),
        ("song", "b", Reason.AMBIGUOUS_TRACK_ID),
    ]


def test_copies_are_tried_by_size_then_track_id():
    copies = [candidate("TRB", 5), candidate("TRA", 5), candidate("TRC", 9)]
    assert [copy.track_id for copy in rules.order_copies(copies)] == ["TRC", "TRA", "TRB"]


def test_a_split_file_that_tears_copies_apart_follows_the_first():
    copies = [candidate("TRA", split="train"), candidate("TRB", split="test")]
    kept, rejects = rules.same_part(copies)
    assert kept == copies[:1]
    assert [(r.kind, r.track_id, r.reason) for r in rejects] == [
        ("file", "TRB", Reason.NO_SPLIT),
        ("song", "TRB", Reason.NO_SPLIT),
    ]


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=4), max_size=12))
def test_union_find_joins_exactly_what_is_linked(links):
    groups = union_find(links)
    assert set(groups) == {name for link in links for name in link}
    for link in links:
        assert len({groups[name] for name in link}) == 1
    members = collections.defaultdict(set)
    for name, root in groups.items():
        members[root].add(name)
    for root, names in members.items():
        assert root == min(names)
        # a component with a proper subset closed under the links would be two components
        closed = {root}
        while more := {n for link in links if closed & set(link) for n in link} - closed:
            closed |= more
        assert closed == names


@given(st.text(min_size=1), st.sampled_from([(80, 10, 10), (60, 15, 25), (0, 0, 100), (100, 0, 0)]))
def test_a_part_with_no_share_gets_nothing(unit, percent):
    assert percent[PARTS.index(hashing.part_of(unit, percent))] > 0


def test_parts_get_about_their_shares():
    parts = collections.Counter(hashing.part_of(f"AR{i}", (60, 15, 25)) for i in range(20_000))
    assert [round(parts[part] / 200) for part in PARTS] == pytest.approx([60, 15, 25], abs=1)


@given(
    st.integers(1, 300),
    st.fixed_dictionaries({part: st.integers(0, 5000) for part in PARTS}),
)
def test_shards_are_divided_by_songs(num_shards, planned):
    shares = sharding.divide_shards(num_shards, planned)
    full = [part for part in PARTS if planned[part]]
    assert all((shares[part] >= 1) == (planned[part] > 0) for part in PARTS)
    assert all(shares[part] <= planned[part] for part in PARTS)
    assert sum(shares.values()) <= max(num_shards, len(full))
    if all(planned[part] >= num_shards for part in full) and full:
        assert sum(shares.values()) == max(num_shards, len(full))


@given(st.integers(0, 30), st.integers(1, 31), st.integers(0, 30), st.integers(0, 30))
def test_ranges_of_rows_do_not_depend_on_the_files_groups(n, group, start, length):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.parquet"
        storage.write_table(path, pa.table({"a": pa.array(range(n), pa.int64())}), group)
        rows = storage.read_rows(path, start, start + length)["a"].to_pylist()
    assert rows == [*range(n)][start : start + length]


def test_shard_names_and_sizes():
    planned = {"train": 7, "validation": 0, "test": 2}
    assert [(s.name, s.planned) for s in shard_names("waveform", planned, 4)] == [
        ("train/waveform-00000-of-00003.tfrecord", 3),
        ("train/waveform-00001-of-00003.tfrecord", 2),
        ("train/waveform-00002-of-00003.tfrecord", 2),
        ("test/waveform-00000-of-00001.tfrecord", 2),
    ]


def test_too_few_shards_are_warned_of():
    assert shard_advice({"train": 100}, 3, parallelism=2) == [
        "--num_shards 3 keeps 2 workers waiting for each other; 4 or more do not"
    ]
    (warning,) = shard_advice({"train": 10 * MOST_SONGS_A_SHARD + 1}, 8, parallelism=2)
    assert "11 or more are better" in warning
    assert shard_advice({"train": 100}, 4, parallelism=2) == []


def test_mismatches_take_the_track_id_not_a_song_id_that_looks_like_one():
    lines = [
        "ERROR: <SOTTTTT12A8C14ABCD TRBZGSG128FD942B13> A  -  b  !=  C  -  d",
        "ERROR: <SOTR12345678901234 TROWPHX128F3047025>   -    !=    -  \n",
        "# nothing",
    ]
    assert list(summary_file.parse_mismatches(lines)) == [
        "TRBZGSG128FD942B13",
        "TROWPHX128F3047025",
    ]


@pytest.mark.fixtures
def test_the_published_mismatches(fixtures_dir):
    text = (fixtures_dir / "real" / "sid_mismatches.txt").read_text(encoding="utf8")
    lines = text.rstrip("\n").split("\n")  # titles hold Unicode line separators
    found = list(summary_file.parse_mismatches(lines))
    assert len(lines) == len(found) == 19094
    assert len(set(found)) == 18972
    assert set(found) == {line[27:45] for line in lines}


def test_duplicates_are_told_apart_by_the_first_character():
    lines = ["# %1 no", "%1 A - b", "TRA", "TRB", "# c", "%2 T - c", "TRC"]
    assert list(summary_file.parse_duplicates(lines)) == [["TRA", "TRB"], ["TRC"]]


def test_split_file():
    assert parse_split("x,track_id,split\n1,TRA,train\n2,TRB,test\n", "f") == {
        "TRA": "train",
        "TRB": "test",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("track_id,part\nTRA,train\n", "f: the split file has no column split"),
        ("track_id,split\nTRA,dev\n", "f, line 2: split is 'dev'"),
        ("track_id,split\nTRA,train\nTRA,test\n", "f, line 3: TRA is in two parts"),
        ("track_id,split\n", "f: the split file names no track"),
    ],
)
def test_a_bad_split_file_is_one_line(text, message):
    with pytest.raises(UsageError, match=message):
        parse_split(text, "f")


def test_parts_from_which_nothing_can_be_learnt_are_said():
    tags = ["rock", "jazz", "pop"]
    fine = {"train": 3, ("train", 0): 2, ("train", 1): 1, "test": 2, ("test", 2): 1}
    assert class_advice(fine, tags) == []
    no_negative = fine | {("train", 0): 3}
    (warning,) = class_advice(no_negative, tags)
    assert warning == "in train every track has rock: there is no negative to learn from"
    one_class = fine | {("test", 2): 2, "validation": 1, ("validation", 0): 1}
    assert class_advice(one_class, tags) == [
        f"in {part} every tag is on all or none of the {n} tracks: no ROC-AUC"
        for part, n in (("validation", 1), ("test", 2))
    ]

"""Reading a Last.fm database where it lies."""

import collections
import hashlib
import pathlib
import sqlite3

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from beam_pipelines.million_song import lastfm_db
from beam_pipelines.million_song.lastfm_db import RawTag
from schemas.common.errors import UsageError
from tests.helpers.lastfm import make_database

PAIRS = [(3, 1, 100), (1, 2, 50), (1, 1, 0), (2, 3, 100), (3, 2, 51), (3, 3, 1), (9, 1, 5)]


@pytest.fixture
def small(tmp_path):
    return make_database(tmp_path / "a b?#%.db", ["TRA", "TRB", "TRC", None], "rRs", PAIRS)


def test_popularity(small):
    tags = [RawTag(1, "r", 3), RawTag(2, "R", 2), RawTag(3, "s", 2)]
    assert lastfm_db.popularity(small) == tags
    assert lastfm_db.popularity(small, val_above=50) == [
        RawTag(1, "r", 1), RawTag(2, "R", 1), RawTag(3, "s", 1)
    ]  # fmt: skip
    assert [tag.count for tag in lastfm_db.popularity(small, val_above=100)] == [0, 0, 0]


def test_track_tags(small):
    mapping = {1: "rock", 2: "rock", 3: "soul"}
    assert list(lastfm_db.track_tags(small, mapping)) == [
        ("TRA", ["rock"]), ("TRB", ["soul"]), ("TRC", ["rock", "soul"])
    ]  # fmt: skip
    assert list(lastfm_db.track_tags(small, {3: "soul"}, first_tid=3)) == [("TRC", ["soul"])]
    assert list(lastfm_db.track_tags(small, {3: "soul"}, val_above=1)) == [("TRB", ["soul"])]
    assert list(lastfm_db.track_tags(small, None, last_tid=1)) == [("TRA", ["R", "r"])]
    assert list(lastfm_db.track_tags(small, {})) == []
    assert lastfm_db.n_tids(small) == 4


def test_nothing_is_written_beside_the_database(small):
    folder = pathlib.Path(small).parent
    before = hashlib.md5(pathlib.Path(small).read_bytes()).hexdigest()
    rows = lastfm_db.track_tags(small, {1: "rock"})
    next(rows)
    assert [path.name for path in folder.iterdir()] == ["a b?#%.db"]
    rows.close()
    assert hashlib.md5(pathlib.Path(small).read_bytes()).hexdigest() == before
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        lastfm_db.connect(small).execute("DELETE FROM tids")


def test_a_write_ahead_database_whose_side_file_cannot_be_made(small):
    connection = sqlite3.connect(small)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    pathlib.Path(small + "-shm").mkdir()
    assert len(lastfm_db.popularity(small)) == 3


def test_text_that_is_not_utf8_is_read(tmp_path):
    db = make_database(tmp_path / "a.db", ["TRA"], [], [(1, 1, 1)])
    connection = sqlite3.connect(db)
    connection.execute("INSERT INTO tags VALUES (CAST(x'66FF' AS TEXT))")
    connection.commit()
    assert list(lastfm_db.track_tags(db, None)) == [("TRA", ["f\ufffd"])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE tid_tag", "has no table tid_tag; it must hold"),
        (
            "ALTER TABLE tid_tag DROP COLUMN val",
            "table tid_tag has no column val .it has tid, tag.",
        ),
        ("ALTER TABLE tids RENAME TO tracks", "has no table tids"),
    ],
)
def test_validate_names_what_is_missing(small, change, message):
    lastfm_db.validate(small)
    connection = sqlite3.connect(small)
    connection.execute(change)
    connection.commit()
    with pytest.raises(UsageError, match=message):
        lastfm_db.validate(small)


def test_what_is_no_database(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        lastfm_db.validate(str(tmp_path / "a.db"))
    (tmp_path / "a.db").write_text("x" * 2000)
    with pytest.raises(UsageError, match="is not a SQLite database"):
        lastfm_db.validate(str(tmp_path / "a.db"))


pairs_of = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(0, 3).map(float)), max_size=30
)


@settings(max_examples=40, deadline=None)
@given(
    pairs=pairs_of,
    mapping=st.dictionaries(st.integers(1, 5), st.sampled_from(["x", "y", "z"])),
    val_above=st.none() | st.integers(0, 3),
    cut=st.integers(0, 6),
    index=st.booleans(),
)
def test_track_tags_is_what_the_pairs_say(tmp_path_factory, pairs, mapping, val_above, cut, index):
    path = tmp_path_factory.mktemp("lastfm") / "a.db"
    db = make_database(path, [f"TR{i}" for i in range(1, 7)], list("abcde"), pairs)
    if index:
        connection = sqlite3.connect(db)
        connection.execute("CREATE INDEX by_tag ON tid_tag (tag)")
        connection.commit()
        connection.close()
    expected = collections.defaultdict(set)
    for tid, tag, val in pairs:
        if tag in mapping and (val_above is None or val > val_above):
            expected[f"TR{tid}"].add(mapping[tag])
    whole = list(lastfm_db.track_tags(db, mapping, val_above))
    assert whole == [(tid, sorted(tags)) for tid, tags in sorted(expected.items())]
    parts = [
        *lastfm_db.track_tags(db, mapping, val_above, 1, cut),
        *lastfm_db.track_tags(db, mapping, val_above, cut + 1, lastfm_db.n_tids(db)),
    ]
    assert parts == whole

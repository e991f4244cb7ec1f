"""LastFm and LastFm2Pandas: the same questions, the same answers."""

import collections
import csv

import numpy as np
import pytest

from beam_pipelines.lastfm import LastFm2Pandas
from beam_pipelines.tags.queries_sql import LastFm
from schemas.common.errors import UsageError
from tests.helpers.lastfm import make_database

TIDS = ["TRA", None, "TRC", "TRD", "TRE"]
TAGS = ["rock", "NA", 'pop, "live"', "rock", "", "été\nfoo"]
PAIRS = [
    (3, 1, 100.0), (1, 2, 50.5), (1, 1, 0.0), (1, 6, 50.5), (3, 3, None), (4, 2, 1.0), (5, 4, 7.0),
    (1, 4, 3.0),
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return make_database(tmp_path / "lastfm.db", TIDS, TAGS, PAIRS)


@pytest.fixture(params=["sql", "pandas"])
def queries(request, path):
    return LastFm(path) if request.param == "sql" else LastFm2Pandas.from_sql(path)


def test_look_ups_keep_order_and_repeats(queries):
    assert queries.tag_to_tag_num(["NA", "rock", "NA"]) == [2, 1, 2]
    assert queries.tag_num_to_tag([6, 1, 6, 4]) == ["été\nfoo", "rock", "été\nfoo", "rock"]
    assert queries.tid_to_tid_num(["TRD", "TRA", "TRD"]) == [4, 1, 4]
    assert queries.tid_num_to_tid(np.array([3, 1, 3])) == ["TRC", "TRA", "TRC"]
    assert queries.tid_to_tid_num([]) == []
    assert (queries.tag_to_tag_num("rock"), queries.tag_num_to_tag(np.int64(2))) == (1, "NA")
    assert (queries.tid_to_tid_num("TRE"), queries.tid_num_to_tid(5)) == (5, "TRE")


@pytest.mark.parametrize(
    ("method", "value"),
    [("tag_to_tag_num", "jazz"), ("tag_num_to_tag", 7), ("tid_to_tid_num", "TRB"),
     ("tid_num_to_tid", 2), ("query_tags", "TRB"), ("with_tag", "jazz")],
)  # fmt: skip
def test_what_is_not_there_is_a_key_error(queries, method, value):
    with pytest.raises(KeyError, match=f"has no {value!r}"):
        getattr(queries, method)(value)


def test_all_names(queries):
    assert queries.get_tids() == ["TRA", "TRC", "TRD", "TRE"]
    assert queries.get_tid_nums() == [1, 3, 4, 5]
    assert queries.get_tags() == TAGS
    assert queries.get_tag_nums() == [1, 2, 3, 4, 5, 6]


def test_tags_and_tracks(queries):
    # by val descending, then number; a name with two rows stands once
    assert queries.query_tags("TRA") == ["NA", "été\nfoo", "rock"]
    assert queries.query_tags("TRA", val_above=3) == ["NA", "été\nfoo"]
    assert queries.query_tags(["TRC", "TRD", "TRC"]) == [['rock', 'pop, "live"'], ["NA"], ["rock", 'pop, "live"']]  # fmt: skip # noqa: E501
    assert queries.query_tags([]) == []
    assert queries.with_tag("NA") == ["TRA", "TRD"]
    assert queries.with_tag("NA", ["TRD", "TRE", "TRA", "TRD"]) == ["TRD", "TRA", "TRD"]
    assert queries.with_tag("") == []
    assert queries.tid_tag_count(["TRE", "TRA", "TRE"]) == {"TRE": 1, "TRA": 4}
    assert queries.tid_tag_count_filter(["TRC", "TRE", "TRA", "TRC"], 2) == ["TRC", "TRA", "TRC"]


def test_pairs(queries):
    def listed(**options):
        pairs = queries.pairs(**options)
        assert [str(t) for t in pairs.dtypes] == ["int64", "int64", "float64"]
        return [(a, b, None if v != v else v) for a, b, v in pairs.itertuples(index=False)]

    assert listed() == sorted(PAIRS, key=lambda pair: pair[:2])
    assert listed(val_above=3) == [(1, 2, 50.5), (1, 6, 50.5), (3, 1, 100), (5, 4, 7)]
    assert listed(tid_nums=[4, 3, 3], tag_nums={2, 3}) == [(3, 3, None), (4, 2, 1)]
    assert listed(tid_nums=[]) == listed(tag_nums=[99]) == []


def test_popularity(queries):
    popularity = queries.popularity()
    assert popularity.columns.tolist() == ["tag", "tag_num", "count"]
    assert list(popularity.itertuples(name=None)) == [
        (1, "rock", 1, 2), (2, "NA", 2, 2), (3, "rock", 4, 2), (4, 'pop, "live"', 3, 1),
        (5, "été\nfoo", 6, 1),
    ]  # fmt: skip
    above = queries.popularity(val_above=7)
    assert above["tag_num"].tolist() == [1, 2, 6]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_round_trip(queries, path, tmp_path, kind):
    if kind == "parquet" and isinstance(queries, LastFm):
        queries = LastFm2Pandas.from_sql(path)
    getattr(queries, f"to_{kind}")(str(tmp_path / "out"))
    back = getattr(LastFm2Pandas, f"from_{kind}")(str(tmp_path / "out"))
    whole = LastFm2Pandas.from_sql(path)
    assert back.tids.where(back.tids.notna(), None).tolist() == TIDS
    assert (back.tids.index.tolist(), back.tags.tolist()) == ([1, 2, 3, 4, 5], TAGS)
    assert back.tid_tag.equals(whole.tid_tag)
    assert back.query_tags(["TRA", "TRC"]) == whole.query_tags(["TRA", "TRC"])


def test_the_exports_of_2019_are_read(tmp_path):
    """Their rows have pandas' index, from 0, without a name in the header."""
    for name, lines in {
        "tids": "tid\n0,TRA\n1,\n2,TRC\n",
        "tags": "tag\n0,rock\n1,nan\n",
        "tid_tag": "tid,tag,val\n0,1,2,100\n1,3,1,1\n",
    }.items():
        (tmp_path / f"lastfm_{name}.csv").write_text(lines)
    queries = LastFm2Pandas.from_csv(str(tmp_path))
    assert queries.query_tags(["TRA", "TRC"]) == [["nan"], ["rock"]]
    assert queries.tid_to_tid_num("TRC") == 3


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="has no tids.csv"):
        LastFm2Pandas.from_csv(str(tmp_path))
    with pytest.raises(UsageError, match="no such file"):
        LastFm(str(tmp_path / "a.db"))
    for name, header in (("tids", "tid"), ("tags", "name"), ("tid_tag", "tid,tag,val")):
        (tmp_path / f"{name}.csv").write_text(header + "\n")
    with pytest.raises(UsageError, match=r"tags: no column tag \(it has name\)"):
        LastFm2Pandas.from_csv(str(tmp_path))
    (tmp_path / "tags.csv").write_bytes(b"tag\n\xff\n")
    with pytest.raises(UsageError, match="tags.csv cannot be read"):
        LastFm2Pandas.from_csv(str(tmp_path))


@pytest.mark.fixtures
def test_both_agree_with_the_file(fixtures_dir):
    path = str(fixtures_dir / "mini-msd" / "lastfm_tags.db")
    sql, memory = LastFm(path), LastFm2Pandas.from_sql(path)
    assert sql.popularity().equals(memory.popularity())
    with open(fixtures_dir / "mini-msd" / "expected" / "t1_popularity.csv", newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: int(row["ranking"]))
    assert sql.popularity()["tag"].tolist() == [row["tag"] for row in rows]
    tids = sql.get_tids()[::-7] * 2
    assert sql.query_tags(tids) == memory.query_tags(tids)
    assert sql.tid_tag_count(tids) == memory.tid_tag_count(tids)
    counts = collections.Counter(
        tag for tags in memory.query_tags(memory.get_tids()) for tag in tags
    )
    for tag in ("rock", "r&b", "drum & bass"):
        assert len(sql.with_tag(tag)) == len(memory.with_tag(tag)) == counts[tag]

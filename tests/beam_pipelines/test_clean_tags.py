"""The command clean_tags, and every stage of the cleaning against the 2019 results."""

import csv
import dataclasses
import json
import re
import sqlite3

import pytest

from beam_pipelines.million_song import lastfm_db
from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.tags.cleaning import PASSES, clean_table, raw_to_clean
from beam_pipelines.tags.database import load_csv, tag_table_csv, write_clean_database
from beam_pipelines.tags.explain import explain
from beam_pipelines.tags.lists import TagLists, read_tag_lists
from schemas.common.errors import UsageError
from tests.helpers.tag_databases import PASSES_OF_2019, dump, run

OPTIONS = ("--tag_threshold", 30, "--tag_pool_threshold", 2)
TWO_CENTURIES = {"1900s", "2080s"}


@pytest.fixture(scope="module")
def expected(fixtures_dir):
    return fixtures_dir / "mini-msd" / "expected"


@pytest.fixture(scope="module")
def database(fixtures_dir):
    return str(fixtures_dir / "mini-msd" / "lastfm_tags.db")


@pytest.fixture(scope="module")
def lists(fixtures_dir):
    return read_tag_lists(str(fixtures_dir / "tag-lists"))


@pytest.fixture(scope="module")
def popularity(database):
    return lastfm_db.popularity(database)


def rows_of(path):
    with open(path, encoding="utf8", newline="") as stream:
        return list(csv.DictReader(stream))


def merged(table):
    """Row names with what was merged into them, as the reference writes them."""
    return [(row.name, {raw.tag for raw in row.raw} - {row.name}) for row in table.rows]


def reference(path):
    return [(row["tag"], set(row["merge_tags"])) for row in json.loads(path.read_text())]


@pytest.mark.fixtures
def test_popularity(popularity, expected):
    ranked = sorted(rows_of(expected / "t1_popularity.csv"), key=lambda row: int(row["ranking"]))
    assert popularity == [(int(row["tag_num"]), row["tag"], int(row["count"])) for row in ranked]


@pytest.mark.fixtures
@pytest.mark.parametrize("n_passes", range(1, 7))
def test_the_table_after_each_pass(popularity, lists, expected, n_passes):
    genres = dataclasses.replace(lists, rap=(), instrumental=(), male=(), female=())
    genres = dataclasses.replace(genres, combine=(), drop=())
    table = clean_table(popularity, genres, 30, 2, passes=PASSES_OF_2019[:n_passes])
    path = expected / f"t2_pass{n_passes}_clean_{n_passes}.json"
    assert merged(table) == reference(path)
    targets = json.loads((expected / f"t2_pass{n_passes}_targets.json").read_text())
    if targets is not None:
        frequent = {tag.tag for tag in popularity if tag.count >= 30} - set(lists.excluded)
        selected = {tag for tag in frequent if PASSES_OF_2019[n_passes - 1].selects(tag)}
        assert selected == set(targets)
    if n_passes == 6:
        assert merged(table) == reference(expected / "t3_genre_df.json")


@pytest.mark.fixtures
def test_the_vocal_classes(popularity, lists, expected):
    table = clean_table(popularity, lists, 30, 2)
    vocal = dataclasses.replace(table, rows=table.rows[-4:])
    assert merged(vocal) == reference(expected / "t3_vocal_df.json")


@pytest.mark.fixtures
def test_the_final_table(popularity, lists, expected):
    of_2019 = clean_table(popularity, lists, 30, 2, passes=PASSES_OF_2019)
    assert merged(of_2019) == reference(expected / "t4_final_df.json")
    table = clean_table(popularity, lists, 30, 2)
    assert merged(table) == [(name, raw - TWO_CENTURIES) for name, raw in merged(of_2019)]
    assert [row.number for row in table.rows] == list(range(1, 75))


@pytest.mark.fixtures
@pytest.mark.parametrize("val_above", [None, 0, 50])
def test_the_clean_database(database, popularity, lists, expected, val_above, tmp_path):
    table = clean_table(popularity, lists, 30, 2, passes=PASSES_OF_2019)
    tracks = write_clean_database(database, str(tmp_path / "clean.db"), table, val_above)
    clean = sqlite3.connect(tmp_path / "clean.db")
    stem = expected / f"t5_clean_val_{val_above}"
    pairs = clean.execute("SELECT tid, tag FROM tid_tag").fetchall()
    distinct = rows_of(f"{stem}_tid_tag_DISTINCT.csv")
    assert len(pairs) == len(distinct)
    assert set(pairs) == {(int(row["tid"]), int(row["tag"])) for row in distinct}
    assert clean.execute("SELECT rowid, tag FROM tags").fetchall() == [
        (int(row["tag_num"]), row["tag"]) for row in rows_of(f"{stem}_tags.csv")
    ]
    assert clean.execute("SELECT rowid, tid FROM tids").fetchall() == [
        (int(row["tid_num"]), row["tid"] or None) for row in rows_of(f"{stem}_tids.csv")
    ]
    if val_above is None:
        counts = rows_of(expected / "t6_clean_popularity_DISTINCT.csv")
        assert tracks == {int(row["tag_num"]): int(row["count"]) for row in counts}
        assert [
            (tag.tag, tag.count) for tag in lastfm_db.popularity(str(tmp_path / "clean.db"))
        ] == [(row["tag"], int(row["count"])) for row in counts]


@pytest.mark.fixtures
def test_the_encoded_tags(database, popularity, lists, expected):
    table = clean_table(popularity, lists, 30, 2, passes=PASSES_OF_2019)
    tags = dict(lastfm_db.track_tags(database, raw_to_clean(table)))
    encoded = json.loads((expected / "t7_encoded_tags.json").read_text())
    names = {row.number: row.tag for row in table.rows}
    assert encoded["n_tags"] == len(names)
    numbers = {tid: found for tid, found in encoded["tag_nums"].items() if isinstance(found, list)}
    assert {tid: tags[tid] for tid in numbers} == {
        tid: sorted(names[number] for number in found) for tid, found in numbers.items()
    }
    # The 2019 code stopped with an error at the tracks that no tag is left of.
    without = encoded["tag_nums"].keys() - numbers.keys()
    assert (len(numbers), len(without), without & tags.keys()) == (116, 3, set())


@pytest.mark.fixtures
def test_the_pairs_of_one_century(database, popularity, lists):
    """Off the 2019 results on purpose: what only "1900s" and "2080s" gave is gone."""
    raw = {tag.number: tag.tag for tag in popularity}
    tables = [clean_table(popularity, lists, 30, 2, passes=p) for p in (PASSES, PASSES_OF_2019)]
    now, then = ({*_pairs(database, raw_to_clean(table))} for table in tables)
    assert now < then
    kept = {number: tag for number, tag in raw_to_clean(tables[1]).items()
            if raw[number] not in TWO_CENTURIES}  # fmt: skip
    assert now == {*_pairs(database, kept)}


def _pairs(database, mapping):
    for track_id, tags in lastfm_db.track_tags(database, mapping):
        yield from ((track_id, tag) for tag in tags)


@pytest.mark.fixtures
def test_the_command(command, database, popularity, lists, fixtures_dir, tmp_path):
    folder = fixtures_dir / "tag-lists"
    output = tmp_path / "new" / "clean.db"
    arguments = (database, output, "--tag_lists", folder, *OPTIONS, "--val_above", 50)
    done = command("beam_pipelines.clean_tags", *arguments)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            f"{output}: 74 tags, 10,444 pairs of track and tag",
            f"{tmp_path}/new/clean.csv: 385 of 631 spellings merged into them",
        ],
    )
    assert sorted(path.name for path in output.parent.iterdir()) == ["clean.csv", "clean.db"]
    tables = dump(output)
    table = clean_table(popularity, lists, 30, 2)
    assert [row[1:] for row in tables["tags"]] == [(row.tag,) for row in table.rows]
    assert all(val > 50 for *_, val in tables["tid_tag"])
    readable = rows_of(output.with_suffix(".csv"))
    assert [(row["tag"], row["raw_tag"], int(row["raw_count"])) for row in readable] == [
        (row.tag, raw.tag, raw.count) for row in table.rows for raw in row.raw
    ]
    tracks = {int(row["number"]): int(row["tracks"]) for row in readable}
    assert sum(tracks.values()) == len(tables["tid_tag"])

    before = output.read_bytes()
    refused = command("beam_pipelines.clean_tags", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"error: {output} is there already (--overwrite replaces it)\n"
    run(*arguments, "--overwrite")
    assert output.read_bytes() == before


@pytest.mark.fixtures
def test_the_tables_as_csv_give_the_same(database, fixtures_dir, tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    raw = dump(database)
    # numbers written out, left out, and under the older file name
    write_csv(folder / "tids.csv", ("tid_num", "tid"), raw["tids"])
    write_csv(folder / "tags.csv", ("tag",), [row[1:] for row in raw["tags"]])
    pairs = [row[1:] for row in raw["tid_tag"]]
    write_csv(folder / "lastfm_tid_tag.csv", ("tid", "tag", "val"), pairs)
    results = []
    for source in (database, folder):
        output = tmp_path / f"{len(results)}.db"
        run(source, output, *OPTIONS, "--tag_lists", fixtures_dir / "tag-lists")
        results.append((dump(output), output.with_suffix(".csv").read_text()))
    assert results[0] == results[1]


def write_csv(path, header, rows):
    with open(path, "w", encoding="utf8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def test_the_exports_of_2019_are_read(tmp_path):
    """Their rows have pandas' index, from 0, without a name in the header."""
    for name, lines in {
        "tids": "tid\n0,TRA\n1,\n2,TRC\n",
        "tags": 'tag\n0,rock\n1,"r, b"\n',
        "tid_tag": "tid,tag,val\n0,1,2,100\n1,3,1,1\n",
    }.items():
        (tmp_path / f"lastfm_{name}.csv").write_text(lines)
    load_csv(str(tmp_path), str(tmp_path / "a.db"))
    assert dump(tmp_path / "a.db") == {
        "tids": [(1, "TRA"), (2, None), (3, "TRC")],
        "tags": [(1, "rock"), (2, "r, b")],
        "tid_tag": [(1, 1, 2, 100.0), (2, 3, 1, 1.0)],
    }


@pytest.mark.fixtures
def test_candidates_are_lists_that_can_be_read(database, popularity, tmp_path):
    folder = tmp_path / "lists"
    arguments = ("candidates", database, folder, "--tag_threshold", 30)
    run(*arguments)
    read = read_tag_lists(str(folder))
    assert read.genre == tuple(tag.tag for tag in popularity if tag.count >= 30)
    counts = {name: len(getattr(read, name)) for name in ("rap", "instrumental", "male", "female")}
    assert counts == {"rap": 82, "instrumental": 48, "male": 11, "female": 30}  # as in 2019
    assert all("female" in tag.lower() for tag in read.female)
    with pytest.raises(UsageError, match="genre.txt is there already .--overwrite replaces it"):
        run(*arguments)


@pytest.mark.fixtures
def test_classes_of_ones_own(database, popularity, tmp_path):
    folder = tmp_path / "lists"
    run("candidates", database, folder, "--classes", "live=100", "guitar", "--tag_threshold", 30)
    assert sorted(path.name for path in folder.iterdir()) == ["genre.txt", "guitar.txt", "live.txt"]
    words = [tag.tag for tag in popularity if re.search(r"\blive", tag.tag, re.IGNORECASE)]
    assert (folder / "live.txt").read_text().splitlines() == words
    with pytest.raises(UsageError, match="'=5' is not NAME=PERCENT"):
        run("candidates", database, folder, "--classes", "=5")


@pytest.mark.fixtures
def test_explain_says_which_rule_merged_what(database, fixtures_dir, capsys):
    lists = fixtures_dir / "tag-lists"
    cleaning = ("--tag_lists", lists, "--tag_threshold", 30, "--tag_pool_threshold", 2)
    run("explain", database, "rnb", "no such tag", *cleaning)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "no such tag: no clean tag: the database has no such tag"
    assert re.fullmatch(r"\S.* \(genre, number \d+\): \d+ spellings, [\d,]+ pairs", lines[0])
    assert sum("[its name]" in line for line in lines) == 1


def test_explain_on_a_small_table():
    names = {
        **{"hip-hop": 50, "Hip Hop": 20, "hiphop": 3, "r&b": 40, "rnb": 30, "R and B": 12},
        **{"hip hops": 1, "trip hop": 9, "seen live": 60, "hipop": 11, "80s": 45, "1980s": 10},
    }
    tags = [RawTag(k, name, n) for k, (name, n) in enumerate(names.items(), start=1)]
    lists = TagLists(excluded=("seen live",))
    table = clean_table(tags, lists, 30, 2)

    def told(name):
        return explain(name, table, tags, lists, 30, 2)

    assert told("Hip Hop") == [
        "hip-hop (genre, number 1): 3 spellings, 73 pairs",
        "       50  hip-hop  [its name]",
        "       20  Hip Hop  [plain]",
        "        3  hiphop  [plain]",
        "        1  hip hops  (left out: under --tag_pool_threshold 2)",
        "       11  hipop  (one letter apart, in no tag)",
    ]
    assert told("r&b")[1:4] == [
        "       40  r&b  [its name]",
        "       30  rnb  [& as n]",
        "       12  R and B  [& as and]",
    ]
    assert told("80s")[2] == "       10  1980s  [20s to 90s as 19..]"
    assert told("seen live") == ["seen live: no clean tag: 60 tracks, excluded by the lists"]
    assert told("trip hop") == ["trip hop: no clean tag: 9 tracks, under --tag_threshold 30"]
    csv_text = tag_table_csv(table, {})
    assert csv_text.splitlines()[0].endswith(",raw_tag,raw_count,pass")
    assert "rnb,30,& as n" in csv_text


@pytest.fixture
def broken_csv(tmp_path):
    write_csv(tmp_path / "tids.csv", ("tid",), [("TRA",)])
    write_csv(tmp_path / "tags.csv", ("tag_num", "tag"), [(1, "rock"), (1, "pop")])
    write_csv(tmp_path / "tid_tag.csv", ("tid", "tag"), [(1, "one")])
    return tmp_path


def test_bad_input_is_one_line_and_leaves_nothing(broken_csv, tmp_path):
    def error(*arguments):
        with pytest.raises(UsageError) as caught:
            run(*arguments)
        return str(caught.value)

    output = tmp_path / "clean.db"
    assert error(tmp_path / "nowhere", output) == f"{tmp_path}/nowhere is not there"
    assert error(broken_csv, output) == f"{broken_csv}, tags.csv: a number stands twice"
    write_csv(broken_csv / "tags.csv", ("tag_num", "tag"), [(1, "rock")])
    assert error(broken_csv, output) == (
        f"{broken_csv}/tid_tag.csv, line 2: invalid literal for int() with base 10: 'one'"
    )
    write_csv(broken_csv / "tid_tag.csv", ("track", "tag"), [(1, 1)])
    assert error(broken_csv, output) == (
        f"{broken_csv}/tid_tag.csv has no column tid (it has track, tag)"
    )
    write_csv(broken_csv / "tid_tag.csv", ("tid", "tag"), [(1, 1)])
    assert error(broken_csv, output) == (
        "no tag is left: a tag must be on the lists and have 2000 tracks, and 'rock' has the "
        "most, 1 (give a lower --tag_threshold or other --tag_lists)"
    )
    assert error(broken_csv, output, "--tag_threshold", 1, "--val_above", 0) == (
        f"no pair of track and tag in {broken_csv} has a val above 0.0"
    )
    (broken_csv / "tags.csv").unlink()
    assert error(broken_csv, output) == (
        f"{broken_csv} has no tags.csv: it must hold tids.csv, tags.csv, tid_tag.csv"
    )
    assert error(broken_csv, broken_csv / "a.csv").endswith("name the database .db")
    assert error(output, output).endswith("the clean database needs another name")
    assert "'0' is not a whole number of at least 1" in error(
        broken_csv, output, "--tag_threshold", 0
    )
    assert "'101' is not a number from 0 to 100" in error(
        "candidates", broken_csv, output, "--classes", "rap=101"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tid_tag.csv", "tids.csv"]

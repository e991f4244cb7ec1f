"""The cleaning of tags as pure functions: keys, merging, lists, and its laws."""

import random
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.tags.candidates import candidates
from beam_pipelines.tags.cleaning import (
    PASSES,
    Pass,
    clean_table,
    decade_key,
    plain_key,
    raw_to_clean,
)
from beam_pipelines.tags.lists import TagLists, default_tag_lists, read_tag_lists
from schemas.common.errors import UsageError
from tests.helpers.places import ROOT


def numbered(pairs):
    return [RawTag(number, tag, count) for number, (tag, count) in enumerate(pairs, start=1)]


def merged(table):
    return {row.tag: [raw.tag for raw in row.raw] for row in table.rows}


def clean(pairs, lists=None, threshold=10, pool_threshold=2, **options):
    return clean_table(numbered(pairs), lists or TagLists(), threshold, pool_threshold, **options)


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        ("80s", "80"),
        ("80S", "80s"),
        ("blues", "blue"),
        ("ROCKS", "rocks"),
        ("rocks", "rock"),
        ("bass", "bass"),
        ("s", "s"),
        ("Ss", "s"),
        ("r'n'b", "rnb"),
        ("Beyoncé", "beyonc"),
        (" #Hip-Hop! ", "hiphop"),
        ("80´s", "80"),
        ("рок", ""),
        ("♥", ""),
    ],
)
def test_plain_key(tag, key):
    assert plain_key(tag) == key


@pytest.mark.parametrize(
    ("tag", "key"),
    [("80s", "1980s"), ("80s pop", "1980spop"), ("best 80s", "best80s"), ("1980S", "1980s"),
     ("80S", "80s"), ("00s", "00s"), ("'80s", "1980s")],
)  # fmt: skip
def test_decade_key(tag, key):
    assert decade_key(tag, "2-9", "19") == key


def test_each_pass_merges_what_it_is_for():
    table = clean([
        ("r&b", 90), ("rock and roll", 80), ("80s", 70), ("00s", 60), ("rock", 50),
        ("RnB", 9), ("r and b", 9), ("R & B", 9), ("rock n roll", 9), ("1980s", 9), ("2000s", 9),
        ("1980S", 9), ("1900s", 9), ("2080s", 9), ("Rocks!", 9), ("ROCKS", 9), ("rock", 1),
    ])  # fmt: skip
    assert merged(table) == {
        "r&b": ["r&b", "RnB", "r and b", "R & B"],
        "rock and roll": ["rock and roll", "rock n roll"],
        "80s": ["80s", "1980s", "1980S"],
        "00s": ["00s", "2000s"],
        "rock": ["rock", "Rocks!"],
    }


def test_targets_that_share_a_raw_tag_merge_transitively():
    # "r&b" is "rnb" in one pass and "randb" in another; these two never meet directly.
    apart = [("rnb", 30), ("randb", 20)]
    assert merged(clean(apart)) == {"rnb": ["rnb"], "randb": ["randb"]}
    table = clean([*apart, ("r&b", 10), ("r & b", 2)])
    assert merged(table) == {"rnb": ["rnb", "randb", "r&b", "r & b"]}


def test_an_empty_key_takes_nothing():
    table = clean([("♥", 50), ("рок", 40), ("!!!", 5)])
    assert merged(table) == {"♥": ["♥"], "рок": ["рок"]}


def test_thresholds_are_inclusive_and_ties_go_by_number():
    table = clean([("b", 10), ("a", 10), ("c", 9), ("B!", 2), ("A!", 1)])
    assert merged(table) == {"b": ["b", "B!"], "a": ["a"]}
    assert [row.number for row in table.rows] == [1, 2]


def test_excluded_spellings_are_neither_targets_nor_merged():
    lists = TagLists(excluded=("1980s", "seen live"))
    table = clean([("80s", 50), ("seen live", 40), ("1980s", 30), ("1980S", 5)], lists)
    assert merged(table) == {"80s": ["80s", "1980S"]}


def test_a_genre_list_admits_its_keys_alone():
    pairs = [("Hip Hop", 50), ("hip-hop", 40), ("seen live", 30), ("日本", 20), ("jazz", 9)]
    table = clean(pairs, TagLists(genre=("hip-hop", "日本", "jazz")))
    assert merged(table) == {"hip hop": ["Hip Hop", "hip-hop"], "日本": ["日本"]}


def test_extra_targets_need_neither_list_nor_count():
    table = clean([("rock", 50), ("zeuhl", 1)], TagLists(genre=("rock",)), extra_targets=["zeuhl"])
    assert merged(table) == {"rock": ["rock"], "zeuhl": ["zeuhl"]}


def test_ones_own_rewriting():
    def vowelless(tag):
        return "".join(c for c in tag if c not in "aeiou")

    own = Pass("no vowels", lambda tag: True, vowelless)
    pairs = [("techno", 50), ("tchn", 5), ("Techno", 5)]
    assert merged(clean(pairs, passes=[own])) == {"techno": ["techno", "tchn"]}
    assert merged(clean(pairs, passes=[*PASSES, own])) == {"techno": ["techno", "tchn", "Techno"]}


def test_vocal_classes_follow_in_their_order_and_win():
    lists = TagLists(
        genre=("rock", "rap metal"),
        rap=("gangsta rap", "rap metal"),
        male=("male vocalists",),
        female=("gangsta rap", "diva"),
    )
    pairs = [
        ("rock", 50), ("rap metal", 40), ("Rap Metal", 20), ("diva", 12), ("male vocalists", 11),
        ("rap", 10), ("gangsta rap", 3), ("Diva", 3), ("female", 2),
    ]  # fmt: skip
    table = clean(pairs, lists)
    assert merged(table) == {
        "rock": ["rock"],
        "rap metal": ["Rap Metal"],
        "rap": ["rap metal", "rap", "gangsta rap"],
        "male": ["male vocalists"],
        "female": ["diva", "female"],
    }
    assert [row.kind for row in table.rows] == ["genre", "genre", "rap", "male", "female"]
    assert table.ignored == {
        "in a genre and in a vocal class: the vocal class takes it": ("rap metal",),
        "listed in two vocal classes: the first takes it": ("gangsta rap",),
    }


def test_a_vocal_class_needs_one_frequent_spelling():
    lists = TagLists(female=("female vocalists", "female vocals"))
    pairs = [("rock", 50), ("female vocalists", 9), ("female vocals", 9)]
    assert merged(clean(pairs, lists)) == {"rock": ["rock"]}
    assert list(merged(clean(pairs, lists, threshold=9))) == ["rock", "female"]


def test_combine_and_drop():
    lists = TagLists(
        combine=(("funky", "Funk"), ("rock", "no such tag")), drop=("80", "2000", "nothing")
    )
    pairs = [("funky", 50), ("80s", 40), ("funk", 30), ("2000", 20), ("rock", 12), ("80", 5)]
    table = clean(pairs, lists)
    assert merged(table) == {"funky": ["funky", "funk"], "80s": ["80s"], "rock": ["rock"]}
    assert table.ignored == {
        "to be combined, but not found": ("no such tag",),
        "to be dropped, but not found": ("nothing",),
    }


def test_names_that_differ_in_case_only_are_one_row():
    table = clean([("ROCKS", 50), ("Rocks", 40), ("rock", 30)])  # keys rocks, rock, rock
    assert merged(table) == {"rocks": ["ROCKS", "Rocks", "rock"]}
    lists = TagLists(female=("female vocals",))
    table = clean([("Female", 50), ("rock", 40), ("female vocals", 30)], lists)
    assert [(row.tag, row.kind) for row in table.rows] == [("rock", "genre"), ("female", "female")]


def test_no_tag_left_names_the_highest_count_and_the_threshold():
    with pytest.raises(UsageError, match="have 100 tracks, and 'rock' has the most, 99 "):
        clean([("pop", 3), ("rock", 99)], threshold=100)
    with pytest.raises(UsageError, match="there is no tag"):
        clean([])


words = st.sampled_from(
    ["rock", "Rocks", "ROCKS", "r&b", "r and b", "rnb", "R n B", "80s", "1980s", "80's", "00s",
     "2000s", "blues", "blue", "drum & bass", "drum and bass", "drum n bass", "♥", "рок", "a s"]
) | st.text(st.sampled_from("aAsS &0189-é"), max_size=6)  # fmt: skip
databases = st.lists(st.tuples(words, st.integers(1, 40)), max_size=25, unique_by=lambda t: t[0])


@settings(max_examples=150, deadline=None)
@given(databases, st.randoms(use_true_random=False))
def test_laws_of_the_table(pairs, rnd):
    popularity = numbered([*pairs, ("zzz", 50)])
    table = clean_table(popularity, TagLists(), 10, 3)
    # each raw tag goes to one row at most, and no row loses its own name
    raw = [tag for row in table.rows for tag in row.raw]
    assert len(raw) == len(set(raw)) == len(raw_to_clean(table))
    assert all(row.name in {tag.tag for tag in row.raw} for row in table.rows)
    # every frequent tag is somewhere, and nothing rare is
    assert {tag for tag in popularity if tag.count >= 10} <= set(raw)
    assert all(tag.count >= 3 for tag in raw)
    # the clean names differ, and the rows stand by the popularity of their names
    assert len({row.tag for row in table.rows}) == len(table.rows)
    firsts = [max(tag.count for tag in row.raw if tag.tag == row.name) for row in table.rows]
    assert firsts == sorted(firsts, reverse=True)
    # the order of the input does not matter
    shuffled = list(popularity)
    rnd.shuffle(shuffled)
    assert clean_table(shuffled, TagLists(), 10, 3) == table


@settings(max_examples=100, deadline=None)
@given(databases)
def test_tags_that_meet_under_a_pass_are_one(pairs):
    popularity = numbered([*pairs, ("zzz", 50)])
    clean_of = raw_to_clean(clean_table(popularity, TagLists(), 10, 3))
    for look in PASSES:
        for target in (tag for tag in popularity if tag.count >= 10 and look.selects(tag.tag)):
            key = look.key(target.tag)
            same = {t.number for t in popularity if t.count >= 3 and key and look.key(t.tag) == key}
            assert {clean_of[number] for number in same} <= {clean_of[target.number]}


def test_cleaning_is_idempotent_on_the_names_it_gives():
    rnd = random.Random(0)
    pairs = [(f"{a}{b}{c}", rnd.randint(1, 60)) for a in ("rock", "R&B", "80s", "Jazz")
             for b in ("", " ", "-") for c in ("", "s", "!")]  # fmt: skip
    table = clean(pairs)
    again = clean([(row.tag, 100 - row.number) for row in table.rows])
    assert [row.tag for row in again.rows] == [row.tag for row in table.rows]


def test_tag_lists_of_a_folder(tmp_path):
    (tmp_path / "genre.txt").write_bytes(
        "\ufeffrock\r\n hip  hop \n-Rock\n-jazz\njazz\n\n".encode()
    )
    for name in ("rap", "instrumental", "male", "female"):
        (tmp_path / f"{name}.txt").write_text(f"{name} music\n-{name}x\n")
    assert read_tag_lists(str(tmp_path)) == TagLists(
        genre=("rock", " hip  hop "),
        rap=("rap music",),
        instrumental=("instrumental music",),
        male=("male music",),
        female=("female music",),
        excluded=("Rock", "jazz"),
    )
    (tmp_path / "combine.csv").write_text('rnb,"rhythm, blues"\nfunk,funky\n')
    (tmp_path / "drop.txt").write_text("80\n")
    lists = read_tag_lists(str(tmp_path))
    assert lists.combine == (("rnb", "rhythm, blues"), ("funk", "funky"))
    assert lists.drop == ("80",)
    (tmp_path / "genre.txt").write_text("-jazz\n")
    assert read_tag_lists(str(tmp_path)).genre is None


def test_tag_lists_of_2019(tmp_path):
    for name in ("genre", "rap", "instrumental", "male", "female"):
        (tmp_path / f"{name}_list_filtered.txt").write_text(f"{name}\n-not {name}\n")
    lists = read_tag_lists(str(tmp_path))
    assert (lists.genre, lists.excluded, lists.rap) == (None, ("not genre",), ("rap",))
    assert lists.combine == (("rhythm and blues", "rnb"), ("funky", "funk"))
    assert lists.drop == ("2000", "00", "90", "80", "70", "60")


def test_a_missing_list_is_named(tmp_path):
    (tmp_path / "genre.txt").write_text("rock\n")
    with pytest.raises(UsageError, match="--tag_lists: .*rap.txt cannot be read"):
        read_tag_lists(str(tmp_path))
    (tmp_path / "rap.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="rap.txt is not UTF-8"):
        read_tag_lists(str(tmp_path))


TAGS_OF_2019 = """rock|female|pop|alternative|male|indie|electronic|00s|rnb|dance|hip-hop
instrumental|chillout|alternative rock|jazz|metal|classic rock|indie rock|rap|soul|mellow|90s
electronica|80s|folk|chill|funk|blues|punk|hard rock|pop rock|70s|ambient|experimental|60s
easy listening|rock n roll|country|electro|punk rock|indie pop|heavy metal|classic
progressive rock|house|ballad|psychedelic|synthpop|trance|trip-hop""".replace("\n", "|").split("|")


def test_the_projects_own_lists_hold_the_50_tags_of_2019():
    spellings = {"rap": "rap", "female": "female vocalists", "male": "male vocalists"}
    pairs = [(spellings.get(tag, tag), 5000 - n) for n, tag in enumerate(TAGS_OF_2019)]
    noise = [("seen live", 9000), ("favorites", 8000), ("british", 7000), ("2000", 6000)]
    table = clean_table(numbered([*pairs, *noise]), default_tag_lists())
    assert {row.tag for row in table.rows} == set(TAGS_OF_2019)


def test_the_projects_own_lists_are_in_order():
    lists = default_tag_lists()
    assert len(set(map(plain_key, lists.genre))) > 500
    for name in ("genre", "rap", "instrumental", "male", "female", "excluded"):
        names = getattr(lists, name)
        assert len(names) == len(set(names)) > 10, name
        assert not [tag for tag in names if tag != tag.strip()]
    vocal = {*lists.rap, *lists.instrumental, *lists.male, *lists.female}
    assert not vocal & set(lists.genre)


def test_candidates():
    popularity = numbered([
        ("rock", 100), ("-rap", 90), ("Rap", 60), ("Female voices", 50), ("male", 40),
        ("instrumentals", 30), ("MALE choir", 20), ("rapture", 2), ("female", 1), ("x", 1),
    ])  # fmt: skip
    classes = {"rap": 100, "instrumental": 90, "male": 50, "female": 98}
    assert candidates(popularity, 50, classes) == {
        "genre": ["rock", "Rap", "Female voices"],
        "rap": ["Rap", "rapture"],
        "instrumental": ["instrumentals"],
        "male": ["male"],
        "female": ["Female voices"],
    }
    assert candidates([], 1) == dict.fromkeys(
        ["genre", "rap", "instrumental", "male", "female"], []
    )


def test_the_example_of_the_page_prints_what_it_says(capsys):
    page = (ROOT / "docs" / "tags.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})
    said = re.search(r"^prints `(.*)`\.$", page, re.MULTILINE)
    assert capsys.readouterr().out == said[1] + "\n"

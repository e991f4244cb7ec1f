"""The report: its figures, its escaping, odd data sets, and how a browser shows it."""

import collections
import html.parser
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_pipelines.report import figures
from beam_pipelines.report import html as report_html
from beam_pipelines.report import page as report_page
from beam_pipelines.report.page import render_report
from schemas import tables
from schemas.manifest import PARTS, read_dataset
from schemas.rejects import Reason, Stage
from tests.helpers import browser

STAGES = [stage.value for stage in Stage]
OPTIONS = {"split": "artist", "num_shards": 4, "top_tags": None, "keep_untagged": True}
OPTIONS |= {"split_percent": [60.0, 20.0, 20.0], "max_silence": 1.5}
# part, artist, duration, silence share and longest, year, tags
ROWS = [
    ("train", "AR1", 30.0, 0.0, 0.0, 1999, ["rock", "pop"]),
    ("train", "AR1", 30.5, 0.0, 0.0, 1999, ["rock"]),
    ("train", "AR2", 31.0, 5.0, 1.25, 0, ["rock", "jazz", "pop"]),
    ("train", "", 29.5, 50.0, 7.5, 2003, ["jazz"]),
    ("test", "AR3", 45.0, 5.5, 0.3, 2010, ["rock"]),
    ("test", "AR1", 30.0, 0.0, 0.0, 0, []),
]


class Page(html.parser.HTMLParser):
    """What a page holds: its tables as rows of text, by section; it must be well formed."""

    VOID = ("meta", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.seen, self.section = [], collections.Counter(), ""
        self.tables = collections.defaultdict(list)
        self.texts = collections.defaultdict(str)
        self.addresses, self.titles = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen[tag] += 1
        attrs = dict(attrs)
        self.addresses += [value for key, value in attrs.items() if key in ("href", "src")]
        self.titles += [value for key, value in attrs.items() if key == "title"]
        if tag not in self.VOID:
            self.open.append(tag)
        self.section = attrs["id"] if tag == "section" else self.section
        if tag == "table":
            self.tables[self.section].append([])
        elif tag == "tr":
            self.tables[self.section][-1].append([])
        elif tag in ("th", "td"):
            self.tables[self.section][-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if "style" in self.open:
            return
        if "td" in self.open or "th" in self.open:
            self.tables[self.section][-1][-1][-1] += text
        # elements stand apart on the page, so their words do here
        self.texts[self.section] += text + " "

    def text(self, section: str) -> str:
        return " ".join(self.texts[section].split())


def make_tracks(rows) -> pa.Table:
    names = ("split", "artist_id", "duration", "silence_percentage", "max_silence_length")
    names += ("year", "tags")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(len(rows), field.type)
        for field in tables.TRACKS
    ]
    return pa.table(arrays, schema=tables.TRACKS)


HEARINGS = {"decoders": {"ffmpeg": 1, "libsndfile": 5}, "cut_short": 2, "one_channel": 0}


def make_data(rows, planned=None, losses=None, songs=9) -> dict:
    """A manifest's data; `losses` maps a stage to its reasons by kind."""
    written = collections.Counter(tag for row in rows for tag in row[-1])
    planned = written if planned is None else planned
    files, left, losses = 8, songs, losses or {}
    stages = []
    for stage in STAGES:
        reasons = {"file": {}, "song": {}} | losses.get(stage, {})
        files -= sum(reasons["file"].values())
        left -= sum(reasons["song"].values())
        stages.append({"stage": stage, "files": files, "songs": left, "reasons": reasons})
    parts = {}
    for i, part in enumerate(PARTS):
        n = sum(row[0] == part for row in rows)
        shards = [{"name": f"{part}/{k}", "records": n, "bytes": 1_500_000} for k in range(2 - i)]
        parts[part] = {"records": n, "shards": shards if n else []}
    spec = {"sample_rate": 16000, "n_mels": 96, "hop_length": 512, "compression": "db"}
    return {
        "plan_id": "0123456789abcdef",
        "audio_format": "waveform",
        "audio_spec": spec,
        "layout": {"dtype": "int16", "shape": ["samples"]},
        "vocabulary": [
            {"tag": tag, "planned": n, "written": written[tag]} for tag, n in planned.items()
        ],
        "split": {"by": "artist", "percent": [60.0, 20.0, 20.0]},
        "parts": parts,
        "listed": {"files": 8, "songs": songs},
        "ignored": {},
        "spellings": {},
        "hearings": HEARINGS,
        "stages": stages,
        "fingerprints": {"audio": {"files": 8, "sha256": "ab12"}, "scan": None},
        "options": OPTIONS,
    }


@pytest.fixture(scope="module")
def page() -> Page:
    losses = {
        "join": {
            "file": {"ambiguous_7digitalid": 1},
            "song": {"ambiguous_7digitalid": 1, "no_audio": 1},
        },
        "audio": {"file": {"silent": 1}, "song": {"silent": 1}},
    }
    planned = {"jazz": 2, "pop": 4, "folk": 1, "rock": 4}
    return Page(
        render_report(
            make_data(ROWS, planned, losses) | {"ignored": {".jpg": 3}}, make_tracks(ROWS)
        )
    )


def test_what_the_inputs_call_a_tag():
    spellings = {"rock": {"rock": 9, "Rock": 2}, "hip hop": {"Hip-Hop": 1000, "<hip hop>": 40}}
    data = make_data(ROWS, {"rock": 4}) | {"spellings": spellings}
    page = Page(render_report(data, make_tracks(ROWS)))
    assert page.tables["spellings"] == [
        [["Tag", "Written as"]]
        + [["hip hop", "Hip-Hop (1,000), <hip hop> (40)"], ["rock", "rock (9), Rock (2)"]]
    ]


def test_stages_read_as_an_account(page):
    assert page.tables["left"] == [
        [
            ["Stage", "filessongs", "files", "songs"],
            ["Listed", "", "8", "9"],
            ["With a good name", "", "8", "9"],
            ["7digital id on several files or songs ambiguous_7digitalid", "", "−1", "−1"],
            ["song whose id no file has no_audio", "", "", "−1"],
            ["One file and one song an id", "", "7", "7"],
            ["Not a mismatch", "", "7", "7"],
            ["With a tag", "", "7", "7"],
            ["In the split", "", "7", "7"],
            ["no sound at all silent", "", "−1", "−1"],
            ["Decoded, with sound", "", "6", "6"],
            ["Past the audio filters", "", "6", "6"],
            ["One copy a song: written", "", "6", "6"],
        ]
    ]
    text = page.text("left")
    assert "Written: 6 of 8 audio files (75.0 %) and of 9 songs in the summary (66.7 %)." in text
    assert "Of other files in the folder were ignored: 3 .jpg." in text


def test_parts(page):
    assert page.tables["parts"] == [
        [
            ["Part", "tracks", "of all", "artists", "shards", "size"],
            ["train", "4", "66.7\u00a0%", "2", "2", "3.0 MB"],
            ["validation", "0", "0.0\u00a0%", "0", "0", "0.0 kB"],
            ["test", "2", "33.3\u00a0%", "2", "0", "0.0 kB"],
            ["all", "6", "100.0\u00a0%", "3", "2", "3.0 MB"],
        ]
    ]
    assert "asked for 60 % train, 20 % validation, 20 % test of the artists" in page.text("parts")
    assert "1 artist has tracks in more than one part." in page.text("parts")


def test_tags_by_part_most_written_first(page):
    assert page.tables["tags"] == [
        [
            ["Tag", "writtenplanned", "planned", "written", "train", "validation", "test"],
            ["rock", "", "4", "4", "3", "0", "1"],
            ["pop", "", "4", "2", "2", "0", "0"],
            ["jazz", "", "2", "2", "2", "0", "0"],
            ["folk", "", "1", "0", "0", "0", "0"],
        ]
    ]
    text = page.text("tags")
    assert text.startswith("Tags 8 pairs of a track and a tag are written.")
    assert "Tags without a track: train 1, validation 4, test 3." in text


def test_charts(page):
    assert [rows[0] for rows in page.tables["tracks"]] == [
        ["Tags per track", "tracks"],
        ["Duration in s", "tracks"],
        ["Silence between sounds, share in %", "tracks"],
        ["Silence between sounds, longest in s", "tracks"],
        ["Year", "tracks"],
    ]
    per_track, duration, share, longest, year = (rows[1:] for rows in page.tables["tracks"])
    assert per_track == [["0", "1"], ["1", "3"], ["2", "1"], ["3", "1"]]
    assert duration == [["29 to 30", "1"], ["30 to 31", "3"], ["31 to 32", "1"], ["45 to 46", "1"]]
    assert share == [["4 to 6", "2"], ["50 to 52", "1"]]
    assert longest == [["0.2 to 0.4", "1"], ["1.2 to 1.4", "1"], ["7.4 to 7.6", "1"]]
    assert year == [["1999", "2"], ["2003", "1"], ["2010", "1"]]
    text = page.text("tracks")
    assert "Duration in s median 30 mean 32.67 5 % to 95 % 29.5 to 45 range 29.5 to 45" in text
    assert "3 tracks without any silence between sounds." in text
    assert "2 tracks of unknown year (0 in the summary)." in text
    assert "Not drawn" not in text
    assert {"1999: 2", "2000: 0", "30 to 31: 3"} <= set(page.titles)


def test_summary(page):
    text = page.text("")
    for words in (
        *("Data set of 6 tracks with 4 tags", "waveform: mono, 16,000 Hz, 16 bits"),
        *("Tracks 6 of 8 files", "Tags 4 3 on a written track", "Artists 3 1 track without one"),
        *("Audio 3.3 min all tracks together", "Shards 2 3.0 MB"),
    ):
        assert words in text


def test_options_and_fingerprints(page):
    options, stored, fingerprints = page.tables["options"]
    assert options[1:] == [
        ["--split", "artist"],
        ["--num_shards", "4"],
        ["--top_tags", "none"],
        ["--keep_untagged", "yes"],
        ["--split_percent", "60, 20, 20"],
        ["--max_silence", "1.5"],
    ]
    assert ["layout: shape", "samples"] in stored and ["front end: n_mels", "96"] in stored
    assert fingerprints[1:] == [["audio: files", "8"], ["audio: sha256", "ab12"], ["scan", "none"]]
    assert page.text("options").endswith("Plan 0123456789abcdef")


def test_nothing_is_fetched_and_nothing_runs(page):
    assert page.seen["script"] == page.seen["img"] == page.seen["iframe"] == 0
    assert set(page.addresses) == {"data:,", *(f"#{key}" for key in page.tables)}


def test_everything_is_escaped():
    evil = """<script>alert("1")</script>&amp;'</style>"""
    rows = [("train", evil, 30.0, 0.0, 0.0, 0, [evil])]
    data = make_data(rows) | {
        "plan_id": evil,
        "options": {evil: evil},
        "fingerprints": {evil: {"x": [evil]}},
        "layout": {"dtype": evil},
    }
    text = render_report(data, make_tracks(rows))
    page = Page(text)
    assert page.seen["script"] == 0 and page.seen["style"] == 1
    assert page.tables["tags"][0][1] == [evil, "", "1", "1", "1", "0", "0"]
    options, stored, fingerprints = page.tables["options"]
    assert options[1] == [f"--{evil}", evil]
    assert stored[-1] == ["layout: dtype", evil]
    assert fingerprints[1] == [f"{evil}: x", evil]
    assert "<script" not in text


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("test", "", 0.25, 0.0, 0.0, 0, []), "1 track of unknown year (0 in the summary)."),
        (("train", None, 30.0, 0.0, 0.0, None, None), "1 track without any silence"),
        (("validation", "AR1", 4000.0, 99.0, 600.0, 1, ["a"]), "median 4000 mean 4000"),
        (("train", "AR1", 30.0, 100.0, 0.04, 20000, ["a"] * 60), "range 20000 to 20000"),
    ],
)
def test_one_odd_track(row, words):
    data = make_data([(*row[:-1], row[-1] or [])])
    page = Page(render_report(data, make_tracks([row])))
    assert words in page.text("tracks")
    assert all(rows[1][1] == "1" for rows in page.tables["tracks"])


def test_no_track_and_no_tag():
    page = Page(render_report(make_data([]), make_tracks([])))
    assert page.text("tracks") == "Tracks No track was written."
    assert page.text("tags") == "Tags The vocabulary is empty."
    assert page.tables["parts"][0][-1] == ["all", "0", "0.0\u00a0%", "0", "0", "0.0 kB"]
    assert "No artist has tracks in more than one part." in page.text("parts")
    planned = Page(render_report(make_data([], {"rock": 2}), make_tracks([])))
    assert planned.tables["tags"][0][1] == ["rock", "", "2", "0", "0", "0", "0"]


def test_frames_and_a_split_file_are_named():
    data = make_data(ROWS) | {"audio_format": "log-mel-spectrogram"}
    data["split"] = {"by": "file", "percent": [80.0, 10.0, 10.0]}
    page = Page(render_report(data, make_tracks(ROWS)))
    assert "log-mel-spectrogram: 96 mel bands, 16,000 Hz, hop 512, db" in page.text("")
    assert "Split by the user's file. 1 artist" in page.text("parts")


def test_two_hundred_tags_are_shown_and_the_rest_counted():
    planned = {f"tag {i:03}": 300 - i for i in range(250)}
    rows = [("train", "AR1", 30.0, 0.0, 0.0, 0, sorted(planned))]
    page = Page(render_report(make_data(rows, planned), make_tracks(rows)))
    head, *shown, rest = page.tables["tags"][0]
    assert [row[0] for row in shown] == [f"tag {i:03}" for i in range(200)]
    hidden = sum(300 - i for i in range(200, 250))
    assert rest == ["50 rarer tags", "", f"{hidden:,}", "50", "", "", ""]


def test_every_reason_and_stage_has_words():
    assert set(report_page.REASON_WORDS) == set(Reason)
    losses = {reason.stage.value: {"file": {reason.value: 1}} for reason in Reason}
    text = Page(render_report(make_data(ROWS, None, losses), make_tracks(ROWS))).text("left")
    assert all(next(iter(lost["file"])) in text for lost in losses.values())


def test_same_data_same_bytes():
    data = make_data(ROWS)
    first = render_report(data, make_tracks(ROWS))
    chunks = pa.concat_tables([make_tracks(ROWS[:1]), make_tracks([]), make_tracks(ROWS[1:])])
    assert chunks["tags"].num_chunks > 1
    assert render_report(json.loads(json.dumps(data)), chunks) == first
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    assert render_report(data, make_tracks(shuffled)) == first


def test_the_page_does_not_grow_with_the_tracks():
    rng = np.random.default_rng(0)
    few = [
        (
            PARTS[rng.choice(3, p=[0.8, 0.1, 0.1])],
            f"AR{rng.integers(300)}",
            float(rng.normal(30, 3)),
            *map(float, rng.exponential(size=2)),
            int(rng.choice([0, 1970, 1985, 2005])),
            [f"tag {i}" for i in rng.integers(0, 300, 5)],
        )
        for _ in range(1000)
    ]
    one = make_tracks(few)
    many = pa.concat_tables([one] * 300)
    data = make_data(few)
    assert len(render_report(data, many)) < 1.05 * len(render_report(data, one)) < 200_000


def test_a_track_of_ten_hours_does_not_press_the_others_together():
    rows = [("train", "AR1", 30.0, 0.0, 0.0, 0, [])] * 998
    rows += [("test", "AR2", seconds, 0.0, 0.0, 0, []) for seconds in (37.0, 36_000.0)]
    page = Page(render_report(make_data(rows), make_tracks(rows)))
    assert "Not drawn: 2 tracks from 37 on." in page.text("tracks")
    assert page.tables["tracks"][1] == [["Duration in s", "tracks"], ["30 to 31", "998"]]
    assert "Audio 18.3 h" in page.text("")


def test_a_few_outer_values_are_drawn_where_there_is_room():
    rows = [("train", "AR1", 30.0, 0.0, 0.0, 0, ["a"])] * 999
    rows.append(("train", "AR1", 30.0, 0.0, 0.0, 0, [f"tag {i}" for i in range(20)]))
    page = Page(render_report(make_data(rows), make_tracks(rows)))
    assert page.tables["tracks"][0][1:] == [["1", "999"], ["20", "1"]]
    assert "Not drawn" not in page.text("tracks")


def test_attributes_are_escaped():
    found = report_html.tag("i", "<b>", title='"><b>', class_="one", aria_hidden="true")
    assert found == '<i title="&quot;&gt;&lt;b&gt;" class="one" aria-hidden="true">&lt;b&gt;</i>'


VALUES = st.lists(st.floats(0, 1e6, allow_subnormal=False) | st.sampled_from([0.3, 29.7, 30.0]))


@example([0.0, 1.9], 21, 0.1)
@given(VALUES, st.integers(12, 100), st.sampled_from([0.1, 1.0]))
def test_a_histogram_counts_each_value_once(values, most, least):
    values = np.array(values)
    found = figures.histogram(values, most, least)
    if not len(values):
        assert found is None
        return
    edges = found.edges
    assert 12 <= len(found.counts) == len(edges) - 1 <= most
    assert found.below + found.above + found.counts.sum() == len(values)
    assert found.below == (values < edges[0]).sum() <= 0.01 * len(values)
    assert found.above == (values >= edges[-1]).sum() <= 0.01 * len(values)
    for low, high, count in zip(edges[:-1], edges[1:], found.counts, strict=True):
        assert count == ((values >= low) & (values < high)).sum()
    # round edges are the floats that their decimals are read as
    assert all(edge == float(f"{edge:.12g}") for edge in edges.tolist())


@given(st.floats(0, 1e9), st.integers(3, 100))
def test_a_step_is_the_smallest_nice_one(span, most):
    mantissa, exponent = figures.nice_step(span, most, 0.1)
    step = figures.multiple(1, mantissa, exponent)
    assert span <= most * step
    smaller = {1: (5, exponent - 1), 2: (1, exponent), 5: (2, exponent)}[mantissa]
    assert step == 0.1 or span > most * figures.multiple(1, *smaller)


# Opens the report in frames of three widths and measures what was laid out.
MEASURE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<title>m</title><body onload="measure()">
<iframe width="340" height="900" src="/report.html"></iframe>
<iframe width="800" height="900" src="/report.html"></iframe>
<iframe width="1300" height="900" src="/report.html"></iframe>
<pre id="out"></pre><script>
function luminance(colour) {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(
    c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}
function behind(page, element) {
  for (; element; element = element.parentElement) {
    const colour = page.getComputedStyle(element).backgroundColor;
    if (!colour.startsWith('rgba(0, 0, 0, 0')) return colour;
  }
}
function measure() {
  const found = [...document.querySelectorAll('iframe')].map(frame => {
    const page = frame.contentWindow, doc = frame.contentDocument;
    doc.querySelectorAll('details').forEach(d => d.open = true);
    const style = e => page.getComputedStyle(e);
    const heights = [...doc.querySelectorAll('.columns')].map(
      c => [...c.querySelectorAll('i')].map(
        i => [i.title, i.firstChild ? i.firstChild.getBoundingClientRect().height : 0]));
    const texts = [...doc.querySelectorAll('main *, header *, footer *')].filter(
      e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.offsetHeight);
    return {
      width: frame.clientWidth, scroll: doc.documentElement.scrollWidth, heights,
      contrast: Math.min(...texts.map(e => contrast(style(e).color, behind(page, e)))),
      lengths: [...doc.querySelectorAll('.bar')].filter(b => b.offsetWidth).map(
        b => [...b.children].map(i => [i.className, i.offsetWidth / b.offsetWidth])),
      pale: Math.min(...[...doc.querySelectorAll('.pale + .one')].map(
        i => contrast(style(i).backgroundColor, style(i.previousSibling).backgroundColor))),
      bars: Math.min(...[...doc.querySelectorAll('.columns b, .stack i')].map(
        e => contrast(style(e).backgroundColor, behind(page, e.parentElement)))),
      smallest: Math.min(...texts.map(e => parseFloat(style(e).fontSize))),
      figures: [...doc.querySelectorAll('details table')].every(t => t.offsetHeight > 40),
      fetched: page.performance.getEntriesByType('resource').length,
      paper: style(doc.body).backgroundColor};
  });
  document.getElementById('out').textContent = JSON.stringify(found);
}
</script>"""


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "paper"), [((), "252"), ((browser.DARK,), "20")])
def test_the_layout_at_three_widths(chromium, scheme, paper):
    text = render_report(make_data(ROWS, {"rock": 4, "pop": 3, "jazz": 2}), make_tracks(ROWS))
    seen = browser.look(chromium, {"/measure.html": MEASURE, "/report.html": text}, *scheme)
    assert seen.console == []
    assert seen.requests == ["/measure.html", *["/report.html"] * 3]
    found = json.loads(seen.dom.split('<pre id="out">')[1].split("</pre>")[0])
    assert [frame["width"] for frame in found] == [340, 800, 1300]
    for frame in found:
        assert frame["scroll"] <= frame["width"]
        assert frame["contrast"] >= 4.5 and frame["bars"] >= 3 and frame["pale"] >= 3
        assert frame["figures"] and frame["fetched"] == 0 and frame["smallest"] >= 12
        assert frame["paper"].startswith(f"rgb({paper},")
        for chart in frame["heights"]:
            drawn = [(int(title.split(": ")[1]), height) for title, height in chart]
            tallest = max(drawn)
            for n, height in drawn:
                assert height == pytest.approx(n * tallest[1] / tallest[0], abs=0.5)
        assert len(frame["heights"]) == 5
    assert found[0]["lengths"] == []  # where it is narrow, figures go before bars
    lengths = [length for bar in found[2]["lengths"] for length in bar]
    expected = [pair for _ in range(9) for pair in (("one", 8 / 9), ("two", 1))]
    for planned, written in ((4, 4), (3, 2), (2, 2)):
        expected += [("pale", planned / 4), ("one", written / 4)]
    assert [name for name, _ in lengths] == [name for name, _ in expected]
    np.testing.assert_allclose([x for _, x in lengths], [x for _, x in expected], atol=0.01)


@pytest.mark.browser
def test_the_browser_test_would_see_a_fetch_and_an_error(chromium):
    bad = '<p><img src="/a.png"><script>undefined_name()</script>'
    seen = browser.look(chromium, {"/bad.html": f"<!doctype html><title>x</title>{bad}"})
    assert any("undefined_name is not defined" in line for line in seen.console)
    assert "/a.png" in seen.requests
    text = render_report(make_data(ROWS), make_tracks(ROWS)).replace("</h1>", f"</h1>{bad}")
    seen = browser.look(chromium, {"/report.html": text})
    assert seen.requests == ["/report.html"]
    assert len([line for line in seen.console if "Content Security Policy" in line]) == 2


@pytest.mark.browser
@pytest.mark.fixtures
def test_the_report_of_a_build_in_a_browser(chromium, mini, tmp_path):
    tracks = pq.read_table(mini / "tracks.parquet")
    data = read_dataset(str(mini)).data
    text = (mini / "report.html").read_text()
    assert render_report(data, tracks) == text
    shot = tmp_path / "report.png"
    pages = {"/report.html": text}
    seen = browser.look(chromium, pages, screenshot=shot, size=(1200, 4000))
    assert (seen.console, seen.requests) == ([], ["/report.html"])
    page, sent = Page(seen.dom.removeprefix("<!DOCTYPE html>\n")), Page(text)
    assert {key: rows for key, rows in page.tables.items() if rows} == dict(sent.tables)
    assert page.tables["left"][0][-1] == ["One copy a song: written", "", "26", "26"]
    written = collections.Counter(tag for tags in tracks["tags"].to_pylist() for tag in tags)
    assert {row[0]: row[3] for row in page.tables["tags"][0][1:]} == {
        entry["tag"]: str(written[entry["tag"]]) for entry in data["vocabulary"]
    }
    years = collections.Counter(year for year in tracks["year"].to_pylist() if year)
    assert page.tables["tracks"][4][1:] == [[str(y), str(n)] for y, n in sorted(years.items())]
    # the picture: paper, and the blue of bars, where charts and tables are
    from PIL import Image

    with Image.open(shot) as image:
        assert image.size == (1200, 4000)
        colours = dict((colour[:3], n) for n, colour in image.getcolors(1 << 20))
    assert colours[(252, 252, 251)] > 0.8 * 1200 * 4000
    assert colours[(42, 107, 179)] > 50_000

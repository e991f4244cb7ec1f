"""``report.html``: one self-contained page about a data set, to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from beam_pipelines.report import figures
from beam_pipelines.report.accounts import MEANING
from beam_pipelines.report.html import (
    STYLE,
    Safe,
    bars,
    cell,
    columns,
    facts,
    join,
    number,
    percent,
    plain,
    row,
    table,
    tag,
)
from beam_pipelines.scanning.hearings import format_hearings
from schemas.audio_files import ignored_line
from schemas.audio_spec import WAVEFORM
from schemas.manifest import PARTS
from schemas.rejects import FILE, SONG, Reason, Stage

MOST_TAGS = 200
_COLOURS = ("one", "two", "three")
_BARS = (("pale", "planned"), ("one", "written"))
REASON_WORDS = {
    Reason.BAD_NAME: "audio file with another name",
    Reason.NO_7DIGITALID: "song without a 7digital id",
    Reason.AMBIGUOUS_7DIGITALID: "7digital id on several files or songs",
    Reason.AMBIGUOUS_TRACK_ID: "track id on several songs",
    Reason.NOT_IN_SUMMARY: "file whose id no song has",
    Reason.NO_AUDIO: "song whose id no file has",
    Reason.MISMATCH: "named in the list of mismatches",
    Reason.NO_TAG: "no tag of the vocabulary",
    Reason.NO_SPLIT: "not named in the split file",
    Reason.EMPTY_FILE: "file of 0 bytes",
    Reason.UNREADABLE: "file that could not be read",
    Reason.CHANGED: "file that had changed since it was listed",
    Reason.UNDECODABLE: "file that could not be decoded",
    Reason.CRASHED_DECODER: "file that took the decoder's process down",
    Reason.MISLABELLED: "audio of another format than its name says",
    Reason.NO_SAMPLES: "file that decodes to nothing",
    Reason.TOO_LONG: "longer than what is wanted",
    Reason.SILENT: "no sound at all",
    Reason.NOT_IN_DATASET: "not in the data set that got other tags",
    Reason.TOO_SMALL: "file too small",
    Reason.EFFECTIVE_LENGTH: "too short from first to last sound",
    Reason.TOTAL_SILENCE: "too much silence in all",
    Reason.MAX_SILENCE: "one silence too long",
    Reason.CUT_SHORT: "too much of it is missing",
    Reason.DUPLICATE_OF: "another copy of the song is written",
}


def render_report(data: Mapping[str, Any], tracks: pa.Table) -> str:
    """Render the report.

    Parameters
    ----------
    data : mapping
        The ``data`` half of the manifest.
    tracks : pa.Table
        Columns of ``schemas.tables.TRACKS``.

    Returns
    -------
    str
        A whole HTML page: no script, nothing fetched, the same for the same data. Its
        length does not grow with the number of tracks.
    """
    sections = [
        ("left", "Left after each stage", _stages(data)),
        ("parts", "Parts", _parts(data, tracks)),
        ("tracks", "Tracks", _charts(data, tracks)),
        ("tags", "Tags", _tags(data, tracks)),
        *([("spellings", "Spellings", _spellings(data))] if data["spellings"] else []),
        ("options", "Options and fingerprints", _options(data)),
    ]
    title = f"Data set of {tracks.num_rows:,} tracks with {len(data['vocabulary']):,} tags"
    links = (tag("li", tag("a", name, href=f"#{key}")) for key, name, _ in sections)
    body = [
        tag("header", tag("h1", title), *_summary(data, tracks), tag("nav", tag("ul", *links))),
        tag("main", *(tag("section", tag("h2", h), *c, id=key) for key, h, c in sections)),
        tag("footer", "Plan ", tag("code", data["plan_id"]), class_="soft"),
    ]
    # the policy keeps a name of a tag or a path from ever fetching or running anything
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = [
        Safe('<meta charset="utf-8">'),
        Safe(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Safe('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Safe('<link rel="icon" href="data:,">'),
        tag("title", title),
        tag("style", Safe(STYLE)),
    ]
    page = tag(
        "html", tag("head", join(head, "\n")), "\n", tag("body", join(body, "\n")), lang="en"
    )
    return f"<!doctype html>\n{page}\n"


def _summary(data: Mapping[str, Any], tracks: pa.Table) -> list[Safe]:
    spec, parts = data["audio_spec"], data["parts"]
    stored = f"mono, {spec['sample_rate']:,} Hz, 16 bits"
    if data["audio_format"] != WAVEFORM:
        stored = f"{spec['n_mels']} mel bands, {spec['sample_rate']:,} Hz, "
        stored += f"hop {spec['hop_length']}, {spec['compression']}"
    _, total, _ = figures.part_counts(tracks, parts)
    written = sum(entry["written"] > 0 for entry in data["vocabulary"])
    longest = data["options"].get("excerpt_seconds") or np.inf
    seconds = float(np.minimum(figures.numbers(tracks["duration"]), longest).sum())
    tiles = [
        ("Tracks", total.tracks, f"of {data['listed']['files']:,} files"),
        ("Tags", len(data["vocabulary"]), f"{written:,} on a written track"),
        ("Artists", total.artists, f"{_tracks(total.no_artist)} without one"),
        ("Audio", _length(seconds), "all tracks together"),
        ("Shards", total.shards, _size(total.size)),
    ]
    boxes = (
        tag("div", tag("dt", name), tag("dd", value), tag("dd", more))
        for name, value, more in tiles
    )
    return [
        tag("p", f"{data['audio_format']}: {stored}", class_="soft"),
        tag("dl", *boxes, class_="tiles"),
    ]


def _stages(data: Mapping[str, Any]) -> list[Safe]:
    listed, end = data["listed"], data["stages"][-1]
    most = max(listed["files"], listed["songs"], 1)

    def left(title: str, files: int, songs: int) -> Safe:
        drawn = join([bars(("one", files / most)), bars(("two", songs / most))])
        return row(title, _wide(drawn), number(files), number(songs), class_="left")

    rows = [left("Listed", listed["files"], listed["songs"])]
    for stage in data["stages"]:
        for reason, *lost in figures.lost(stage["reasons"], (FILE, SONG)):
            words = join([REASON_WORDS[Reason(reason)], tag("code", reason)], " ")
            cells = (number(f"−{n:,}" if n else "") for n in lost)
            rows.append(row(words, _wide(""), *cells, class_="gone"))
        meaning = MEANING[Stage(stage["stage"])]
        rows.append(left(meaning[0].upper() + meaning[1:], stage["files"], stage["songs"]))
    text = (
        f"Written: {end['files']:,} of {listed['files']:,} audio files "
        f"({percent(end['files'], listed['files'])}) and of {listed['songs']:,} songs in the "
        f"summary ({percent(end['songs'], listed['songs'])}). Every other one stands in "
        "rejects.parquet with its reason."
    )
    if data["ignored"]:
        text += f" Of other files in the folder were {ignored_line(data['ignored'])}."
    keys = _legend(("one", "files"), ("two", "songs"))
    return [tag("p", text), table(["Stage", keys, ">files", ">songs"], rows)]


def _parts(data: Mapping[str, Any], tracks: pa.Table) -> list[Safe]:
    of_part, total, shared = figures.part_counts(tracks, data["parts"])
    by, shares = data["split"]["by"], zip(PARTS, data["split"]["percent"], strict=True)
    text = "The published split. " if by == "official" else "Split by the user's file. "
    if by not in ("file", "official"):
        asked = ", ".join(f"{share:g}\u00a0% {part}" for part, share in shares)
        text = f"Split by {by}; asked for {asked} of the {by}s. "
    who = {0: "No artist has", 1: "1 artist has"}.get(shared, f"{shared:,} artists have")
    text += f"{who} tracks in more than one part."

    def cells(counts: figures.PartCounts) -> list[Safe]:
        share, size = percent(counts.tracks, total.tracks), _size(counts.size)
        values = (counts.tracks, share, counts.artists, counts.shards, size)
        return [number(value) for value in values]

    coloured = list(zip(PARTS, _COLOURS, strict=True))
    rows = (row(join([_key(colour), part]), *cells(of_part[part])) for part, colour in coloured)
    segments = (
        tag("i", class_=colour, style=f"flex:{of_part[part].tracks}")
        for part, colour in coloured
        if of_part[part].tracks
    )
    head = ["Part", ">tracks", ">of all", ">artists", ">shards", ">size"]
    return [
        tag("p", text),
        tag("div", *segments, class_="stack", aria_hidden="true"),
        table(head, rows, foot=[row("all", *cells(total))]),
    ]


def _charts(data: Mapping[str, Any], tracks: pa.Table) -> list[Safe]:
    if not tracks.num_rows:
        return [tag("p", "No track was written.")]
    duration = figures.numbers(tracks["duration"])
    share = figures.numbers(tracks["silence_percentage"])
    longest = figures.numbers(tracks["max_silence_length"])
    years = figures.numbers(tracks["year"])
    known = years[years > 0]
    tags = figures.list_lengths(tracks["tags"])
    quiet = f"{_tracks(int((longest == 0).sum()))} without any silence between sounds."
    unknown = f"{_tracks(len(years) - len(known))} of unknown year (0 in the summary)."
    charts = [
        _chart("Tags per track", tags, whole=True),
        _chart("Duration in s", duration),
        _chart("Silence between sounds, share in %", share[share > 0], quiet),
        _chart("Silence between sounds, longest in s", longest[longest > 0], quiet, least=0.1),
        _chart("Year", known, unknown, whole=True, broad=True),
    ]
    heard = format_hearings(data["hearings"])
    text = (
        f"{heard[0].upper()}{heard[1:]}. A column counts tracks; rest the pointer on it, or open "
        "Figures, to read it."
    )
    return [tag("p", text), tag("div", *charts, class_="charts")]


def _chart(
    title: str,
    values: np.ndarray,
    note: str = "",
    whole: bool = False,
    least: float = 1.0,
    broad: bool = False,
) -> Safe:
    """One figure: how `values` are spread, in words, as a column chart and as a table."""
    spread = figures.summarise(values)
    found = figures.histogram(values, 100 if broad else 40, least)
    if spread is None or found is None:
        return tag("figure", tag("figcaption", tag("h3", title), tag("p", note or "No value.")))
    lowest, low, median, high, highest = map(plain, spread.quantiles)
    lines = [
        ("median", median),
        ("mean", plain(spread.mean)),
        ("5 % to 95 %", f"{low} to {high}"),
        ("range", f"{lowest} to {highest}"),
    ]
    outside = [(found.below, f"below {plain(found.edges[0])}")]
    outside.append((found.above, f"from {plain(found.edges[-1])} on"))
    if missing := ", ".join(f"{_tracks(n)} {where}" for n, where in outside if n):
        note += f" Not drawn: {missing}."
    text = tag("figcaption", tag("h3", title), facts(lines), tag("p", note) if note else "")
    drawn = columns(found, title, whole)
    return tag("figure", text, drawn, class_="broad" if broad else "half")


def _tags(data: Mapping[str, Any], tracks: pa.Table) -> list[Safe]:
    vocabulary = data["vocabulary"]
    if not vocabulary:
        return [tag("p", "The vocabulary is empty.")]
    counts = figures.tag_counts(tracks)
    order = sorted(vocabulary, key=lambda row: (-row["written"], -row["planned"], row["tag"]))
    most = max(max(entry["planned"], entry["written"]) for entry in order) or 1

    def cells(entry: Mapping[str, Any]) -> list[Safe]:
        shares = [(colour, entry[key] / most) for colour, key in _BARS]
        of_part = [counts.get(entry["tag"], {}).get(part, 0) for part in PARTS]
        return [
            _wide(bars(*shares, thick=True)),
            number(entry["planned"]),
            number(entry["written"], entry["written"] == 0),
            *(number(n, n == 0) for n in of_part),
        ]

    rows = (row(entry["tag"], *cells(entry)) for entry in order[:MOST_TAGS])
    without = ", ".join(
        f"{part} {sum(not counts.get(entry['tag'], {}).get(part) for entry in order):,}"
        for part in PARTS
    )
    pairs = sum(entry["written"] for entry in order)
    text = (
        f"{pairs:,} pairs of a track and a tag are written. Planned counts a song if any of its "
        "copies has the tag; written, the one copy that is stored. Tags without a track: "
        f"{without}."
    )
    keys = _legend(("one", "written"), ("pale", "planned"))
    foot = []
    if hidden := order[MOST_TAGS:]:
        planned, written = (sum(entry[key] for entry in hidden) for key in ("planned", "written"))
        empty = [number("")] * len(PARTS)
        title = f"{len(hidden):,} rarer tags"
        foot = [row(title, _wide(""), number(planned), number(written), *empty)]
    head = ["Tag", keys, ">planned", ">written", *(f">{part}" for part in PARTS)]
    return [tag("p", text), table(head, rows, foot=foot)]


def _spellings(data: Mapping[str, Any]) -> list[Safe]:
    """What the inputs call a tag."""
    found = data["spellings"]
    order = sorted(found, key=lambda name: (-sum(found[name].values()), name))
    rows = (
        row(name, cell(", ".join(f"{spelling} ({n:,})" for spelling, n in found[name].items())))
        for name in order[:MOST_TAGS]
    )
    text = "Tags that the inputs write in several ways, each with its tracks."
    if hidden := len(order) - MOST_TAGS:
        text += f" {hidden:,} rarer ones are not shown." if hidden > 0 else ""
    return [tag("p", text), table(["Tag", "Written as"], rows)]


def _options(data: Mapping[str, Any]) -> list[Safe]:
    groups = [
        ("Options", {f"--{name}": value for name, value in data["options"].items()}),
        ("What is stored", {"front end": data["audio_spec"], "layout": data["layout"]}),
        ("Fingerprints of the inputs", data["fingerprints"]),
    ]
    tables = []
    for caption, values in groups:
        found = figures.flatten(values)
        rows = (row(name, cell(tag("code", _value(value)))) for name, value in found)
        tables.append(table(["Name", "Value"], rows, caption))
    return [tag("div", *tables, class_="names")]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)


def _wide(content: Any) -> Safe:
    """A cell for bars, which goes where the page is narrow."""
    return cell(content, class_="bars")


def _legend(*names: tuple[str, str]) -> Safe:
    """Title of a column of bars."""
    keys = (part for colour, name in names for part in (_key(colour), name))
    return tag("th", *keys, class_="bars", scope="col")


def _key(colour: str) -> Safe:
    return tag("span", class_=f"key {colour}")


def _tracks(n: int) -> str:
    return "1 track" if n == 1 else f"{n:,} tracks"


def _length(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _size(n: int) -> str:
    for unit, power in (("TB", 12), ("GB", 9), ("MB", 6)):
        if n >= 10**power:
            return f"{n / 10**power:.1f} {unit}"
    return f"{n / 1000:.1f} kB"

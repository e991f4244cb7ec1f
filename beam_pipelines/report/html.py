"""Pieces of a report's page: text, tables, bars and column charts; no script, nothing fetched."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from beam_pipelines.report.figures import Histogram, multiple, nice_step

STYLE = """
:root { color-scheme: light dark;
  --paper: #fcfcfb; --panel: #f3f4f5; --ink: #1b2026; --soft: #59636e; --line: #dcdfe3;
  --one: #2a6bb3; --two: #b3650f; --three: #177f68; --pale: #c3d7ee; --hint: #a63522; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --panel: #1d2126; --ink: #e7eaed; --soft: #a0abb6; --line: #333a42;
  --one: #6ca9ef; --two: #e0954a; --three: #4fbf9f; --pale: #2c4767; --hint: #ff9c86; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.25rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .3rem 0 .8rem; max-width: 46rem; }
a { color: var(--one); }
code { font: .9em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
td code { overflow-wrap: anywhere; }
.soft, figcaption p, summary { color: var(--soft); }
header { border-bottom: 1px solid var(--line); padding-bottom: 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0;
  padding: 0; }
nav a { display: inline-block; padding: .15rem 0; }
section { margin-top: 2.75rem; }
dl { margin: 0; } dd { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
.tiles div { background: var(--panel); border-radius: .5rem; padding: .65rem .9rem; }
.tiles dt { color: var(--soft); font-size: .875rem; }
.tiles dd { font-size: 1.45rem; line-height: 1.3; font-weight: 600; }
.tiles dd + dd { font-size: .875rem; font-weight: 400; color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 0 1.1rem; font-size: .875rem; margin: .1rem 0 .6rem; }
.facts div { display: flex; gap: .35rem; } .facts dt { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { padding: .22rem .6rem; text-align: left; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0; } tr > :last-child { padding-right: 0; }
thead th { color: var(--soft); font-weight: 400; font-size: .875rem; vertical-align: bottom;
  border-bottom: 1px solid var(--line); }
tbody th { font-weight: 400; white-space: pre-wrap; overflow-wrap: anywhere; min-width: 6.5rem; }
tfoot > tr > * { border-top: 1px solid var(--line); }
.n { text-align: right; white-space: nowrap; } .none { color: var(--hint); }
.left > * { border-top: 1px solid var(--line); padding-top: .4rem; }
.left th { font-weight: 600; } .left .n { font-weight: 600; }
.gone { color: var(--soft); font-size: .875rem; } .gone th { padding-left: 1.25rem; }
.gone > * { padding-top: 0; }
.bars { width: 38%; vertical-align: middle; }
.bar { display: block; position: relative; height: .5rem; margin: 2px 0; min-width: 5rem;
  background: var(--panel); }
.bar i { position: absolute; inset: 0 auto 0 0; } .thick { height: .8rem; background: none; }
.one { background: var(--one); } .two { background: var(--two); }
.three { background: var(--three); } .pale { background: var(--pale); }
.key { display: inline-block; width: .7em; height: .7em; border-radius: 2px;
  margin: 0 .4em 0 .8em; } .key:first-child { margin-left: 0; }
.stack { display: flex; gap: 2px; height: 1.4rem; margin: .8rem 0; }
.stack i { border-radius: 2px; min-width: 2px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 0 3rem; margin-bottom: -2.25rem; }
figure { margin: 0; min-width: 0; display: grid; grid-row: span 3; row-gap: 0;
  grid-template-rows: subgrid; align-content: start; }
.broad { grid-column: 1 / -1; }
figcaption p { font-size: .875rem; margin: 0; }
.names { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 1.75rem 3rem; }
.names th:first-child { width: 14rem; } .names > :last-child { grid-column: 1 / -1; }
.plot { display: grid; grid-template-columns: auto 1fr; column-gap: .5rem;
  padding: 1rem 1.2rem 0 0; font-size: .8125rem; color: var(--soft); }
.y { display: flex; flex-direction: column-reverse; justify-content: space-between;
  text-align: right; line-height: 0; }
.columns { position: relative; height: 10rem; display: flex; border-bottom: 1px solid var(--soft); }
.columns u { position: absolute; left: 0; right: 0; height: 0; border-top: 1px solid var(--line); }
.columns i { flex: 1; position: relative; } .columns i:hover { background: var(--panel); }
.columns b { position: absolute; inset: auto 8% 0; min-height: 2px; background: var(--one); }
.x { grid-column: 2; position: relative; height: 1.5rem; }
.x span { position: absolute; top: .2rem; transform: translateX(-50%); white-space: nowrap; }
details { margin: .3rem 0 2.25rem; font-size: .875rem; } details table { width: auto; }
summary { cursor: pointer; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem;
  font-size: .875rem; }
@media (max-width: 40rem) { .bars { display: none; } th, td { padding: .22rem .35rem; }
  table { font-size: .875rem; } .tiles { grid-template-columns: 1fr 1fr; } }
@media print { body { max-width: none; padding: 0; } nav { display: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


class Safe(str):
    """Text that is HTML already; any other is escaped."""

    __slots__ = ()


def safe(value: Any) -> Safe:
    """A value as HTML: whole numbers with separators, text escaped."""
    if isinstance(value, Safe):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Safe(f"{value:,}")
    return Safe(html.escape(str(value)))


def tag(name: str, *content: Any, **attributes: Any) -> Safe:
    """An element; ``class_`` and ``aria_label`` become ``class`` and ``aria-label``."""
    names = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    return Safe(f"<{name}{names}>{join(content)}</{name}>")


def join(parts: Iterable[Any], between: str = "") -> Safe:
    """Several values one after the other, each made safe."""
    return Safe(between.join(safe(part) for part in parts))


def plain(value: float) -> str:
    """A figure with two decimals at most."""
    return f"{round(value, 2):.12g}"


def percent(n: float, total: float) -> str:
    """A share in per cent with one decimal; 0.0 of nothing."""
    return f"{100 * n / total if total else 0:.1f}\u00a0%"


def cell(value: Any, **attributes: Any) -> Safe:
    """A cell of a table."""
    return tag("td", value, **attributes)


def number(value: Any, hint: bool = False) -> Safe:
    """A cell that stands to the right; `hint` makes a figure stand out that needs a look."""
    return cell(value, class_="n none" if hint else "n")


def table(
    head: Sequence[str | Safe], rows: Iterable[Safe], caption: str = "", foot: Iterable[Safe] = ()
) -> Safe:
    """A table that scrolls by itself where the page is too narrow.

    Parameters
    ----------
    head : sequence of str
        Column titles; one that begins with '>' stands to the right, one that is a cell is
        taken as it is.
    rows, foot : iterable of Safe
        Rows, whole.
    caption : str
        Title of the table.
    """
    titles = (
        tag("th", title[1:], scope="col", class_="n")
        if title.startswith(">")
        else title
        if isinstance(title, Safe)
        else tag("th", title, scope="col")
        for title in head
    )
    parts = [tag("caption", caption)] if caption else []
    parts += [tag("thead", tag("tr", *titles)), tag("tbody", join(rows, "\n"))]
    end = join(foot, "\n")
    return tag("div", tag("table", *parts, tag("tfoot", end) if end else ""), class_="wide")


def row(title: Any, *cells: Any, **attributes: Any) -> Safe:
    """A row of a table: its title, then cells (from :func:`cell` or :func:`number`)."""
    return tag("tr", tag("th", title, scope="row"), *cells, **attributes)


def bars(*shares: tuple[str, float], thick: bool = False) -> Safe:
    """Bars over each other, each (colour, share of the width); they repeat what figures say."""
    inner = (tag("i", class_=colour, style=f"width:{100 * share:.2f}%") for colour, share in shares)
    return tag("span", *inner, class_="bar thick" if thick else "bar", aria_hidden="true")


def facts(pairs: Iterable[tuple[str, Any]]) -> Safe:
    """A line of names with values."""
    return tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in pairs), class_="facts")


def columns(found: Histogram, title: str, whole: bool) -> Safe:
    """A column chart with its figures below it.

    Parameters
    ----------
    found : Histogram
    title : str
        What the horizontal axis is, with its unit.
    whole : bool
        Whether the values are whole numbers, so that a bin of width 1 is one value.
    """
    step = found.edges[1] - found.edges[0]
    single = whole and step == 1

    def name(i: int) -> str:
        low, high = found.edges[i], found.edges[i + 1]
        if single:
            return f"{low:.0f}"
        return f"{low:.0f} to {high - 1:.0f}" if whole else f"{plain(low)} to {plain(high)}"

    top, ticks = _vertical(int(found.counts.max()))
    drawn = [
        tag(
            "i",
            tag("b", style=f"height:{100 * n / top:.2f}%") if n else "",
            title=f"{name(i)}: {n:,}",
        )
        for i, n in enumerate(found.counts.tolist())
    ]
    lines = [tag("u", style=f"bottom:{100 * y / top:.2f}%") for y in ticks[1:]]
    most = int(found.counts.argmax())
    label = f"Tracks by {title}, from {plain(found.edges[0])} to {plain(found.edges[-1])}; "
    label += f"most, {found.counts[most]:,}, at {name(most)}"
    rows = (row(name(i), number(n)) for i, n in enumerate(found.counts.tolist()) if n)
    return join(
        [
            tag(
                "div",
                tag("div", *(tag("span", y) for y in ticks), class_="y", aria_hidden="true"),
                tag("div", *lines, *drawn, class_="columns", role="img", aria_label=label),
                tag("div", *_horizontal(found, single), class_="x", aria_hidden="true"),
                class_="plot",
            ),
            tag("details", tag("summary", "Figures"), table([title, ">tracks"], rows)),
        ]
    )


def _vertical(most: int) -> tuple[int, list[int]]:
    """The axis' upper end and its marks, whole and evenly spaced."""
    mantissa, exponent = nice_step(most, 4, 1)
    step = mantissa * 10**exponent
    marks = list(range(0, most + step, step))
    return marks[-1], marks


def _horizontal(found: Histogram, single: bool) -> list[Safe]:
    """Marks at round values; under the middle of a column that is one value."""
    first, last = float(found.edges[0]), float(found.edges[-1])
    step = nice_step(last - first, 7, 1 if single else 1e-3)
    middle = 0.5 if single else 0.0
    nth = math.ceil(first / multiple(1, *step))
    marks = []
    while (value := multiple(nth, *step)) + middle <= last:
        left = 100 * (value + middle - first) / (last - first)
        marks.append(tag("span", plain(value), style=f"left:{left:.2f}%"))
        nth += 1
    return marks

"""``report.html``: one self-contained page about a data set."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from beam_pipelines.accounts import format_counts

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
h2 { margin-top: 2em; } pre { overflow-x: auto; background: #f4f4f4; padding: 1em; }
table { border-collapse: collapse; } td { padding: 1px 8px; } td.n { text-align: right; }
.bar { background: #3a7bd5; height: 12px; display: block; }
"""


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
        A whole HTML page; no script, nothing fetched.
    """
    parts = [(part, entry["records"]) for part, entry in data["parts"].items()]
    tags = [(row["tag"], row["written"]) for row in data["vocabulary"]]
    sections = [
        ("Left after each stage", f"<pre>{html.escape(_counts(data))}</pre>"),
        ("Parts (tracks)", _bars(parts)),
        ("Tags (tracks written)", _bars(sorted(tags, key=lambda row: -row[1]))),
        ("Duration of the clips (s)", _bars(_histogram(tracks["duration"].to_pylist(), 5))),
    ]
    body = "\n".join(f"<h2>{title}</h2>\n{content}" for title, content in sections)
    title = f"{data['audio_format']}, {tracks.num_rows:,} tracks, {len(tags)} tags"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        f"<p>Plan {data['plan_id'][:12]}</p>\n{body}\n</body></html>\n"
    )


def _counts(data: Mapping[str, Any]) -> str:
    return format_counts(data["stages"], data["listed"])


def _bars(rows: Iterable[tuple[str, int]]) -> str:
    rows = list(rows)
    most = max([n for _, n in rows], default=0) or 1
    lines = [
        f'<tr><td>{html.escape(name)}</td><td class="n">{n:,}</td>'
        f'<td><span class="bar" style="width:{400 * n / most:.0f}px"></span></td></tr>'
        for name, n in rows
    ]
    return f"<table>{''.join(lines)}</table>"


def _histogram(values: Iterable[float], step: float) -> list[tuple[str, int]]:
    bins: dict[int, int] = {}
    for value in values:
        bins[int(value // step)] = bins.get(int(value // step), 0) + 1
    if not bins:
        return []
    edges = range(min(bins), max(bins) + 1)
    return [(f"{i * step:g} to {(i + 1) * step:g}", bins.get(i, 0)) for i in edges]

"""What is written of a tagged file: rows, and the three kinds of files."""

import csv
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.common.errors import UsageError
from serving.output.result import Result, Warned
from serving.output.rows import Wanted, best_tags, check_output, make_row, open_rows

LABELS = ["rock", "drum & bass", 'says "jazz", twice']
NONE = np.zeros(0, np.float32)
GOOD = Result(
    None,
    np.float32([0.25, 0.75, 0.5]),
    np.float32([[0.5, 0.5, 0.5], [0, 1, 0.5]]),
    np.array([0.0, 2.0016]),
    np.float32([1.5, -2]),
    (Warned.SILENT, Warned.CUT_SHORT),
)
BAD = Result("unreadable: gone", NONE, NONE.reshape(0, 0), np.zeros(0), NONE)
STRANGE = "/music/caf\udce9 日.mp3"


def write(path, wanted, pairs=((STRANGE, GOOD), ("b.mp3", BAD))):
    with open_rows(str(path), wanted) as writer:
        for name, result in pairs:
            writer.write(make_row(name, result, wanted))
    return path


def full(**options):
    return Wanted(LABELS, taggram=True, embeddings=True, **options)


def expected(path):
    return [
        {
            "path": path,
            "tags": [{"tag": LABELS[1], "score": 0.75}, {"tag": LABELS[2], "score": 0.5}],
            "error": None,
            "warnings": ["silent", "cut_short"],
            "starts": [0, 2.002],
            "taggram": [
                {"tag": LABELS[1], "scores": [0.5, 1]},
                {"tag": LABELS[2], "scores": [0.5, 0.5]},
            ],
            "embedding": [1.5, -2],
        },
        {
            "path": "b.mp3",
            "tags": [],
            "error": "unreadable: gone",
            "warnings": [],
            "starts": [],
            "taggram": [],
            "embedding": [],
        },
    ]


def test_json_lines(tmp_path):
    file = write(tmp_path / "rows.jsonl", full(threshold=0.5))
    assert [json.loads(line) for line in file.read_text().splitlines()] == expected(STRANGE)
    file = write(tmp_path / "rows.jsonl", Wanted(LABELS, top=1))
    row, _ = (json.loads(line) for line in file.read_text().splitlines())
    best = [{"tag": LABELS[1], "score": 0.75}]
    warnings = ["silent", "cut_short"]
    assert row == {"path": STRANGE, "tags": best, "error": None, "warnings": warnings}


def test_parquet(tmp_path):
    file = write(tmp_path / "rows.parquet", full(top=2))
    assert pq.read_table(file).to_pylist() == expected("/music/caf\\xe9 日.mp3")
    file = write(tmp_path / "rows.parquet", Wanted(LABELS), [(f"{i}", GOOD) for i in range(2500)])
    assert pq.read_table(file)["path"].to_pylist() == [str(i) for i in range(2500)]


def test_csv_has_a_column_a_tag(tmp_path):
    file = write(tmp_path / "rows.csv", Wanted(LABELS, threshold=0.5))
    with open(file, encoding="utf8", errors="surrogateescape", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["path", "error", "warnings", *LABELS],
            [STRANGE, "", "silent cut_short", "", "0.75", "0.5"],
            ["b.mp3", "unreadable: gone", "", "", "", ""],
        ]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_file_is_there_whole_or_not_at_all(tmp_path, suffix):
    old = tmp_path / f"rows.{suffix}"
    old.write_text("old")
    wanted = Wanted(LABELS)
    with pytest.raises(ZeroDivisionError), open_rows(str(old), wanted) as writer:
        writer.write(make_row("a.mp3", GOOD, wanted))
        raise ZeroDivisionError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write(tmp_path / "no" / old.name, wanted)


def test_what_csv_cannot_hold_is_said(tmp_path):
    for wanted in (Wanted(LABELS, taggram=True), Wanted(LABELS, embeddings=True)):
        with pytest.raises(UsageError, match="CSV has one cell a tag"):
            check_output(str(tmp_path / "rows.csv"), wanted)
        check_output(str(tmp_path / "rows.parquet"), wanted)


scores_of = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30)


@given(scores_of, st.none() | st.floats(0, 1, width=32), st.none() | st.integers(1, 40))
def test_best_tags(scores, threshold, top):
    names = [f"tag {i}" for i in range(len(scores))]
    rows = best_tags(names, np.float32(scores), threshold, top)
    ranked = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    wanted = [i for i in ranked if threshold is None or scores[i] >= threshold][:top]
    assert [row["tag"] for row in rows] == [names[i] for i in wanted]
    assert all(
        math.isclose(row["score"], scores[i], abs_tol=1e-6)
        for row, i in zip(rows, wanted, strict=True)
    )

"""Looking songs up in the summary file."""

import csv

import h5py
import numpy as np
import pytest

from beam_pipelines import summary as door
from beam_pipelines.million_song.summary_file import METADATA_COLUMNS
from beam_pipelines.summary import Summary
from schemas.common.errors import UsageError

TITLES = ["Hound Dog", "Été", "Hound Dog", "", "Ação", "x", "y"]


@pytest.fixture(params=[2, 100])
def summary(request, tmp_path, monkeypatch):
    monkeypatch.setattr(door, "_ROWS", request.param)
    kinds = {"track_7digitalid": "i4"}
    metadata = np.zeros(7, dtype=[(n, kinds.get(n, "S1024")) for n in sorted(METADATA_COLUMNS)])
    metadata["track_7digitalid"] = [5, 0, 7, 8, 5, 9, 0]
    metadata["song_id"] = [b"SOA", b"SOB", b"SOC", b"SOD", b"SOA", b"SOF", b""]
    metadata["title"] = [title.encode() for title in TITLES]
    analysis = np.zeros(7, dtype=[("duration", "f8"), ("track_id", "S32")])
    analysis["track_id"] = [b"TRG", b"TRB", b"TRA", b"TRD", b"TRE", b"TRF", b"TRC"]
    analysis["duration"] = np.arange(7) / 4
    years = np.zeros(7, dtype=[("idx_artist_mbtags", "i4"), ("year", "i4")])
    years["year"] = [1953, 0, 2001, 0, 0, 0, 1999]
    path = tmp_path / "summary.h5"
    with h5py.File(path, "w") as file:
        for table, rows in zip(door.TABLES, (metadata, analysis, years), strict=True):
            file.create_dataset(table, data=rows, chunks=(2,), compression="gzip", shuffle=True)
    return Summary(str(path))


def test_attributes_of_tracks(summary):
    assert summary.get_attribute("title", "TRE") == "Ação"
    assert summary.get_attribute("year", ["TRC", "TRG", "TRC", "TRB"]) == [1999, 1953, 1999, 0]
    assert summary.get_attribute("duration", ["TRA"]) == [0.5]
    assert summary.get_attribute("track_7digitalid", []) == []
    assert {"title", "duration", "year", "song_id"} <= summary.attributes.keys()


def test_attributes_by_7digital_id_and_song_id(summary):
    assert summary.get_attribute("title", 7) == "Hound Dog"
    assert summary.get_attribute("year", [7, np.int64(5), 7]) == [2001, 1953, 2001]  # first row
    assert summary.get_attribute("track_id", "SOB") == "TRB"
    assert summary.get_attribute("duration", ["SOA", "TRE", 9]) == [0.0, 1.0, 1.25]
    for missing in (6, "SOX", "TRX"):
        with pytest.raises(KeyError, match=f"the summary has no .* {missing!r}"):
            summary.get_attribute("title", missing)


def test_tracks_with_an_attribute(summary):
    assert summary.tracks_with("track_7digitalid", 5) == ["TRG", "TRE"]
    assert summary.tracks_with("track_7digitalid", [7, 6, 7]) == [["TRA"], [], ["TRA"]]
    assert summary.tracks_with("title", "Été") == ["TRB"]
    assert summary.tracks_with("duration", 0.25) == ["TRB"]
    assert summary.tracks_with("track_id", ["TRC", "TR"]) == [["TRC"], []]


@pytest.mark.parametrize(
    "call",
    [lambda s: s.get_attribute("title", "TRX"), lambda s: s.get_attribute("title", "TR"),
     lambda s: s.get_attribute("name", "TRA"), lambda s: s.tracks_with("name", "x")],
)  # fmt: skip
def test_what_is_not_there_is_a_key_error(summary, call):
    with pytest.raises(KeyError, match="the summary has no"):
        call(summary)


def test_what_is_no_summary(tmp_path):
    (tmp_path / "a.h5").write_text("x")
    with pytest.raises(UsageError, match="not a readable HDF5 file"):
        Summary(str(tmp_path / "a.h5"))


@pytest.mark.fixtures
def test_the_summary_of_the_reference(fixtures_dir):
    summary = Summary(str(fixtures_dir / "mini-msd" / "msd_summary_file.h5"))
    expected = fixtures_dir / "mini-msd" / "expected" / "s2a_summary.csv"
    with open(expected, encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    first = {}
    for row in rows:
        first.setdefault(row["track_id"], row)
    assert len(first) < len(rows) == summary.n_songs  # a planted repeat: the first row counts
    for attribute in ("track_7digitalid", "year"):
        assert summary.get_attribute(attribute, [row["track_id"] for row in rows]) == [
            int(first[row["track_id"]][attribute]) for row in rows
        ]
    numbers = [int(row["track_7digitalid"]) for row in rows]
    assert summary.tracks_with("track_7digitalid", numbers) == [
        [row["track_id"] for row in rows if int(row["track_7digitalid"]) == number]
        for number in numbers
    ]

"""The scan: exact rows and rejects, the same bytes for any workers and after a kill."""

import csv
import json
import signal
import subprocess
import sys
import time

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from beam_pipelines import scan
from beam_pipelines.runtime import runners, storage
from beam_pipelines.runtime.resumable import cut, work_folder
from beam_pipelines.scanning import measure
from beam_pipelines.scanning.filters import Limits
from beam_pipelines.scanning.listing import list_audio
from beam_pipelines.scanning.scan_table import read_scan, rejects_path, write_scan
from schemas import tables
from schemas.common.errors import RunError, UsageError
from schemas.rejects import Reason
from tests.helpers.broken_audio import ANTIPHASE, DAMAGED, SILENT
from tests.helpers.broken_audio import BROKEN as UNDECODED
from tests.helpers.places import ROOT

BROKEN = UNDECODED | {"4/6/4644454.clip.mp3": Reason.MISLABELLED}  # a WAV file

BAD_NAMES = {
    "7digital/9/9/99999992.clip.MP3",
    *(
        f"7digital_badnames/q/{name}"
        for name in (
            "9991234567.mp3",
            "007.clip.mp3",
            "1_000.clip.mp3",
            "abc.clip.mp3",
            "1234.mp3",
            "١٢٣.clip.mp3",
            "-5.clip.mp3",
            "12 34.clip.mp3",
        )
    ),
}


_FILTERS = ("too_small", "effective_length", "total_silence", "max_silence")


@pytest.fixture(scope="module")
def msd(fixtures_dir):
    return fixtures_dir / "mini-msd"


@pytest.fixture(scope="module")
def scanned(msd, tmp_path_factory, command):
    """A scan of all of mini-msd as a user would run it: its output and its process."""
    output = tmp_path_factory.mktemp("scan") / "new" / "audio.parquet"
    return output, command("beam_pipelines.scan", "--audio_dir", msd, "--output", output)


def read_rejects(output) -> dict[str, Reason]:
    table = pq.read_table(rejects_path(str(output)))
    assert table.schema.equals(tables.REJECTS)
    assert set(table["kind"].to_pylist()) == {"file"}
    return {row["path"]: Reason(row["reason"]) for row in table.to_pylist()}


def csv_rows(path) -> list[dict]:
    with open(path, encoding="utf8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.fixtures
def test_every_listed_file_is_a_row_or_a_reject(msd, scanned):
    output, process = scanned
    kept = read_scan(str(output), "--scan")
    listed = [file.path for file in list_audio(str(msd)).files]
    rejects = read_rejects(output)
    assert rejects == (
        {f"7digital/{path}": reason for path, reason in BROKEN.items()}
        | {f"7digital/{path}": Reason.SILENT for path in SILENT}
        | dict.fromkeys(BAD_NAMES, Reason.BAD_NAME)
    )
    assert kept["path"].to_pylist() == [path for path in listed if path not in rejects]
    assert [line.split()[:2] for line in process.stdout.splitlines()] == [
        ["listed", str(len(listed))],
        ["kept", str(len(kept))],
        ["rejected", str(len(rejects))],
        ["decoded", "by"],
        ["ignored:", "36"],
    ]
    assert process.stdout.endswith("\nignored: 36 .csv, 25 .json, 2 .txt, 1 .db, 1 .h5, 1 .npz\n")
    assert process.returncode == 0
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "audio.parquet",
        "audio.rejects.parquet",
    ]


@pytest.mark.fixtures
def test_decoders_say_nothing_on_the_terminal(scanned):
    _, process = scanned
    labels = {line.split(":")[0] for line in process.stderr.splitlines()}
    assert labels - {"list the audio files"} == {"measure"}


@pytest.mark.fixtures
def test_columns_are_those_of_2019(msd, scanned):
    by_path = {row["path"]: row for row in read_scan(str(scanned[0]), "--scan").to_pylist()}
    fetched = csv_rows(msd / "expected" / "s1_fetcher.csv")
    for row in fetched:
        ours = by_path.get("7digital/" + row["file_path"])
        if ours is None:
            assert row["file_path"] in BROKEN or row["file_path"] in SILENT
            continue
        assert ours["track_7digitalid"] == int(row["track_7digitalid"])
        assert ours["size"] == int(row["file_size"])
        assert ours["mtime"] == (msd / ours["path"]).stat().st_mtime
        if int(row["channels"]):  # 2019 found no headers in the WAV file among the MP3s
            assert (ours["probe_channels"], ours["channels"]) == (int(row["channels"]),) * 2
            assert ours["probe_duration"] == pytest.approx(float(row["clip_length"]))
            assert ours["probe_sample_rate"] == ours["sample_rate"]
    compared = 0
    for row in csv_rows(msd / "expected" / "s3_check_silence.csv"):
        ours = by_path.get("7digital/" + row["mp3_path"])
        if ours is not None and row["mp3_path"] not in {*DAMAGED, *ANTIPHASE}:
            for name in tables.SCAN.names[tables.SCAN.names.index("audio_start") : -1]:
                assert ours[name] == pytest.approx(float(row[name]), abs=1e-9)
            theirs = json.loads(row["silence_detail"].replace("(", "[").replace(")", "]"))
            assert np.ravel(ours["silence_detail"]) == pytest.approx(np.ravel(theirs))
            compared += 1
    assert compared == 51
    damaged = by_path["7digital/9/9/9942929.clip.mp3"]
    assert (damaged["probe_duration"], round(damaged["duration"], 3)) == (30.0, 11.965)


@pytest.mark.fixtures
def test_filters_leave_what_2019_meant_to_leave(msd, tmp_path):
    output = tmp_path / "audio.csv"
    recipe = "--min_file_size=200000 --min_effective_length=15 --max_total_silence=3"
    arguments = ["--audio_dir", str(msd / "7digital"), "--output", str(output)]
    assert scan.main([*arguments, *recipe.split(), "--max_silence=1"]) == 0
    kept = set(read_scan(str(output), "--scan")["path"].to_pylist())
    considered = csv_rows(msd / "expected" / "s3_check_silence.csv")
    expected = csv_rows(msd / "expected" / "s4_ultimate_without_all_zero_INTENDED.csv")
    theirs = {row["mp3_path"] for row in expected}
    assert kept & {row["mp3_path"] for row in considered} == theirs | ANTIPHASE
    rejects = {row["path"]: row["reason"] for row in csv_rows(rejects_path(str(output)))}
    passed = {
        name: {row["mp3_path"] for row in csv_rows(msd / "expected" / f"s4_filter_{name}.csv")}
        for name in ("trim15", "tot3", "max1")
    }
    sizes = {row["mp3_path"]: int(row["file_size"]) for row in considered}
    for path in sizes.keys() - kept:
        if sizes[path] <= 200_000:
            expected_reason = "too_small"
        elif path in SILENT:
            expected_reason = "silent"
        elif path not in passed["trim15"]:
            expected_reason = "effective_length"
        else:
            expected_reason = "max_silence" if path in passed["tot3"] else "total_silence"
        assert rejects[path] == expected_reason, path
    assert set(rejects.values()) == {"bad_name", "empty_file", *_FILTERS, "mislabelled", "silent"}


@pytest.mark.fixtures
def test_killed_scan_goes_on_and_gives_the_same_bytes(msd, scanned, tmp_path, capsys):
    output = tmp_path / "audio.parquet"
    work = tmp_path / "audio.parquet.work"
    arguments = ["--audio_dir", str(msd), "--output", str(output), "--direct_num_workers=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "beam_pipelines.scan", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list(work.glob("chunk-*.table"))) < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_files = len(list_audio(str(msd)).files)
    done = len(list(work.glob("chunk-*.table")))  # of one file each
    assert 10 <= done < n_files and not output.exists()
    empty, half, *_ = sorted(work.glob("chunk-*.table"))
    empty.write_bytes(b"")
    half.write_bytes(half.read_bytes()[:-100])
    done -= 2
    assert scan.main(arguments) == 0
    said = capsys.readouterr().err
    assert f"{work}: 2 files are done again, what was known of them is damaged" in said
    assert f"{done} files are measured already" in said
    assert f"measure: files: {n_files - done} of {n_files - done}, " in said
    for path in (str(output), rejects_path(str(output))):
        whole = rejects_path(str(scanned[0])) if "rejects" in path else str(scanned[0])
        assert storage.read_bytes(path) == storage.read_bytes(whole)
    assert not work.exists()


@pytest.fixture
def tree(tmp_path):
    """Twelve small clips, one of them silent, one empty, one with a bad name."""
    root = tmp_path / "audio [*]"
    root.mkdir()
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 8000)
    for number in range(12):
        sound = np.concatenate([noise, np.zeros(600 * number), noise])
        soundfile.write(root / f"{number}.clip.mp3", sound * (number != 3), 8000, format="MP3")
    (root / "4.clip.mp3").write_bytes(b"")
    (root / "5.clip.mp3").rename(root / "five.ogg")
    (root / "readme.txt").write_text("no audio")
    return root


def test_csv_holds_the_same_table(tree, tmp_path):
    for name in ("audio.parquet", "audio.csv"):
        assert scan.main(["--audio_dir", str(tree), "--output", str(tmp_path / name)]) == 0
    parquet = read_scan(str(tmp_path / "audio.parquet"), "--scan")
    assert parquet.schema.equals(tables.SCAN)
    assert read_scan(str(tmp_path / "audio.csv"), "--scan").equals(parquet)
    assert [row["path"] for row in parquet.to_pylist()] == sorted(
        f"{number}.clip.mp3" for number in range(12) if number not in (3, 4, 5)
    )
    [detail] = parquet["silence_detail"].to_pylist()[-1]
    assert detail == pytest.approx([1.0, 1.675], abs=0.3)
    assert read_rejects(tmp_path / "audio.parquet") == {
        "3.clip.mp3": Reason.SILENT,
        "4.clip.mp3": Reason.EMPTY_FILE,
        "five.ogg": Reason.BAD_NAME,
    }


def test_counters_and_files_that_vanish(tree, tmp_path):
    listing = list_audio(str(tree))
    listed = pa.table(
        list(zip(*listing.files, strict=True)),
        schema=tables.SCAN.empty_table().select(["path", "size", "mtime"]).schema,
    )
    storage.write_table(str(tmp_path / "listing.parquet"), listed)
    (tree / "7.clip.mp3").unlink()
    chunks = cut(len(listing.files), str(tmp_path), "test", most=100, least=64)
    measuring = measure.MeasureChunk(str(tree), str(tmp_path / "listing.parquet"), Limits())
    with runners.make_pipeline(runners.parse_options([])) as pipeline:
        elements = [(chunk.path, chunk.start, chunk.stop) for chunk in chunks]
        _ = pipeline | beam.Create(elements) | beam.ParDo(measuring)
    found = pipeline.result.metrics().query()["counters"]
    counts = {counter.key.metric.name: counter.committed for counter in found}
    assert {name: counts[name] for name in ("kept", "rejects")} == {"kept": 8, "rejects": 4}
    _, rejects = measure.gather(chunks, 12)
    reasons = dict(zip(rejects["path"].to_pylist(), rejects["reason"].to_pylist(), strict=True))
    assert reasons["7.clip.mp3"] == Reason.UNREADABLE
    with pytest.raises(RunError, match="the accounts do not close: 13 files listed"):
        measure.gather(chunks, 13)
    with pytest.raises(RunError, match="12 rows of 11 files|13 rows of 12 files"):
        measure.gather([*chunks, chunks[0]], 13)


def test_bad_arguments_are_one_line_and_leave_nothing(tree, tmp_path):
    good = ["--audio_dir", str(tree), "--output", str(tmp_path / "new" / "audio.parquet")]
    for arguments, words in [
        (["--audio_dir", str(tree), "--output", str(tmp_path / "new" / "audio.txt")], "must end"),
        (["--audio_dir", str(tmp_path / "nowhere"), *good[2:]], "cannot be listed"),
        (["--audio_dir", str(tree), "--output", str(tmp_path)], "must end"),
        ([*good, "--min_file_size=-1"], "min_file_size"),
        ([*good, "--no_such_option"], "unknown option --no_such_option"),
        ([*good, "--direct_num_workers=two"], "direct_num_workers"),
        ([*good, "--runner=NoRunner"], "--runner=NoRunner"),
    ]:
        with pytest.raises(UsageError, match=words):
            scan.main(arguments)
    assert [path.name for path in tmp_path.iterdir()] == [tree.name]


def test_a_second_scan_of_the_same_output_is_refused(tree, tmp_path):
    output = tmp_path / "audio.parquet"
    with work_folder(str(output)), pytest.raises(UsageError, match="another run"):
        scan.main(["--audio_dir", str(tree), "--output", str(output)])


def test_what_is_no_scan_is_refused(tmp_path):
    other = pa.table({"path": ["a"], "size": [1]})
    for name in ("other.parquet", "other.csv"):
        write_scan(str(tmp_path / name), other)
        with pytest.raises(UsageError, match="is no table of a scan"):
            read_scan(str(tmp_path / name), "--scan")
        (tmp_path / name).write_bytes(b"\x00\xff")
        with pytest.raises(UsageError, match="--scan"):
            read_scan(str(tmp_path / name), "--scan")
        with pytest.raises(UsageError, match="cannot be read"):
            read_scan(str(tmp_path / "nowhere" / name), "--scan")


def test_a_failing_step_is_named_in_one_line_and_no_traceback_shown(capsys):
    def fail(element):
        raise OSError(28, f"no space for {element}")

    for mode in ("multi_threading", "in_memory"):
        options = runners.parse_options([f"--direct_running_mode={mode}", "--direct_num_workers=1"])
        with (
            pytest.raises(RunError) as caught,
            runners.make_pipeline(options) as pipeline,
        ):
            _ = pipeline | beam.Create([7]) | "Keep it" >> beam.Map(fail)
        assert str(caught.value) == (
            "the pipeline stopped: OSError: [Errno 28] no space for 7 [while running 'Keep it']"
        )
        assert capsys.readouterr().err == ""

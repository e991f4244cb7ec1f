"""Disks that fail for a moment or for good, memory that is full, files that change."""

import errno
import json
import os
import pathlib
import shutil
import time

import pyarrow.parquet as pq
import pytest
import soundfile

from beam_pipelines import build, scan
from beam_pipelines.runtime import storage
from beam_pipelines.scanning.filters import Limits
from beam_pipelines.scanning.listing import list_audio
from beam_pipelines.scanning.measure import measure_file
from schemas.common.errors import RunError, UsageError
from schemas.rejects import Reason, Reject
from tests.helpers.accounts import rows
from tests.helpers.corpora import contents
from tests.helpers.disks import failing
from tests.helpers.small_build import build_unfinished, small_options, write_music

FAILING = "3/33.wav"


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    write_music(folder)
    return folder


@pytest.fixture(scope="module")
def whole(music, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "out"
    assert build.main(small_options(music, output)) == 0
    return output


def scan_options(music, output):
    return ["--audio_dir", str(music), "--output", str(output), "--names", "any"]


@pytest.mark.parametrize("name", ["EIO", "EMFILE", "ESTALE", "ETIMEDOUT", "EAGAIN"])
def test_what_passes_is_tried_again_three_times(name, tmp_path, monkeypatch):
    path = str(tmp_path / "a.wav")
    pathlib.Path(path).write_bytes(b"samples")
    left = failing(monkeypatch, {"a.wav": [getattr(errno, name)] * 8})
    began = time.monotonic()
    with pytest.raises(OSError, match="a.wav"):
        storage.read_clip(path)
    assert len(left["a.wav"]) == 4 and time.monotonic() - began > 2
    left["a.wav"][2:] = []
    assert storage.read_bytes(path) == b"samples"


def test_what_does_not_pass_fails_at_once(tmp_path, monkeypatch):
    left = failing(monkeypatch, {"a.wav": [errno.EACCES, errno.EISDIR]})
    with pytest.raises(PermissionError):
        storage.read_clip(str(tmp_path / "a.wav"))
    assert left == {"a.wav": [errno.EISDIR]}


def test_a_hiccup_of_the_disk_loses_nothing(music, whole, tmp_path, monkeypatch):
    failing(monkeypatch, {FAILING: [errno.EIO, errno.ESTALE], "0/5.wav": [errno.EMFILE] * 3})
    assert build.main(small_options(music, tmp_path / "out")) == 0
    assert contents(tmp_path / "out") == contents(whole)


def test_a_disk_that_fails_finishes_no_data_set(music, whole, tmp_path, monkeypatch):
    output = tmp_path / "out"
    with monkeypatch.context() as broken:
        failing(broken, {FAILING: [errno.EIO, None]})
        with pytest.raises(RunError) as caught:
            build.main(small_options(music, output))
    assert str(caught.value) == (
        "1 of 40 files could not be read (EIO 1), more than --max_unreadable 1 %: nothing is "
        "finished, the same command tries those again"
    )
    assert not (output / "dataset.json").exists()
    times = {path: path.stat().st_mtime_ns for path in output.rglob("*.tfrecord")}
    assert build.main(small_options(music, output)) == 0
    assert contents(output) == contents(whole)
    changed = {path for path in times if path.stat().st_mtime_ns != times[path]}
    (track,) = (row for row in rows(whole / "tracks.parquet") if row["path"] == FAILING)
    assert changed == {output / track["shard"]}


def test_some_lost_files_can_be_put_up_with(music, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out"
    failing(monkeypatch, {FAILING: [errno.ETIMEDOUT, None]})
    assert build.main(small_options(music, output, "--max_unreadable", "2.5")) == 0
    (lost,) = (
        row
        for row in rows(output / "rejects.parquet")
        if row["path"] == FAILING and row["kind"] == "file"
    )
    assert (lost["reason"], lost["detail"]) == ("unreadable", "ETIMEDOUT")
    assert "1 unreadable" in capsys.readouterr().out


def test_a_scan_on_a_failing_disk(music, tmp_path, monkeypatch, capsys):
    whole, output = tmp_path / "whole.parquet", tmp_path / "audio.parquet"
    assert scan.main(scan_options(music, whole)) == 0
    with monkeypatch.context() as broken:
        failing(broken, {FAILING: [errno.EIO, None], "0/5.wav": [errno.EIO] * 2})
        with pytest.raises(RunError, match=r"1 of 40 files could not be read \(EIO 1\), more"):
            scan.main(scan_options(music, output))
    assert sorted(os.listdir(tmp_path)) == [
        *("audio.parquet.work", "whole.parquet", "whole.rejects.parquet")
    ]
    capsys.readouterr()
    assert scan.main(scan_options(music, output)) == 0
    assert "39 files are measured already" in capsys.readouterr().err
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("command", ["build", "scan"])
def test_memory_that_is_full_ends_the_run(music, tmp_path, monkeypatch, command):
    def read(self, *args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    options = {"build": small_options, "scan": scan_options}[command]
    main = {"build": build.main, "scan": scan.main}[command]
    with pytest.raises(RunError, match="there is not enough memory: fewer --direct_num_workers"):
        main(options(music, tmp_path / "out.parquet"))
    assert not list(tmp_path.glob("*.parquet/dataset.json"))
    assert not (tmp_path / "out.parquet").is_file()


def change(folder: pathlib.Path) -> None:
    """Cut one file, let one grow, put a pipe in the place of one."""
    os.truncate(folder / "0" / "5.wav", 1000)
    with open(folder / "1" / "6.wav", "ab") as stream:
        stream.write(bytes(10))
    (folder / "2" / "7.wav").unlink()
    os.mkfifo(folder / "2" / "7.wav")


CHANGED = {
    "0/5.wav": ("changed", "1000 bytes, listed were 8044"),
    "1/6.wav": ("changed", "8054 bytes, listed were 8044"),
    "2/7.wav": ("unreadable", "ENOTSUP"),
}


def test_files_that_change_after_the_plan_are_rejects(music, tmp_path):
    mine, output = tmp_path / "music", tmp_path / "out"
    shutil.copytree(music, mine)
    build_unfinished(small_options(mine, output), lambda: change(mine))
    sides = [json.loads(p.read_text().split("\n", 1)[1]) for p in output.glob("_work/side-*.json")]
    rejects = [row for side in sides for row in side["rejects"] if row["kind"] == "file"]
    assert {row["path"]: (row["reason"], row["detail"]) for row in rejects} == CHANGED
    assert sum(side["records"] for side in sides) == 37


def test_a_change_can_end_the_build(music, tmp_path):
    mine, output = tmp_path / "music", tmp_path / "out"
    shutil.copytree(music, mine)
    stop = small_options(mine, output, "--changed", "stop")
    with pytest.raises(UsageError, match=r"has changed since it was listed \(.* listed were 8044"):
        build_unfinished(stop, lambda: change(mine))


def test_a_scan_knows_the_time_of_change_too(music, tmp_path):
    shutil.copytree(music, tmp_path / "music")
    files = {file.path: file for file in list_audio(str(tmp_path / "music")).files}
    change(tmp_path / "music")
    os.utime(tmp_path / "music" / "3" / "3.wav", (1000, 1000))
    found = {
        path: measure_file(str(tmp_path / "music"), file, Limits(), any_name=True)
        for path, file in files.items()
    }
    rejects = {path: (row.reason, row.detail) for path, row in found.items()
               if isinstance(row, Reject)}  # fmt: skip
    touched = {"3/3.wav": (Reason.CHANGED, "8044 bytes, listed were 8044")}
    assert rejects == CHANGED | touched


def test_a_change_can_end_the_scan(music, tmp_path, monkeypatch):
    shutil.copytree(music, tmp_path / "music")
    listed = scan.list_audio

    def list_then_change(root):
        listing = listed(root)
        os.truncate(tmp_path / "music" / "0" / "5.wav", 1000)
        return listing

    monkeypatch.setattr(scan, "list_audio", list_then_change)
    options = scan_options(tmp_path / "music", tmp_path / "audio.parquet")
    with pytest.raises(UsageError, match="0/5.wav has changed since it was listed"):
        scan.main([*options, "--changed", "stop"])
    assert scan.main(options) == 0
    rejects = pq.read_table(tmp_path / "audio.rejects.parquet").to_pylist()
    assert [(row["path"], row["reason"]) for row in rejects] == [("0/5.wav", "changed")]

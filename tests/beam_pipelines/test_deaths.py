"""A decoder that takes its process down: the file is a reject, the rest is written."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from schemas.manifest import PARTS, read_dataset
from tests.helpers.accounts import rows
from tests.helpers.places import ROOT
from tests.helpers.small_build import small_options, write_music

# In every process of the command: a file with this in its samples kills who decodes it.
MARK = b"\x07kills\x07" * 4
SHIM = f"""
import os, signal
import soundfile

init = soundfile.SoundFile.__init__

def init_or_die(self, file, *args, **kwargs):
    if isinstance(file, int) and {MARK!r} in os.pread(file, 1 << 20, 0):
        os.kill(os.getpid(), signal.{{name}})
    init(self, file, *args, **kwargs)

soundfile.SoundFile.__init__ = init_or_die
"""


@pytest.fixture
def music(tmp_path):
    """Twelve files, two of which kill their decoder."""
    write_music(tmp_path / "music", 12)
    for name in ("0/5.wav", "1/6.wav"):
        data = bytearray((tmp_path / "music" / name).read_bytes())
        data[1000 : 1000 + len(MARK)] = MARK
        (tmp_path / "music" / name).write_bytes(data)
    return tmp_path / "music"


def run(tmp_path: pathlib.Path, name: str, module: str, *arguments) -> subprocess.CompletedProcess:
    """A command whose decoder dies of a signal."""
    (tmp_path / "shim").mkdir()
    (tmp_path / "shim" / "sitecustomize.py").write_text(SHIM.format(name=name))
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "shim")},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_build_goes_on_after_the_decoder_has_died(music, tmp_path):
    output = tmp_path / "out"
    ended = run(tmp_path, "SIGSEGV", "beam_pipelines.build", *small_options(music, output))
    assert ended.returncode == 0, ended.stderr
    assert "the working process died of SIGSEGV: it is started again" in ended.stderr
    rejects = {
        row["path"]: (row["reason"], row["detail"])
        for row in rows(output / "rejects.parquet")
        if row["kind"] == "file"
    }
    died = ("crashed_decoder", "SIGSEGV")
    assert rejects == {"0/5.wav": died, "1/6.wav": died}
    dataset = read_dataset(str(output))
    assert sum(dataset.records(part) for part in PARTS) == 10
    assert not list(output.rglob("*.tmp")) and not (output / "_work").exists()


def test_a_scan_goes_on_after_a_kill_for_memory(music, tmp_path):
    output = tmp_path / "audio.parquet"
    options = ["--audio_dir", music, "--output", output, "--names", "any"]
    ended = run(tmp_path, "SIGKILL", "beam_pipelines.scan", *options)
    assert ended.returncode == 0, ended.stderr
    assert "the working process died of SIGKILL: it is started again" in ended.stderr
    rejects = pq.read_table(tmp_path / "audio.rejects.parquet").to_pylist()
    assert [(row["path"], row["reason"], row["detail"]) for row in rejects] == [
        ("0/5.wav", "crashed_decoder", "SIGKILL"),
        ("1/6.wav", "crashed_decoder", "SIGKILL"),
    ]
    assert pq.read_table(output).num_rows == 10
    assert not (tmp_path / "audio.parquet.work").exists()


def is_dead(pid: str) -> bool:
    try:
        return ") Z " in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_child_ends_with_its_parent(tmp_path, number):
    write_music(tmp_path / "music", 400)
    output = tmp_path / "audio.parquet"
    arguments = ["--audio_dir", str(tmp_path / "music"), "--output", str(output), "--names", "any"]
    process = subprocess.Popen(
        [sys.executable, "-m", "beam_pipelines.scan", *arguments, "--direct_num_workers=1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    work = tmp_path / "audio.parquet.work"
    while not list(work.glob("chunk-*")):
        assert process.poll() is None
        time.sleep(0.01)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)  # both have closed their ends
    assert len(children) == 1 and is_dead(children[0])
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
        assert said.endswith("stopped\n") and "Traceback" not in said
    assert not output.exists()

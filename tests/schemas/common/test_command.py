"""What a command says when it ends badly: one line, and an exit code."""

import os
import resource
import subprocess
import sys

import pytest

from schemas.common.text import one_line
from tests.helpers.places import ROOT
from tests.helpers.small_build import write_music


def run(code, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        **more,
    )


RAISE = """
from schemas.common.command import run_command
from schemas.common.errors import RunError, UsageError

def main(argv):
    raise {error}

run_command(main, [])
"""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("UsageError('x' * 200_000)", 2, "error: xxx"),
        (r"RunError('a\x1b[2J\u202eb\udcff\0\r\nc')", 1, r"error: a\x1b[2J\u202eb\udcff\x00 c"),
        ("KeyError('k' * 1000)", 1, "error: KeyError: 'kkk"),
        ("MemoryError()", 1, "error: there is not enough memory"),
        ('RuntimeError("can\'t start new thread")', 1, "error: no more threads can be started"),
    ],
)
def test_every_error_is_one_short_line_without_control_characters(error, code, said):
    ended = run(RAISE.format(error=error))
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith(said) and ended.stderr.endswith("\n")
    line = ended.stderr[:-1]
    assert len(line) <= 300 and line.isprintable()


def test_both_ends_of_a_long_line_are_kept():
    shown = one_line("the file " + "x" * 500 + " is none: choose another", 100)
    assert len(shown) == 100
    assert shown.startswith("the file xxx") and shown.endswith("xxx is none: choose another")
    assert one_line(" a\n b ", 3) == "a b"


@pytest.mark.fixtures
def test_no_folder_for_temporary_files_is_said(fixtures_dir, tmp_path, command):
    ended = command(
        "beam_pipelines.clean_tags",
        *(fixtures_dir / "mini-msd" / "lastfm_tags.db", tmp_path / "clean.db"),
        env=os.environ | {"TMPDIR": str(tmp_path / "nowhere")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert (ended.returncode, ended.stderr) == (
        2,
        "error: no folder for temporary files can be written to: let TMPDIR name one\n",
    )
    assert os.listdir(tmp_path) == []


SCAN = """
import sys, threading
from beam_pipelines import scan
from schemas.common.command import run_command

left = [int(sys.argv[1])]
start = threading.Thread.start

def start_or_fail(thread):
    left[0] -= 1
    if left[0] < 0:
        raise RuntimeError("can't start new thread")
    start(thread)

threading.Thread.start = start_or_fail
folder = sys.argv[2]
run_command(scan.main, ["--audio_dir", folder, "--output", folder + "/o.csv", "--names", "any"])
"""


@pytest.mark.parametrize("threads", [0, 2, 3, 8, 14, 18, 25])
def test_a_scan_that_gets_no_more_threads_says_so_and_ends(threads, tmp_path):
    write_music(tmp_path, 6)
    ended = run(SCAN, threads, tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "error: no more threads can be started: raise the limit (ulimit -u, pids of a container)\n"
    )

"""Ctrl-C and SIGTERM from the first line on, and temporary files after any end."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.places import ROOT

LITTER = """
import sys, tempfile, time
from schemas.common.command import run_command

def main(argv):
    tempfile.mkdtemp()
    tempfile.NamedTemporaryFile(delete=False).write(b"half")
    print("ready", flush=True)
    time.sleep(float(argv[0]))
    return 0

run_command(main)
"""


def start(*command, **more):
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | more
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def litter(folder, seconds):
    process = start("-c", LITTER, str(seconds), TMPDIR=str(folder))
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_leaves_no_temporary_file(tmp_path, number, code):
    process = litter(tmp_path, 600)
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "stopped\n")
    assert (process.returncode, os.listdir(tmp_path)) == (code, [])


def test_what_a_killed_command_leaves_goes_with_the_next(tmp_path):
    (tmp_path / "orpheus-run-notes").write_text("mine, as it is no folder")
    running, killed = litter(tmp_path, 600), litter(tmp_path, 600)
    killed.kill()
    killed.communicate(timeout=60)
    assert len(os.listdir(tmp_path)) == 3
    done = litter(tmp_path, 0)
    done.communicate(timeout=60)
    left = {name: os.path.isdir(tmp_path / name) for name in os.listdir(tmp_path)}
    assert done.returncode == 0
    assert left.pop("orpheus-run-notes") is False
    assert list(left.values()) == [True]  # of the one that is running
    running.terminate()
    running.communicate(timeout=60)
    assert os.listdir(tmp_path) == ["orpheus-run-notes"]


def catches_sigterm(pid: int) -> bool:
    with open(f"/proc/{pid}/status") as stream:
        mask = next(line.split()[1] for line in stream if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("module", ["beam_pipelines.build", "serving.predict", "trainer.task"])
@pytest.mark.parametrize("delay", [0.0, 0.4])
def test_control_c_is_heeded_while_the_libraries_are_imported(module, delay):
    process = start("-m", module, "--help")
    while not catches_sigterm(process.pid):
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if process.returncode != 0:  # a fast machine has shown its help by then
        assert (process.returncode, out, err) == (130, "", "stopped\n")
    else:
        assert delay and out.startswith("usage: ")

"""Files that are whole or not there, and what is left of attempts."""

import os
import signal
import subprocess
import sys

from schemas.common.files import delete_attempts, make_folder, replacing
from tests.helpers.places import ROOT


def test_attempts_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    path = tmp_path / "rows.csv"
    code = (
        "import sys, time\nfrom schemas.common.files import replacing\n"
        "with replacing(sys.argv[1]) as stream:\n    print(flush=True)\n    time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    (tmp_path / "rows.csv.notes.tmp").write_text("mine")
    (tmp_path / f"other.csv.{'0' * 32}.tmp").write_text("of another file")
    before = sorted(os.listdir(tmp_path))
    delete_attempts(str(path))
    assert sorted(os.listdir(tmp_path)) == before and len(before) == 3
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with replacing(str(path)) as stream:
        stream.write(b"whole")
        delete_attempts(str(path))
    assert path.read_bytes() == b"whole"
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["rows.csv", "rows.csv.notes.tmp", f"other.csv.{'0' * 32}.tmp"]
    )


def test_folders_are_made_with_those_above(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folder("a/b/c")
    make_folder("a/b/c")
    assert (tmp_path / "a" / "b" / "c").is_dir()

"""A copy of the checkout as it stands, for what builds inside of it."""

import pathlib
import shutil
import subprocess

from tests.helpers.places import ROOT


def copy_checkout(folder: pathlib.Path) -> pathlib.Path:
    """Copy all files that git tracks, or would, into a new folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": True, "timeout": 60},
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder

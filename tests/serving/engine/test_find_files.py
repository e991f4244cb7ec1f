"""What a search of folders finds, whatever lies in them."""

import os
import socket

import pytest

from schemas.common.errors import UsageError
from serving.engine.find_files import find_inputs


def test_pipes_sockets_devices_and_link_loops_are_counted_not_opened(tmp_path):
    root = tmp_path / "music"
    (root / "deep").mkdir(parents=True)
    for name in ("a.mp3", "deep/b.wav", "notes.txt"):
        (root / name).write_bytes(b"x")
    os.mkfifo(root / "pipe.mp3")
    (root / "to-pipe.mp3").symlink_to(root / "pipe.mp3")
    (root / "null.mp3").symlink_to("/dev/null")
    (root / "self.mp3").symlink_to(root / "self.mp3")
    (root / "deep" / "round").symlink_to(root)
    (root / "gone.mp3").symlink_to(tmp_path / "nowhere")
    (root / "linked.mp3").symlink_to(root / "a.mp3")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket.mp3"))
        found = find_inputs([str(root)])
    assert [os.path.relpath(path, root) for path in found.files] == [
        *("a.mp3", "deep/b.wav", "gone.mp3", "linked.mp3")
    ]
    assert found.ignored == {".txt": 1, "pipes, sockets, devices and link loops": 5}


def test_a_link_loop_alone_does_not_exist(tmp_path):
    (tmp_path / "self").symlink_to(tmp_path / "self")
    with pytest.raises(UsageError, match="self does not exist"):
        find_inputs([str(tmp_path / "self")])

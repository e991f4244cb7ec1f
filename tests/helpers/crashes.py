"""Commands that are killed, or lose their power, where they change the disk.

``python -m tests.helpers.crashes MODULE ...`` imports the modules of commands once, then forks
a process for each line of its input, a JSON object as :class:`Crashes` writes it.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any

from tests.helpers.places import ROOT


class Crashes:
    """Runs commands in processes that die at their n-th change of a folder."""

    def __init__(self, *modules: str) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.crashes", *modules],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, arguments, root, at=None, seed=None, after=None) -> dict[str, Any]:
        """Run a command to its end, or to a crash.

        Parameters
        ----------
        module : str
            One of those that were given.
        arguments : sequence
            Its arguments.
        root : path
            Folder whose changes are counted; its ``tmp`` is the TMPDIR.
        at : int, optional
            The change before which it is killed.
        seed : int, optional
            A power cut in place of a kill: what was not synced may be lost.
        after : float, optional
            Seconds after which it is killed, whatever it does.

        Returns
        -------
        dict
            ``code`` (negative: the signal), ``err`` (what it said), ``changes`` (if it ended).
        """
        order = {"module": module, "argv": [str(a) for a in arguments], "root": str(root)}
        order |= {"at": at, "seed": seed, "after": after}
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def close(self) -> None:
        """End the server."""
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(timeout=60)
        self.server.stdout.close()


class Disk:
    """Counts changes under a folder, and knows which of them are not on the disk yet."""

    def __init__(self, root: str, spare: str, at: int | None, seed: int | None) -> None:
        self.root, self.at, self.count = root + os.sep, at, 0
        self.dice = None if seed is None else random.Random(seed)
        self.lock = threading.RLock()
        self.unsynced: set[str] = set()
        self.journal: list[tuple[str, str, str | None]] = []  # what, path, copy of what was there
        self.spare = spare
        self.names = iter(range(10**9))

    def install(self) -> None:
        """Stand between the process and the disk."""
        real_open, real_fsync = builtins.open, os.fsync

        def watched_open(file, mode="r", *args, **kwargs):
            path = self.path_of(file)
            if path and set(mode) & set("wax+"):
                self.change()
                self.unsynced.add(path)
            return real_open(file, mode, *args, **kwargs)

        def watched_fsync(handle):
            path = os.readlink(f"/proc/self/fd/{handle}")
            with self.lock:
                self.unsynced.discard(path)
                self.journal = [row for row in self.journal if os.path.dirname(row[1]) != path]
            real_fsync(handle)

        builtins.open = io.open = watched_open
        os.fsync = watched_fsync
        os.replace = self.watch(os.replace, "rename")
        os.rename = self.watch(os.rename, "rename")
        os.remove = self.watch(os.remove, "remove")
        os.unlink = self.watch(os.unlink, "remove")
        os.mkdir = self.watch(os.mkdir, "make")
        os.rmdir = self.watch(os.rmdir, "rmdir")

    def path_of(self, file) -> str | None:
        if isinstance(file, int):
            return None
        path = os.path.abspath(os.fspath(file))
        if path.startswith(self.root) and not path.startswith(f"{self.root}tmp"):
            return path
        return None

    def watch(self, real, what):
        def call(path, *args, dir_fd=None, **kwargs):
            if dir_fd is not None:  # shutil.rmtree works inside of open folders
                path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
            target = self.path_of(args[0] if what == "rename" else path)
            if target is None:
                return real(path, *args, **kwargs)
            with self.lock:
                self.change()
                before = self.keep(target) if what in ("rename", "remove") else None
                done = real(path, *args, **kwargs)
                if what == "rename" and os.path.abspath(path) in self.unsynced:
                    self.unsynced.add(target)
                self.journal.append((what, target, before))
                return done

        return call

    def keep(self, path: str) -> str | None:
        if self.dice is None or not os.path.isfile(path):
            return None
        copy = os.path.join(self.spare, str(next(self.names)))
        os.link(path, copy)
        return copy

    def change(self) -> None:
        """One more change: before the one that was named the process dies."""
        with self.lock:
            self.count += 1
            if self.count == self.at:
                if self.dice is not None:
                    self.lose()
                os.kill(os.getpid(), signal.SIGKILL)

    def lose(self) -> None:
        """Undo what was not synced, or not, as it may happen."""
        for path in sorted(self.unsynced):
            if os.path.isfile(path):
                os.truncate(path, self.dice.choice([0, os.path.getsize(path) // 2]))
        for what, path, copy in reversed(self.journal):
            if self.dice.random() < 0.5:
                continue
            if what == "make":
                shutil.rmtree(path, ignore_errors=True)
            elif what == "rename" and os.path.lexists(path):
                os.unlink(path)
            elif what == "rmdir" and os.path.isdir(os.path.dirname(path)):
                os.makedirs(path, exist_ok=True)
            if copy is not None and os.path.isdir(os.path.dirname(path)):
                shutil.copyfile(copy, path)


def _serve(modules: list[str]) -> None:
    mains = {name: importlib.import_module(name).main for name in modules}
    for line in sys.stdin:
        order = json.loads(line)
        temporary = os.path.join(order["root"], "tmp")
        os.makedirs(temporary, exist_ok=True)
        with (
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as counted,
            tempfile.TemporaryDirectory(dir=os.path.dirname(order["root"])) as spare,
        ):
            order["spare"] = spare
            child = os.fork()
            if not child:
                _run(mains[order["module"]], order, temporary, said.fileno(), counted.fileno())
            timer = threading.Timer(order["after"] or 600, os.kill, (child, signal.SIGKILL))
            timer.start()
            _, status = os.waitpid(child, 0)
            timer.cancel()
            timer.join()
            answer = {"code": os.waitstatus_to_exitcode(status)}
            for name, stream in (("err", said), ("changes", counted)):
                stream.seek(0)
                answer[name] = stream.read().decode()
        print(json.dumps(answer), flush=True)


def _run(main, order, temporary, said, counted) -> None:
    from schemas.common.command import run_command

    os.environ["TMPDIR"], tempfile.tempdir = temporary, None
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    disk = Disk(order["root"], order["spare"], order["at"], order["seed"])

    def watched(argv):
        disk.install()
        code = main(argv)
        os.write(counted, str(disk.count).encode())
        return code

    run_command(watched, order["argv"])


if __name__ == "__main__":
    _serve(sys.argv[1:])

"""A real Flink cluster for tests, and builds that go on while the tests kill parts of it."""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from apache_beam.coders import VarIntCoder

from beam_pipelines.runtime import flink_rest
from scripts import flink_cluster
from tests.helpers.corpora import build_command, contents
from tests.helpers.places import ROOT


def members(group: int) -> list[int]:
    """Processes of a group without its leader."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group and int(path.parent.name) != group:
                found.append(int(path.parent.name))
    return found


POOL_PORT = 25700


class Cluster:
    """A cluster of scripts.flink_cluster on ports of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        with socket.socket() as first, socket.socket() as second:
            first.bind(("localhost", 0))
            second.bind(("localhost", 0))
            self.port, rpc_port = first.getsockname()[1], second.getsockname()[1]
        self.ports = ["--port", self.port, "--rpc_port", rpc_port, "--pool_port", POOL_PORT]
        self.options = [
            *("--runner=FlinkRunner", f"--flink_master=localhost:{self.port}"),
            f"--environment_config=worker-pool:{POOL_PORT}",
        ]

    def run(self, action: str, *more) -> None:
        command = [sys.executable, "-m", "scripts.flink_cluster", action, "--directory"]
        command += map(str, [self.folder, *more])
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr

    def kill(self, name: str) -> None:
        """End one with -9; of a pool all but the loop that starts it again."""
        leader = json.loads((self.folder / "ids.json").read_text())[name]["pid"]
        group = [leader] if name.startswith("task") else members(leader)
        assert group
        for pid in group:
            os.kill(pid, signal.SIGKILL)

    def signal_pools(self, number: int) -> None:
        """Send a signal to the pools and to the workers that they have started."""
        ids = json.loads((self.folder / "ids.json").read_text())
        for name in ("pool-1", "pool-2"):
            for pid in members(ids[name]["pid"]):
                with contextlib.suppress(OSError):
                    os.kill(pid, number)

    def heal(self) -> None:
        """Start anew if something was killed."""
        pools = json.loads((self.folder / "ids.json").read_text())
        if not all(flink_cluster.is_ours(entry) for entry in pools.values()):
            self.run("stop")
            self.run("start", *self.ports)

    def ask(self, path: str):
        """What Flink's page answers."""
        return flink_rest.ask(f"localhost:{self.port}", path)

    def jobs(self, state: str) -> list[str]:
        """Steps whose jobs are in a state."""
        jobs = self.ask("/jobs/overview")["jobs"]
        return sorted(job["name"].split("-")[1] for job in jobs if job["state"] == state)

    def jobs_of(self, output: pathlib.Path) -> dict[str, str]:
        """Ids of an output's jobs by step."""
        key = hashlib.md5(str(output).encode()).hexdigest()[:8]
        jobs = self.ask("/jobs/overview")["jobs"]
        return {job["name"].split("-")[1]: job["jid"] for job in jobs if job["name"].endswith(key)}

    def failures(self, job: str) -> list[str]:
        """What a job was started anew for."""
        history = self.ask(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return [entry["stacktrace"].splitlines()[0] for entry in history]

    def steps(self, job: str) -> str:
        """What the page calls a job's parts."""
        return "\n".join(vertex["name"] for vertex in self.ask(f"/jobs/{job}")["vertices"])

    def counters(self, job: str) -> dict[str, int]:
        """The pipeline's counters as a finished job's accumulators hold them: as varints."""
        deadline = time.monotonic() + 60  # the page shows a job as it was some seconds ago
        while self.ask(f"/jobs/{job}")["state"] != "FINISHED" and time.monotonic() < deadline:
            time.sleep(0.2)
        (found,) = self.ask(f"/jobs/{job}/accumulators")["user-task-accumulators"]
        counters = {}
        for metric in json.loads(found["value"])["metrics"]["attempted"]:
            if metric["urn"] == "beam:metric:user:sum_int64:v1":
                labels = metric["labels"]
                name = f"{labels['NAMESPACE']}: {labels['NAME']}"
                counters[name] = VarIntCoder().decode(base64.b64decode(metric["payload"]))
        return counters


class Running:
    """A build in a process of its own that goes on from a plan."""

    def __init__(self, options, planned, output, n_shards) -> None:
        if not output.exists():
            shutil.copytree(planned, output)
        self.output, self.n_shards = output, n_shards
        self.log = output.with_suffix(".log")
        command = build_command(*options)
        with open(self.log, "w") as log:
            # What is killed leaves its temporary files where the test has its own.
            env = os.environ | {"TMPDIR": str(output.parent)}
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def finished(self) -> int:
        return len(list(self.output.glob("_work/side-*.json")))

    def wait_for_a_shard(self) -> None:
        deadline = time.monotonic() + 120
        while not self.finished():
            assert self.process.poll() is None and time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        assert self.finished() < self.n_shards, "all was written before the kill"

    def said(self) -> str:
        return self.log.read_text()

    def ends_well(self, expected: pathlib.Path) -> None:
        assert self.process.wait(240) == 0, self.said()
        assert contents(self.output) == contents(expected)


@contextlib.contextmanager
def blind_pool(hidden: pathlib.Path) -> Iterator[str]:
    """A worker pool to which a folder is empty, as on a host that has not mounted it.

    Yields its address; skips the test where this user may not have such a view of the disk.
    """
    address = f"127.0.0.4:{POOL_PORT}"
    script = 'mount -t tmpfs none "$0" && exec "$1" -m scripts.worker_pool "$2"'
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    process = subprocess.Popen(
        [*unshare, "sh", "-c", script, hidden, sys.executable, address],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(hidden.parent)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        while True:
            if process.poll() is not None:
                pytest.skip(f"no mount of one's own here: {process.stderr.read().decode()}")
            with contextlib.suppress(OSError):
                socket.create_connection(address.split(":"), timeout=1).close()
                break
            time.sleep(0.2)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()

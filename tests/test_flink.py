"""The build on Flink: the same bytes inside one process and on a cluster, whatever is killed."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from beam_pipelines import build, flink, options, workdir
from beam_pipelines.inputs import look
from schemas.errors import UsageError
from scripts import flink_cluster
from tests.conftest import ROOT, required
from tests.corpora import CORPUS_TAGS, build_command, contents, mini_options, msd_options

POOL_PORT, N_SHARDS, N_CLIPS = 25700, 24, 348


@pytest.fixture(scope="session")
def job_server() -> str:
    """Beam's job server, where Java and the jar are to be had without a download."""
    try:
        flink.find_java()
        return flink.find_jar("2.2", download=False)
    except UsageError as error:
        (pytest.fail if required("flink") else pytest.skip)(str(error))


def members(group: int) -> list[int]:
    """Processes of a group without its leader."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group and int(path.parent.name) != group:
                found.append(int(path.parent.name))
    return found


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

    def signal_workers(self, number: int) -> None:
        """Send a signal to the processes that the pools have started."""
        ids = json.loads((self.folder / "ids.json").read_text())
        for name in ("pool-1", "pool-2"):
            for pid in members(ids[name]["pid"]):
                with contextlib.suppress(OSError):
                    if b"sdk_worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(pid, number)

    def heal(self) -> None:
        """Start anew if something was killed."""
        pools = json.loads((self.folder / "ids.json").read_text())
        if not all(flink_cluster.is_ours(entry) for entry in pools.values()):
            self.run("stop")
            self.run("start", *self.ports)

    def jobs(self, state: str) -> list[str]:
        jobs = flink.ask(f"localhost:{self.port}", "/jobs/overview")["jobs"]
        return sorted(job["name"].split("-")[1] for job in jobs if job["state"] == state)


@pytest.fixture(scope="module")
def one_cluster(job_server, tmp_path_factory):
    found = Cluster(tmp_path_factory.mktemp("flink"))
    found.run("start", *found.ports)
    yield found
    found.run("stop")


@pytest.fixture
def cluster(one_cluster):
    """All five processes run, whatever the test before has killed."""
    one_cluster.heal()
    return one_cluster


def corpus_options(fixtures: pathlib.Path, output: pathlib.Path) -> list[str]:
    more = ["--tag_threshold", "10", "--tag_pool_threshold", "1", "--num_shards", str(N_SHARDS)]
    return [*msd_options(fixtures / "corpus", output), *CORPUS_TAGS, *more]


@pytest.fixture(scope="module")
def planned(fixtures_dir, tmp_path_factory) -> pathlib.Path:
    """An output of the corpus of which only the plan is made."""
    output = tmp_path_factory.mktemp("planned") / "out"
    args = options.build_parser().parse_args(corpus_options(fixtures_dir, output))
    options.check_together(args)
    inputs = look(args)
    with workdir.claim(str(output), inputs.plan_id, overwrite=False) as state:
        build.make_plan(args, inputs, state.work, [])
    return output


@pytest.fixture(scope="module")
def corpus(fixtures_dir, planned, tmp_path_factory) -> pathlib.Path:
    """The corpus as this process builds it."""
    output = tmp_path_factory.mktemp("corpus") / "out"
    shutil.copytree(planned, output)
    assert build.main(corpus_options(fixtures_dir, output)) == 0
    return output


class Running:
    """A build in a process of its own that goes on from a plan."""

    def __init__(self, fixtures, planned, output, cluster) -> None:
        if not output.exists():
            shutil.copytree(planned, output)
        self.output = output
        self.log = output.with_suffix(".log")
        command = build_command(*corpus_options(fixtures, output), *cluster.options)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def finished(self) -> int:
        return len(list(self.output.glob("_work/side-*.json")))

    def wait_for_a_shard(self) -> None:
        deadline = time.monotonic() + 120
        while not self.finished():
            assert self.process.poll() is None and time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        assert self.finished() < N_SHARDS, "all was written before the kill"

    def said(self) -> str:
        return self.log.read_text()

    def ends_well(self, expected: pathlib.Path) -> None:
        assert self.process.wait(240) == 0, self.said()
        assert contents(self.output) == contents(expected)


@pytest.mark.flink
@pytest.mark.fixtures
def test_flink_in_one_process_gives_the_same_bytes(fixtures_dir, job_server, mini, tmp_path):
    output = tmp_path / "out"
    options = ["--runner=FlinkRunner", "--flink_master=[local]", "--parallelism=2"]
    command = build_command(*mini_options(fixtures_dir, output), *options)
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert contents(output) == contents(mini)
    assert json.loads((output / "dataset.json").read_text())["run"]["runner"] == "FlinkRunner"
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("plan", "write"))]
    assert lines == []


@pytest.mark.flink
@pytest.mark.fixtures
def test_a_cluster_gives_the_same_bytes(fixtures_dir, cluster, mini, tmp_path):
    output = tmp_path / "out"
    command = build_command(*mini_options(fixtures_dir, output), *cluster.options)
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert contents(output) == contents(mini)
    assert cluster.jobs("FINISHED")[:3] == ["deal", "join", "write"]


@pytest.mark.flink
@pytest.mark.fixtures
def test_the_next_command_takes_over_from_a_killed_one(
    fixtures_dir, cluster, planned, corpus, tmp_path
):
    first = Running(fixtures_dir, planned, tmp_path / "out", cluster)
    first.wait_for_a_shard()
    cluster.signal_workers(signal.SIGSTOP)  # or the job might be done before the next command
    first.process.kill()
    first.process.wait()
    assert cluster.jobs("RUNNING") == ["write"]  # it outlives its command
    second = Running(fixtures_dir, planned, tmp_path / "out", cluster)
    while cluster.jobs("RUNNING") == ["write"] and second.process.poll() is None:
        time.sleep(0.1)
    cluster.signal_workers(signal.SIGCONT)
    second.ends_well(corpus)
    assert "an earlier job of the same output was cancelled" in second.said()
    done = int(re.search(rf"(\d+) of {N_SHARDS} shards are finished already", second.said())[1])
    clips = int(re.search(r"write: clips: (\d+) of \1,", second.said())[1])
    assert 0 < done < N_SHARDS and 0 < clips < N_CLIPS
    assert cluster.jobs("RUNNING") == []


@pytest.mark.flink
@pytest.mark.fixtures
@pytest.mark.parametrize("victim", ["pool-1", "taskmanager-1"])
def test_what_is_killed_is_done_by_the_others(
    victim, fixtures_dir, cluster, planned, corpus, tmp_path
):
    running = Running(fixtures_dir, planned, tmp_path / "out", cluster)
    running.wait_for_a_shard()
    cluster.kill(victim)
    running.ends_well(corpus)  # the same files with the same bytes: no shard twice, nothing left


def test_a_cluster_that_does_not_answer_is_one_line(command, tmp_path):
    result = command(
        *("beam_pipelines.scan", "--audio_dir", tmp_path, "--output", tmp_path / "a.parquet"),
        *("--runner=FlinkRunner", "--flink_master=localhost:1"),
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: --flink_master: no Flink answers at localhost:1 (")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JAVA_HOME", "/nowhere", "there is no Java in JAVA_HOME /nowhere: install Java 17"),
        (flink.JOB_SERVER_JAR, "/nowhere.jar", f"{flink.JOB_SERVER_JAR}: /nowhere.jar is not"),
    ],
)
def test_what_is_missing_is_one_line(command, tmp_path, name, value, said):
    if name != "JAVA_HOME" and not shutil.which("java"):
        pytest.skip("no Java on this machine: its absence is said first")
    result = command(
        *("beam_pipelines.scan", "--audio_dir", tmp_path, "--output", tmp_path / "a.parquet"),
        *("--runner=FlinkRunner", "--flink_master=[local]"),
        env=os.environ | {name: value},
    )
    assert result.returncode == 2
    assert said in result.stderr and result.stderr.count("\n") == 1, result.stderr

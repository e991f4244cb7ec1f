"""A real Flink cluster on this machine: one job manager, two task managers, a worker pool each.

``python -m scripts.flink_cluster start`` takes Flink from its Python package (once, into a
cache), starts five processes and says how to use them; ``stop`` takes down exactly those.
It is small on purpose (allow 3 GiB): for trying and testing, not for a large build.
"""

from __future__ import annotations

import argparse
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
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from beam_pipelines.runtime.flink_job_server import JOB_SERVER_JAR, find_java
from beam_pipelines.runtime.flink_rest import ask
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import RunError, UsageError

FLINK = {"2.2": "2.2.1", "1.19": "1.19.3"}  # version of Flink to that of its package
TASK_MANAGERS, SLOTS = 2, 2
POOL_HOST = "worker-pool"
_WAIT = 120  # s for the cluster to be up
_JARS = ("flink-dist-", "log4j-")

_LOG = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} %m%n
"""
# What Flink's own start scripts open to it on Java 17.
_OPEN = (
    *("java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.net"),
    *("java.base/java.io", "java.base/java.nio", "java.base/sun.nio.ch", "java.base/java.text"),
    *("java.base/java.time", "java.base/java.util", "java.base/java.util.concurrent"),
    *("java.base/java.util.concurrent.atomic", "java.base/java.util.concurrent.locks"),
)


def main(argv: Sequence[str]) -> int:
    """Start, stop or look at the cluster; `status` gives 1 unless all of it runs."""
    parser = ArgumentParser(
        prog="python -m scripts.flink_cluster",
        description="A real Flink cluster on this machine: a job manager, two task managers with "
        "two slots each and a Beam worker pool beside each.",
        epilog="Exit codes: 0 done, 1 failed or (status) not running, 2 wrong arguments.",
    )
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("--directory", default=_cache("cluster"), help="settings, logs, ids")
    parser.add_argument("--cache", default=_cache("flink"), help="keeps what was downloaded")
    parser.add_argument(
        "--flink_version",
        choices=FLINK,
        default=_version_of(os.environ.get(JOB_SERVER_JAR, "")),
        help=f"must be that of Beam's job server (the one in {JOB_SERVER_JAR}, if it is set)",
    )
    parser.add_argument("--port", type=int, default=8081, help="of Flink's page")
    parser.add_argument("--rpc_port", type=int, default=6123, help="of the job manager")
    parser.add_argument("--pool_port", type=int, default=50000, help="of the worker pools")
    args = parser.parse_args(argv)
    folder = pathlib.Path(args.directory).resolve()
    if args.action == "start":
        _start(args, folder)
        print(
            f"Flink {FLINK[args.flink_version]} is up: http://localhost:{args.port}; add to a "
            f"command: --runner=FlinkRunner --flink_master=localhost:{args.port} "
            f"--environment_config={POOL_HOST}:{args.pool_port}"
        )
    elif args.action == "stop":
        print(f"{stop(folder)} processes stopped")
    else:
        alive = {name: is_ours(entry) for name, entry in read_ids(folder).items()}
        for name, up in alive.items():
            print(f"{name}: {'runs' if up else 'is gone'}")
        if not alive or not all(alive.values()):
            print("the cluster does not run")
            return 1
    return 0


def _cache(name: str) -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(home, "orpheus", name)


def _version_of(jar: str) -> str:
    """The Flink that a job server's file name says it is for."""
    found = re.search(r"flink-(\d+\.\d+)-job-server", os.path.basename(jar))
    return found[1] if found else "2.2"


def _start(args: argparse.Namespace, folder: pathlib.Path) -> None:
    if any(is_ours(entry) for entry in read_ids(folder).values()):
        raise UsageError(f"a cluster of {folder} runs already: stop it first")
    for port in (args.port, args.rpc_port, args.pool_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                raise UsageError(f"port {port} is taken: see --help for others") from error
    java = find_java()
    jars = get_flink(args.flink_version, pathlib.Path(args.cache))
    folder.mkdir(parents=True, exist_ok=True)
    write_settings(folder, args.port, args.rpc_port)
    (folder / "ids.json").write_text("{}")
    try:
        for name, command in commands(java, jars, folder, args.pool_port).items():
            launch(folder, name, command)
        _await_up(folder, f"http://localhost:{args.port}", args.pool_port)
    except BaseException:
        stop(folder)
        raise


def get_flink(version: str, cache: pathlib.Path) -> list[pathlib.Path]:
    """The jars of a Flink, downloaded with pip unless the cache has them.

    Parameters
    ----------
    version : str
        A key of :data:`FLINK`.
    cache : pathlib.Path
        Keeps them.

    Raises
    ------
    RunError
        If pip cannot download the package.
    """
    full = FLINK[version]
    final = cache / full
    if not final.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as at:
            print(f"downloading Flink {full} (some 300 MB, once)", file=sys.stderr)
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", at]
            got = subprocess.run([*pip, f"apache-flink-libraries=={full}"], capture_output=True)
            if got.returncode:
                lines = got.stderr.decode().strip().splitlines()
                raise RunError("pip cannot download Flink: " + (lines[-1] if lines else "?"))
            (package,) = pathlib.Path(at).glob("apache*")
            (pathlib.Path(at) / "lib").mkdir()
            for name, stream in _members(package):
                with open(pathlib.Path(at, "lib", name), "wb") as target:
                    shutil.copyfileobj(stream, target)
            with contextlib.suppress(OSError):  # another start was faster
                pathlib.Path(at, "lib").rename(final)
    return sorted(final.glob("*.jar"))


def _members(package: pathlib.Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The jars that a cluster needs, from a wheel or, of older versions, a source package."""

    def wanted(path: str) -> bool:
        *_, folder, name = ("", *path.split("/"))
        return folder == "lib" and name.startswith(_JARS)

    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            for path in filter(wanted, wheel.namelist()):
                yield os.path.basename(path), wheel.open(path)
    else:
        with tarfile.open(package) as source:
            for member in source:
                stream = source.extractfile(member) if wanted(member.name) else None
                if stream is not None:  # a file
                    yield os.path.basename(member.name), stream


def write_settings(folder: pathlib.Path, port: int, rpc_port: int) -> None:
    """Write Flink's configuration: local addresses, a small memory, failures noticed soon."""
    settings = {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": rpc_port,
        "rest.address": "localhost",
        "rest.bind-address": "localhost",
        "rest.port": port,
        "taskmanager.host": "localhost",
        "taskmanager.numberOfTaskSlots": SLOTS,
        "taskmanager.cpu.cores": float(SLOTS),
        "taskmanager.memory.framework.heap.size": "64m",
        "taskmanager.memory.framework.off-heap.size": "64m",
        "taskmanager.memory.task.heap.size": "192m",
        "taskmanager.memory.task.off-heap.size": "64m",
        "taskmanager.memory.network.min": "256m",
        "taskmanager.memory.network.max": "256m",
        "taskmanager.memory.managed.size": "96m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.jvm-overhead.max": "128m",
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 10000,
        "restart-strategy.type": "failure-rate",
        "restart-strategy.failure-rate.max-failures-per-interval": 20,
        "restart-strategy.failure-rate.failure-rate-interval": "10 min",
        "restart-strategy.failure-rate.delay": "2 s",
        "io.tmp.dirs": folder / "tmp",
        "web.tmpdir": folder / "tmp",
        "env.log.dir": folder,
    }
    (folder / "tmp").mkdir(exist_ok=True)
    text = "".join(f"{key}: {value}\n" for key, value in settings.items())
    (folder / "config.yaml").write_text(text)
    (folder / "log4j.properties").write_text(_LOG)
    for i in range(1, TASK_MANAGERS + 1):
        # As on a cluster, one name means to each task manager the pool beside it.
        hosts = f"127.0.0.1 localhost {socket.gethostname()}\n{_pool_address(i)} {POOL_HOST}\n"
        (folder / f"hosts-{i}").write_text(hosts)


def _pool_address(i: int) -> str:
    return f"127.0.0.{i + 1}"


def commands(
    java: str, jars: Sequence[pathlib.Path], folder: pathlib.Path, pool_port: int
) -> dict[str, list[str]]:
    """The five processes, by name."""
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPEN]
    runtime = "org.apache.flink.runtime"

    def flink(name: str, heap: str, entry: str) -> list[str]:
        return [
            *(java, *opened, f"-Xmx{heap}", "-XX:MaxDirectMemorySize=448m"),
            *("-XX:MaxMetaspaceSize=256m", "-XX:+UseSerialGC", f"-Dlog.file={folder}/{name}.log"),
            f"-Dlog4j.configurationFile={folder}/log4j.properties",
            *("-cp", ":".join(map(str, jars)), f"{runtime}.{entry}", "--configDir", str(folder)),
        ]

    found = {
        "jobmanager": flink("jobmanager", "384m", "entrypoint.StandaloneSessionClusterEntrypoint")
    }
    for i in range(1, TASK_MANAGERS + 1):
        name = f"taskmanager-{i}"
        start, *rest = flink(name, "256m", "taskexecutor.TaskManagerRunner")
        found[name] = [start, f"-Djdk.net.hosts.file={folder}/hosts-{i}", *rest]
    for i in range(1, TASK_MANAGERS + 1):
        pool = f"{_pool_address(i)}:{pool_port}"
        # A service manager's work: a pool that ends is started again.
        loop = f"while true; do '{sys.executable}' -m scripts.worker_pool {pool}; done"
        found[f"pool-{i}"] = ["sh", "-c", loop]
    return found


def launch(folder: pathlib.Path, name: str, command: Sequence[str]) -> int:
    """Start one process in a group of its own and note its id; returns the id."""
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    # A pool starts whatever `python` is on its path; a worker has a core, not all of them.
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with open(folder / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            command,
            cwd=pathlib.Path(__file__).resolve().parent.parent,
            env=os.environ | threads | {"PATH": path, "TMPDIR": str(folder / "tmp")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    ids = read_ids(folder)
    ids[name] = {"pid": process.pid, "started": _birth(process.pid)}
    (folder / "ids.json").write_text(json.dumps(ids))
    return process.pid


def _await_up(folder: pathlib.Path, master: str, pool_port: int) -> None:
    deadline = time.monotonic() + _WAIT
    while time.monotonic() < deadline:
        for name, entry in read_ids(folder).items():
            if not is_ours(entry):
                raise RunError(f"{name} did not start: see {folder / name}.log")
        with contextlib.suppress(OSError, UsageError):
            if ask(master, "/overview")["slots-total"] == TASK_MANAGERS * SLOTS:
                for i in range(1, TASK_MANAGERS + 1):
                    socket.create_connection((_pool_address(i), pool_port), timeout=1).close()
                return
        time.sleep(0.5)
    raise RunError(f"the cluster is not up after {_WAIT} s: see the logs in {folder}")


def read_ids(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Process ids by name, as the last start noted them."""
    path = folder / "ids.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _birth(pid: int) -> str | None:
    """When a process began: with its id that names it for good. None of one that is gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else fields[19]


def is_ours(entry: dict[str, Any]) -> bool:
    """Whether a noted process still runs."""
    return entry["started"] is not None and _birth(entry["pid"]) == entry["started"]


def stop(folder: pathlib.Path) -> int:
    """Stop the noted processes, each with those it has started; returns how many there were."""
    alive = [entry for entry in read_ids(folder).values() if is_ours(entry)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for entry in filter(is_ours, alive):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(entry["pid"], number)
        deadline = time.monotonic() + 10
        while any(map(is_ours, alive)) and time.monotonic() < deadline:
            time.sleep(0.1)
    (folder / "ids.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    return len(alive)


if __name__ == "__main__":
    run_command(main)

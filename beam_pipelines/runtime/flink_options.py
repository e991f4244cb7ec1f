"""Flink: what it wants beside Beam's options, and one clear line where something is missing."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam
import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.utils.subprocess_server import JavaJarServer, pick_port

from beam_pipelines.runtime.preflight import find_refusal
from schemas.common.errors import RunError, UsageError

JOB_SERVER_JAR = "ORPHEUS_FLINK_JOB_SERVER_JAR"
POOL = "localhost:50000"
RETRIES = 6
_HERE = ("[local]", "[auto]", "[collection]")
_PATIENCE = 60  # s for the job server to start, for a job to be cancelled
_OVER = {"FINISHED", "FAILED", "CANCELED"}


def add_defaults(argv: Sequence[str], n_cores: int) -> list[str]:
    """A command line for Flink with what was not said: parallelism, workers, retries.

    Parameters
    ----------
    argv : sequence of str
        Beam's options, with ``--runner=FlinkRunner``.
    n_cores : int
        Parallelism of a Flink inside this process.

    Returns
    -------
    list of str

    Raises
    ------
    UsageError
        If the cluster does not answer or has no slot.
    """
    given = PipelineOptions(argv)
    flink, portable = given.view_as(FlinkRunnerOptions), given.view_as(PortableOptions)
    more = []
    if not is_cluster(flink.flink_master):
        if flink.parallelism < 1:
            more.append(f"--parallelism={n_cores}")
        return [*argv, *more]
    slots = ask(flink.flink_master, "/overview")["slots-total"]
    if not slots:
        raise UsageError(f"--flink_master: {flink.flink_master} has no task manager: start one")
    if flink.parallelism < 1:
        more.append(f"--parallelism={slots}")
    if not portable.environment_type:
        more.append("--environment_type=EXTERNAL")
        if not portable.environment_config:
            more.append(f"--environment_config={POOL}")
    if not _names(argv, "--execution_mode_for_batch"):
        # Stage after stage: what slots a lost task manager leaves are enough to go on.
        more.append("--execution_mode_for_batch=BATCH_FORCED")
    if not _names(argv, "--number_of_execution_retries"):
        more.append(f"--number_of_execution_retries={RETRIES}")
    settings = {entry["key"] for entry in ask(flink.flink_master, "/jobmanager/config")}
    if not any(key.startswith("restart-strategy") for key in settings):
        print(
            "warning: the cluster has no restart-strategy: Flink may end the job with the first "
            "worker that it loses; the same command goes on (docs/cluster.md)",
            file=sys.stderr,
        )
    if not _names(argv, "--flink_version"):
        version = ask(flink.flink_master, "/config")["flink-version"]
        more.append("--flink_version=" + ".".join(version.split(".")[:2]))
    return [*argv, *more]


def add_job_server(argv: Sequence[str], unknown: Sequence[str]) -> list[str]:
    """Start a job server unless one is named, and ask it about options that Beam does not know.

    Parameters
    ----------
    argv : sequence of str
        Of :func:`add_defaults`.
    unknown : sequence of str
        What Beam's Python half has no parser for: options of Flink's, or mistakes.

    Returns
    -------
    list of str
        The command line with ``--job_endpoint``.

    Raises
    ------
    UsageError
        If Java or the job server's jar is missing, or an option is unknown to it too.
    RunError
        If it does not start.
    """
    options = PipelineOptions(argv)
    flink = options.view_as(FlinkRunnerOptions)
    endpoint = options.view_as(PortableOptions).job_endpoint
    if flink.flink_submit_uber_jar:  # Beam submits by itself, without a server
        if not flink.flink_job_server_jar:
            argv = [*argv, f"--flink_job_server_jar={find_jar(flink.flink_version)}"]
        return [*argv]
    if not endpoint:
        server = options.view_as(JobServerOptions)
        launcher = server.job_server_java_launcher
        endpoint = _job_server(
            find_java() if launcher == "java" else launcher,
            tuple(server.job_server_jvm_properties),
            flink.flink_job_server_jar or find_jar(flink.flink_version),
            address(flink.flink_master),
        )
        argv = [*argv, f"--job_endpoint={endpoint}"]
    known = _described(endpoint)
    for option in unknown:
        name = option.partition("=")[0]
        if name.startswith("--") and name[2:] not in known:
            raise UsageError(f"unknown option {name} (see --help)")
    return [*argv]


def _names(argv: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(option + "=") for word in argv)


def is_cluster(master: str) -> bool:
    """Whether a ``--flink_master`` is a cluster, not a Flink that lives in the job server."""
    return master.strip() not in _HERE


def address(master: str) -> str:
    """A ``--flink_master`` as a URL; what is no cluster stays as it is."""
    if not is_cluster(master) or re.match("https?://", master):
        return master.rstrip("/")
    return f"http://{master}"


def ask(master: str, path: str, method: str = "GET") -> Any:
    """Ask a Flink cluster's page for JSON.

    Raises
    ------
    UsageError
        If it does not answer.
    """
    request = urllib.request.Request(address(master) + "/v1" + path, method=method)
    try:
        # No proxy: a cluster is in one's own network.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UsageError(
            f"--flink_master: no Flink answers at {master} ({reason}); give the HOST:PORT of "
            "its page, or [local]"
        ) from error


def find_java() -> str:
    """The Java of JAVA_HOME or of the PATH.

    Raises
    ------
    UsageError
        If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(os.path.join(home, "bin", "java") if home else "java")
    if java is None:
        where = f"JAVA_HOME {home}" if home else "the PATH"
        raise UsageError(
            f"--runner=FlinkRunner: there is no Java in {where}: install Java 17 (Debian, Ubuntu: "
            "apt-get install openjdk-17-jre-headless)"
        )
    return java


def find_jar(flink_version: str, download: bool = True) -> str:
    """Beam's job server for Flink: named, in Beam's cache, from Maven, or as Beam downloads it.

    Parameters
    ----------
    flink_version : str
        As ``2.2``.
    download : bool
        Whether it is looked for beyond this machine.

    Raises
    ------
    UsageError
        If it is nowhere.
    """
    named = os.environ.get(JOB_SERVER_JAR)
    if named:
        if not os.path.isfile(named):
            raise UsageError(f"{JOB_SERVER_JAR}: {named} is not there")
        return named
    artifact = f"beam-runners-flink-{flink_version}-job-server"
    version = apache_beam.__version__
    cached = os.path.join(JavaJarServer.JAR_CACHE, f"{artifact}-{version}.jar")
    if os.path.isfile(cached) or download and _copy_with_maven(artifact, version, cached):
        return cached
    if download:
        url = JavaJarServer.path_to_maven_jar(artifact, JavaJarServer.BEAM_GROUP_ID, version)
        with contextlib.suppress(OSError, RuntimeError):
            return JavaJarServer.local_jar(url)
    raise UsageError(
        f"--runner=FlinkRunner: Beam's job server for Flink {flink_version} is not there"
        f"{' and cannot be downloaded' if download else ''}: put {os.path.basename(cached)} into "
        f"{JavaJarServer.JAR_CACHE}, or name a jar in {JOB_SERVER_JAR}"
    )


def _copy_with_maven(artifact: str, version: str, destination: str) -> bool:
    """Whether Maven, which knows the mirrors of the place, could copy an artifact."""
    maven = shutil.which("mvn")
    if maven is None:
        return False
    print(f"downloading {artifact} {version} with Maven (once)", file=sys.stderr)
    folder = os.path.dirname(destination)
    os.makedirs(folder, exist_ok=True)
    command = [
        *(maven, "--batch-mode", "--quiet", "dependency:copy"),
        *(f"-Dartifact=org.apache.beam:{artifact}:{version}", f"-DoutputDirectory={folder}"),
    ]
    result = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, cwd=folder)
    return result.returncode == 0 and os.path.isfile(destination)


@functools.cache
def _job_server(java: str, properties: tuple[str, ...], jar: str, master: str) -> tuple[str, str]:
    """A job server for all pipelines of this process; returns its address."""
    port = pick_port(None)[0]
    folder = tempfile.TemporaryDirectory(prefix="orpheus-job-server-")
    log = os.path.join(folder.name, "log")
    command = [
        *(java, f"-Djava.io.tmpdir={folder.name}", *properties, "-jar", jar),
        *("--flink-master", master, "--job-port", str(port)),
        *("--artifact-port", "0", "--expansion-port", "0", "--artifacts-dir", folder.name),
    ]
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, preexec_fn=_die_with_us
        )
    atexit.register(_stop, process, folder)
    endpoint = f"localhost:{port}"
    ready = grpc.channel_ready_future(grpc.insecure_channel(endpoint))
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            ready.result(timeout=0.5)
            return endpoint
        except grpc.FutureTimeoutError:
            if process.poll() is not None:
                break
    with open(log, errors="replace") as stream:
        last = ([line.strip() for line in stream if line.strip()] or ["it said nothing"])[-1]
    raise RunError(f"Beam's job server {jar} does not start: {last}")


def _die_with_us() -> None:
    """Have the kernel end the child if this process is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    os.setpgid(0, 0)  # Ctrl-C is for us: we end it


def _stop(process: subprocess.Popen, folder: tempfile.TemporaryDirectory) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    folder.cleanup()


def _described(endpoint: str) -> set[str]:
    """Options that a job server knows beyond those of Beam's Python half."""
    with grpc.insecure_channel(endpoint) as channel:
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        try:
            answer = stub.DescribePipelineOptions(request, timeout=_PATIENCE)
        except grpc.RpcError as error:
            raise UsageError(f"--job_endpoint: no job server answers at {endpoint}") from error
    return {option.name for option in answer.options}


def cancel_jobs(master: str, key: str) -> int:
    """Cancel a cluster's jobs whose names end in `key`, and wait until they are over.

    A job outlives the process that submitted it; the one that comes after it does its rest.

    Parameters
    ----------
    master : str
        Address of the cluster.
    key : str
        End of the names.

    Returns
    -------
    int
        Number of jobs.

    Raises
    ------
    RunError
        If one does not end.
    """
    found = _running(master, key)
    for job in found:
        ask(master, f"/jobs/{job}?mode=cancel", "PATCH")
    deadline = time.monotonic() + _PATIENCE
    while _running(master, key):
        if time.monotonic() > deadline:
            raise RunError(f"an earlier job of the same output does not end: see {address(master)}")
        time.sleep(0.5)
    return len(found)


@contextlib.contextmanager
def heed_refusals(master: str, name: str) -> Iterator[None]:
    """Cancel a job when one of its workers refuses: Flink would start it again and again.

    Parameters
    ----------
    master : str
        Address of the cluster.
    name : str
        The job's.

    Raises
    ------
    UsageError
        What the worker said, in place of the error that the cancelled job ends in.
    """
    refusals: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not refusals and not over.wait(2):
            with contextlib.suppress(UsageError):  # a page that is busy is asked again
                refusals.extend(_refusals(master, name))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        if refusals:
            raise UsageError(refusals[0]) from error
        raise
    finally:
        over.set()
        watcher.join()


def _refusals(master: str, name: str) -> list[str]:
    """What workers of the running job of a name have refused; it is cancelled if they have."""
    found = []
    for job in _running(master, name):
        history = ask(master, f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        said = [find_refusal(entry["stacktrace"]) for entry in history]
        if any(said):
            ask(master, f"/jobs/{job}?mode=cancel", "PATCH")
            found += filter(None, said)
    return found


def _running(master: str, end: str) -> list[str]:
    jobs = ask(master, "/jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["name"].endswith(end) and job["state"] not in _OVER]

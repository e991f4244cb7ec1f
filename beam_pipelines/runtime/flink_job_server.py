"""Beam's job server for Flink: Java, the jar, one process for a command."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

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

from beam_pipelines.runtime.flink_rest import PATIENCE, address
from schemas.common.errors import RunError, UsageError

JOB_SERVER_JAR = "ORPHEUS_FLINK_JOB_SERVER_JAR"


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
def _job_server(java: str, properties: tuple[str, ...], jar: str, master: str) -> str:
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
    deadline = time.monotonic() + PATIENCE
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
            answer = stub.DescribePipelineOptions(request, timeout=PATIENCE)
        except grpc.RpcError as error:
            raise UsageError(f"--job_endpoint: no job server answers at {endpoint}") from error
    return {option.name for option in answer.options}

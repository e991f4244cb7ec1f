"""What Flink's page is asked: versions, jobs, what went wrong."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from beam_pipelines.runtime.preflight import find_refusal
from schemas.common.errors import RunError, UsageError

_HERE = ("[local]", "[auto]", "[collection]")
PATIENCE = 60  # s for the job server to start, for a job to be cancelled
_OVER = {"FINISHED", "FAILED", "CANCELED"}


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
    deadline = time.monotonic() + PATIENCE
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
    found: list[str] = []
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

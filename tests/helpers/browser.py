"""A page in headless Chromium: what it becomes, what it says on its console, what it fetches."""

import contextlib
import dataclasses
import http.server
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading

# Nothing but this machine can be reached, so that the browser's own errands end here.
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--enable-logging=stderr"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
DARK = "--blink-settings=preferredColorScheme=0"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A page as the browser had it: its tree as HTML, the console's lines, requests in order."""

    dom: str
    console: list[str]
    requests: list[str]


def find_chromium() -> str | None:
    """Path of a Chromium on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def serve(pages: dict[str, str]):
    """Serve texts by their path; yields the address and the growing list of requests."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            page = pages.get(self.path)
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def look(
    chromium: str,
    pages: dict[str, str],
    *options: str,
    screenshot: pathlib.Path | None = None,
    size: tuple[int, int] = (1200, 900),
) -> Seen:
    """Open the first of `pages` ({path: text}) from an empty profile and wait until it is there."""
    more = [f"--screenshot={screenshot}"] if screenshot else []
    with serve(pages) as (address, requests), tempfile.TemporaryDirectory() as profile:
        result = subprocess.run(
            [
                *(chromium, *OPTIONS, *options, *more, "--dump-dom"),
                *(f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"),
                address + next(iter(pages)),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.returncode == 0, result.stderr
    console = re.findall(r"^.*:CONSOLE.*$", result.stderr, re.MULTILINE)
    return Seen(result.stdout, console, requests)

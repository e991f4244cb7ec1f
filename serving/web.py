"""A local page that tags what is dropped on it: ``python -m serving.web --model DIR``."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import logging
import socket
import sys
from collections.abc import Sequence

import uvicorn

from schemas.common.arguments import positive
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import UsageError
from schemas.saved_model import LITE, WINDOWS, find_saved_model, read_lite_info, read_model_info
from serving.engine.litert import load_lite_signature
from serving.engine.saved_model import load_signature
from serving.webapp.app import make_app
from serving.webapp.tag_upload import MEGABYTE, Limits


def main(argv: Sequence[str]) -> int:
    """Load the model and serve the page until Ctrl-C, which is the good end: 0."""
    options = parse(argv)
    if options.model.endswith(LITE):
        path, load = options.model, load_lite_signature
        info = read_lite_info(path)
    else:
        path, load = find_saved_model(options.model), load_signature
        info = read_model_info(path)
    limits = Limits(round(options.max_size * MEGABYTE), options.max_seconds)
    if not options.verbose:
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    with listen(options.host, options.port) as listener:
        try:
            print(f"loading {path} …", flush=True)
            app = make_app(load(path, WINDOWS), info, limits, options.host)
            settings = uvicorn.Config(
                app,
                log_config=None,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
            print(f"open {address(listener)} (Ctrl-C ends)", flush=True)
            if not is_loopback(options.host):
                print("note: whoever reaches this machine can use the page", file=sys.stderr)
            uvicorn.Server(settings).run([listener])
        except KeyboardInterrupt:
            print("\nstopped")
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command, checked as far as they can be without reading files."""
    parser = ArgumentParser(
        prog="python -m serving.web", description="Serve a local page that tags audio."
    )
    parser.add_argument(
        "--model",
        required=True,
        help="job directory of the trainer, a SavedModel it exported, or a .tflite file",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; this one is for this machine"
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument(
        "--max_size", type=positive, default=100.0, metavar="MB", help="largest file, in MB"
    )
    parser.add_argument(
        "--max_seconds", type=positive, default=1200.0, help="longest audio of a file, in seconds"
    )
    options = parser.parse_args(argv)
    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port is {options.port}: it must be 0 to 65535")
    return options


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; taken before the model is loaded, so that a taken port is said at once.

    Raises
    ------
    UsageError
        If the address cannot be had.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is in use: choose another with --port (0 takes a free one)"
            ) from error
        raise UsageError(f"cannot listen at {host}, port {port}: {error.strerror}") from error
    return listener


def address(listener: socket.socket) -> str:
    """URL of the page behind a socket, for this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    run_command(main)

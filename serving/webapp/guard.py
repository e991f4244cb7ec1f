"""Who may use the server: its own page alone; the page's security headers."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The page needs its own files, its own server, and the user's file as a blob; nothing else.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def say(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer that is an error."""
    return JSONResponse({"error": sentence}, status, headers)


class Guard:
    """Keeps other sites from using the server through the user's browser; adds `HEADERS`.

    A page elsewhere can send requests here, or have its own name lead here (DNS
    rebinding); neither can hide the name of its site from the browser.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        sentence = refused(Headers(scope=scope), self.host)
        app = say(403, sentence) if sentence else self.app
        await app(scope, receive, send_more)


def refused(headers: Headers, host: str) -> str | None:
    """Why a request is not from the server's own page; None if it is, or from no browser.

    Parameters
    ----------
    headers : Headers
        Of the request.
    host : str
        The host that the server was told to listen at.
    """
    named = headers.get("host", "")
    try:
        name = urllib.parse.urlsplit(f"//{named}").hostname or ""
    except ValueError:
        name = ""
    if name not in (host.lower(), "localhost") and not _is_address(name):
        return "This server does not go by that name; open the address that it printed."
    if headers.get("origin", f"http://{named}") != f"http://{named}":
        return "Only the server's own page may send it audio."
    return None


def _is_address(name: str) -> bool:
    """Whether a host is written as an address, which no site's name can lead to."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""The application behind the page: its files, who may send what, and the tags of a request."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import ipaddress
import pathlib
import sys
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import soundfile
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from beam_pipelines.audio.decode import AudioError
from schemas.audio_spec import LOG_MEL
from schemas.rejects import Reason
from schemas.saved_model import ModelInfo
from serving.engine.batching import Model, tag_track
from serving.engine.track import TooLongError, load_track
from serving.output.rows import Wanted, make_row

PAGE = pathlib.Path(__file__).parents[1] / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("app", "record", "taggram")},
    "/microphone.js": ("microphone.js", "text/javascript"),
}
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
MEGABYTE = 1_000_000
BODIES = 4  # requests whose audio is in memory at a time
_NO_AUDIO = "No audio can be decoded from this file (MP3, WAV, FLAC and OGG are known)."
_SENTENCES = {
    Reason.EMPTY_FILE: "The file is empty.",
    Reason.NO_SAMPLES: "The file holds no audio.",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may hold.

    Attributes
    ----------
    size : int
        Bytes of the body.
    seconds : float
        Length of the audio in s.
    """

    size: int
    seconds: float


class Refusal(Exception):
    """A request that gets no tags: a status and a sentence for the user."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def make_app(model: Model, info: ModelInfo, limits: Limits, host: str) -> ASGIApp:
    """The page and its two addresses, ``/about`` and ``/tag``.

    Parameters
    ----------
    model : callable
        The signature `windows`, see :func:`serving.engine.saved_model.load_signature`.
    info : ModelInfo
        What the model is.
    limits : Limits
        What a request may hold.
    host : str
        The host that the server was told to listen at.
    """
    turn, bodies = asyncio.Semaphore(1), asyncio.Semaphore(BODIES)

    async def tag(request: Request) -> Response:
        async with bodies:
            file = await read_body(request, limits.size)
            async with turn:
                if await request.is_disconnected():
                    raise ClientDisconnect
                try:
                    answer = await run_in_threadpool(tag_audio, file, model, info, limits)
                except Refusal:
                    raise
                except Exception as error:  # whatever a file does, the server goes on
                    print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
                    raise Refusal(500, "The audio could not be tagged.") from error
                return JSONResponse(answer)

    async def about(request: Request) -> Response:
        return JSONResponse(
            {
                "tags": len(info.labels),
                "licence": info.licence,
                "max_size": limits.size,
                "max_seconds": limits.seconds,
            }
        )

    routes = [Route("/tag", tag, methods=["POST"]), Route("/about", about, methods=["GET"])]
    routes += [Route(path, file_endpoint(*file), methods=["GET"]) for path, file in FILES.items()]
    handlers = {
        HTTPException: lambda request, error: say(
            error.status_code,
            f"{request.method} {request.url.path}: {error.detail}.",
            error.headers,
        ),
        Refusal: lambda request, error: say(error.status, str(error)),
        ClientDisconnect: lambda request, error: Response(status_code=400),
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), host)


def file_endpoint(name: str, media_type: str) -> Callable[[Request], Response]:
    """Endpoint of one file of the page, read now."""
    content = (PAGE / name).read_bytes()

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint


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


async def read_body(request: Request, limit: int) -> io.BytesIO:
    """The audio of a request; it is kept in memory and nowhere else.

    Raises
    ------
    Refusal
        413 if it is larger than `limit` bytes, as soon as that is known.
    """
    too_large = Refusal(413, f"The file is larger than {limit / MEGABYTE:g} MB (--max_size).")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    file = io.BytesIO()
    async for chunk in request.stream():
        file.write(chunk)
        if file.tell() > limit:
            raise too_large
    return file


def tag_audio(file: io.BytesIO, model: Model, info: ModelInfo, limits: Limits) -> dict[str, Any]:
    """Tags of a file, of the whole and of its windows.

    Parameters
    ----------
    file : io.BytesIO
        A whole file.
    model : callable
        The signature `windows`, see :func:`serving.engine.saved_model.load_signature`.
    info : ModelInfo
        What the model is.
    limits : Limits
        The longest audio.

    Returns
    -------
    dict
        JSON values: ``tags``, ``starts`` and ``taggram`` of all tags as in the rows of
        :func:`serving.output.rows.make_row`; length of a ``window`` and ``duration`` of the audio
        in s; ``padded``, whether the audio is shorter than a window.

    Raises
    ------
    Refusal
        413 if the audio is too long, 400 if it cannot be decoded, 500 if the model fails.
    """
    try:
        if claimed_seconds(file) > limits.seconds:  # said before anything is decoded
            raise TooLongError
        track = load_track(file, info, limits.seconds)
    except TooLongError as error:
        raise Refusal(
            413, f"The audio is longer than {limits.seconds:g} s (--max_seconds)."
        ) from error
    except AudioError as error:
        raise Refusal(400, _SENTENCES.get(error.reason, _NO_AUDIO)) from error
    result = tag_track(model, track, info)
    if result.error is not None:
        raise Refusal(500, f"The audio could not be tagged: {result.error}.")
    row = make_row("", result, Wanted(info.labels, taggram=True))
    step = info.spec.hop_length if info.frontend == LOG_MEL else 1
    return {
        **{key: row[key] for key in ("tags", "starts", "taggram")},
        "window": info.window * step / info.spec.sample_rate,
        "duration": track.duration,
        "padded": track.is_short,
    }


def claimed_seconds(file: io.BytesIO) -> float:
    """Length in s by the file's headers; 0 if they say none."""
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as source:
            return source.frames / source.samplerate
    except (soundfile.SoundFileError, RuntimeError):
        return 0.0

"""The application behind the page: its files, who may send what, and the tags of a request."""

from __future__ import annotations

import asyncio
import pathlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from schemas.saved_model import ModelInfo
from serving.engine.model import Model
from serving.webapp.guard import Guard, say
from serving.webapp.tag_upload import Limits, Refusal, read_body, tag_audio

PAGE = pathlib.Path(__file__).parents[1] / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("app", "record", "taggram")},
    "/microphone.js": ("microphone.js", "text/javascript"),
}
BODIES = 4  # requests whose audio is in memory at a time


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


def file_endpoint(name: str, media_type: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Endpoint of one file of the page, read now."""
    content = (PAGE / name).read_bytes()

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint

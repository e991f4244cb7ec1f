"""The tags of an uploaded file, or the sentence that says why there are none."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

from starlette.requests import Request

from beam_pipelines.audio.errors import AudioError
from schemas.rejects import Reason
from schemas.saved_model import ModelInfo
from serving.engine.batching import tag_track
from serving.engine.model import Model
from serving.engine.track import load_track
from serving.output.rows import Wanted, best_tags, make_row

MEGABYTE = 1_000_000
_NO_AUDIO = "No audio can be decoded from this file."
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
        in s; ``warnings``, as in the rows; ``chosen``, names of the tags that reach the thresholds
        of the model, the best first, or None if it has none.

    Raises
    ------
    Refusal
        413 if the audio is too long, 400 if it cannot be decoded, 500 if the model fails.
    """
    try:
        track = load_track(file, info, limits.seconds)
    except AudioError as error:
        if error.reason is Reason.TOO_LONG:
            raise Refusal(
                413, f"The audio is longer than {limits.seconds:g} s (--max_seconds)."
            ) from error
        raise Refusal(400, _SENTENCES.get(error.reason, _NO_AUDIO)) from error
    result = tag_track(model, track, info)
    if result.error is not None:
        raise Refusal(500, f"The audio could not be tagged: {result.error}.")
    row = make_row("", result, Wanted(info.labels, taggram=True))
    chosen = None
    if info.thresholds is not None:
        chosen = [each["tag"] for each in best_tags(info.labels, result.scores, info.thresholds)]
    return {
        **{key: row[key] for key in ("tags", "starts", "taggram", "warnings")},
        "window": info.window_seconds,
        "duration": track.duration,
        "chosen": chosen,
    }

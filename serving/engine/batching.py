"""From tracks to scores: windows of many tracks share a batch, answers find their track."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from beam_pipelines.audio.errors import AudioError
from beam_pipelines.runtime.patience import error_name, patiently
from schemas.common.errors import RunError
from schemas.rejects import Reason
from schemas.saved_model import ModelInfo
from serving.engine.model import Model
from serving.engine.track import Track, load_track
from serving.output.result import Result, Warned

MODEL_FAILED = "model_failed"  # the one reason that is none of the data's
_BATCH = 16  # windows; on a CPU more are no faster
_BATCH_VALUES = 1 << 20  # float32 of a batch: fewer windows where one is large


@dataclasses.dataclass(frozen=True)
class Part:
    """What one track has in a batch.

    Attributes
    ----------
    row : int
        Number of the track.
    count : int
        Its windows in the batch.
    end : End or None
        The rest of what is known, with its last windows.
    """

    row: int
    count: int
    end: End | None


@dataclasses.dataclass(frozen=True)
class End:
    """What is known of a track beside its windows; as in :class:`Result`."""

    error: str | None = None
    starts: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    warnings: tuple[Warned, ...] = ()


@dataclasses.dataclass(frozen=True)
class Batch:
    """Windows of some tracks, float32 [n, ...], or None where no track gave any."""

    parts: list[Part]
    windows: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Answer:
    """For each part of a batch its scores and embeddings, [count, ...], or an error."""

    parts: list[Part]
    values: list[tuple[np.ndarray, np.ndarray] | str]


def batch_size(info: ModelInfo) -> int:
    """Windows that a model gets at once."""
    values = info.window * (1 if info.frontend == "waveform" else info.spec.n_mels)
    return max(1, min(_BATCH, _BATCH_VALUES // values))


def open_track(path: str, info: ModelInfo, max_seconds: float | None = None) -> Track | str:
    """Decode a file, or say why not; whatever a broken file does, the others go on.

    More than `max_seconds` of audio are too long.
    """
    try:
        if "://" not in path:
            return patiently(lambda: load_track(path, info, max_seconds))
        from beam_pipelines.runtime import storage  # Beam: only for files elsewhere

        with storage.local_copy(path) as local:
            return load_track(local, info, max_seconds)
    except AudioError as error:
        return str(error)
    except OSError as error:
        return f"{Reason.UNREADABLE}: {error_name(error)}, {error.strerror or error}"
    except MemoryError:
        raise
    except Exception as error:
        return f"{Reason.UNDECODABLE}: {error or type(error).__name__}"


def pack(tracks: Iterable[tuple[int, Track | str]], size: int) -> Iterator[Batch]:
    """Put windows into batches of `size`, in order; the last one may be smaller.

    Parameters
    ----------
    tracks : iterable of (int, Track or str)
        Numbers and what :func:`open_track` gave.
    size : int
        Windows of a batch.
    """
    parts: list[Part] = []
    windows: list[np.ndarray] = []
    room = size
    for row, track in tracks:
        if isinstance(track, str):
            parts.append(Part(row, 0, End(track)))
            continue
        begin = 0
        while begin < len(track):
            stop = min(begin + room, len(track))
            end = End(None, track.seconds, track.warnings) if stop == len(track) else None
            windows.append(track.windows(begin, stop))
            parts.append(Part(row, stop - begin, end))
            room -= stop - begin
            begin = stop
            if not room:
                yield Batch(parts, np.concatenate(windows))
                parts, windows, room = [], [], size
    if parts:
        yield Batch(parts, np.concatenate(windows) if windows else None)


def answer(model: Model, batch: Batch) -> Answer:
    """Run a model on a batch; where it fails, on each track alone.

    Parameters
    ----------
    model : callable
        The signature `windows`, from :func:`serving.engine.saved_model.load_signature`.
    batch : Batch
    """
    if batch.windows is None:
        return Answer(batch.parts, [""] * len(batch.parts))
    stops = np.cumsum([part.count for part in batch.parts])[:-1]
    pieces = np.split(batch.windows, stops)
    try:
        outputs = model(batch.windows)
        values = zip(
            np.split(outputs["scores"], stops), np.split(outputs["embeddings"], stops), strict=True
        )
        return Answer(batch.parts, list(values))
    except RunError as error:
        if sum(part.count > 0 for part in batch.parts) == 1:
            text = f"{MODEL_FAILED}: {error}"
            return Answer(batch.parts, [text] * len(batch.parts))
    return Answer(
        batch.parts,
        [
            answer(model, Batch([part], windows if part.count else None)).values[0]
            for part, windows in zip(batch.parts, pieces, strict=True)
        ],
    )


class Collector:
    """Puts the answers of a track together again."""

    def __init__(self) -> None:
        self._open: dict[int, list[tuple[np.ndarray, np.ndarray] | str]] = {}

    def add(self, batch: Answer) -> Iterator[tuple[int, Result]]:
        """Take the next answer; gives the numbers and results of tracks that it completes."""
        for part, values in zip(batch.parts, batch.values, strict=True):
            got = self._open.setdefault(part.row, [])
            if part.count:
                got.append(values)
            if part.end is not None:
                yield part.row, _result(self._open.pop(part.row), part.end)


def _result(values: list[tuple[np.ndarray, np.ndarray] | str], end: End) -> Result:
    error = next((value for value in values if isinstance(value, str)), end.error)
    if error is not None:
        none = np.zeros(0, np.float32)
        return Result(error, none, none.reshape(0, 0), np.zeros(0), none)
    arrays = [value for value in values if not isinstance(value, str)]
    windows = np.concatenate([scores for scores, _ in arrays])
    embeddings = np.concatenate([embeddings for _, embeddings in arrays])
    scores, embedding = (
        each.mean(axis=0, dtype=np.float64).astype(np.float32) for each in (windows, embeddings)
    )
    return Result(None, scores, windows, end.starts, embedding, end.warnings)


def tag_track(model: Model, track: Track | str, info: ModelInfo) -> Result:
    """Tag one file.

    Parameters
    ----------
    model : callable
        The signature `windows`.
    track : Track or str
        From :func:`open_track`.
    info : ModelInfo
        What the model is.
    """
    collector = Collector()
    batches = pack([(0, track)], batch_size(info))
    ((_, result),) = (done for batch in batches for done in collector.add(answer(model, batch)))
    return result

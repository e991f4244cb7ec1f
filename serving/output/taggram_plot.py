"""Pictures of tags over time: one PNG a file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np

from schemas.common.errors import RunError
from schemas.common.files import replacing
from schemas.common.text import readable
from serving.output.result import Result

TAGS = 15  # of a track, the best
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # s between ticks


def picture_paths(folder: str, paths: Sequence[str]) -> list[str]:
    """Where the pictures go: the files' own tree, from the folder that they share, and .png.

    Parameters
    ----------
    folder : str
        Gets the tree.
    paths : sequence of str
        Audio files, each once.
    """
    full = [os.path.abspath(path.replace("://", "/")) for path in paths]
    root = os.path.commonpath([os.path.dirname(path) for path in full])
    return [os.path.join(folder, os.path.relpath(path, root) + ".png") for path in full]


def draw_taggram(
    output: str, title: str, labels: Sequence[str], result: Result, window: float
) -> None:
    """Draw the scores of a track's windows for its best tags.

    Parameters
    ----------
    output : str
        PNG to write; its folder is made.
    title : str
        Stands above.
    labels : sequence of str
        All tags of the model.
    result : Result
        A track without an error.
    window : float
        Length of a window in s.

    Raises
    ------
    RunError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    best = np.argsort(-result.scores, kind="stable")[:TAGS]
    edges = column_edges(result.starts, window)
    figure = Figure(figsize=(11, 1.6 + 0.28 * len(best)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = axes.pcolormesh(
        edges,
        np.arange(len(best) + 1) - 0.5,
        result.windows[:, best].T,
        vmin=0,
        vmax=scale_end(result.windows[:, best]),
        cmap="magma",
        rasterized=True,
    )
    axes.invert_yaxis()
    names = [f"{_plain(labels[i])}  {result.scores[i]:.2f}" for i in best]
    axes.set_yticks(range(len(best)), names)
    ticks = _ticks(edges[-1])
    axes.set_xticks(ticks, [clock(tick) for tick in ticks])
    axes.set_xlabel("time (each column is a window)" if len(result.starts) < 60 else "time")
    axes.set_title(_plain(readable(title)), fontsize=10, loc="left")
    figure.colorbar(picture, ax=axes, label="score", pad=0.01)
    try:
        os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
        with replacing(output) as stream:
            figure.savefig(stream, format="png")
    except OSError as error:
        raise RunError(f"{output} cannot be written: {error.strerror or error}") from error


def scale_end(scores: np.ndarray) -> float:
    """End of the colour scale: the first tenth that no score exceeds, 1 at most.

    Parameters
    ----------
    scores : np.ndarray, float32
    """
    return float(min(10, max(1, math.ceil(10 * scores.max() - 1e-6))) / 10)


def column_edges(starts: np.ndarray, window: float) -> np.ndarray:
    """Edges of the windows' columns, so that each moment is shown once.

    The last window is aligned to the end and overlaps the one before it: it is shown from
    where that one ends.

    Parameters
    ----------
    starts : np.ndarray, float64 [windows]
        Starts in s, ascending.
    window : float
        Length of a window in s.

    Returns
    -------
    np.ndarray, float64 [windows + 1]
        In s.
    """
    stops = starts + window
    return np.concatenate([starts[:1], stops])


def clock(seconds: float) -> str:
    """A time as m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _ticks(end: float) -> np.ndarray:
    wanted = end / 12
    step = next((step for step in _STEPS if step >= wanted), 3600 * math.ceil(wanted / 3600))
    return np.arange(0, end + 1e-6, step)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")

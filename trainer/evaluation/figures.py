"""Curves of trainings and areas of tags, drawn."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.common.errors import UsageError
from schemas.common.files import replacing
from trainer.job.directory import EPOCHS

if TYPE_CHECKING:  # --help does not wait for matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#1f77b4", "#d95f02", "#2a9d5c", "#7b5ea7", "#b8860b", "#c2185b", "#17a2b8", "#555555")
_PANELS = (
    ("loss", "loss (dashed: training, solid: validation)"),
    ("val_macro_pr_auc", "validation PR-AUC, macro"),
    ("val_macro_roc_auc", "validation ROC-AUC, macro"),
    ("learning_rate", "learning rate"),
)


def check_place(path: str) -> None:
    """See that a picture can be written, before anything takes its time.

    Raises
    ------
    UsageError
        If the name is no PNG's, its directory is not there or it is one itself.
    """
    if not path.endswith(".png"):
        raise UsageError(f"{path}: allowed is a name that ends in .png")
    check_file(path)


def check_file(path: str) -> None:
    """See that a file can be written.

    Raises
    ------
    UsageError
        If its directory is not there or it is one itself.
    """
    if os.path.isdir(path):
        raise UsageError(f"{path} is a directory: allowed is the name of a file")
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise UsageError(f"{path}: there is no such directory")


def read_epochs(job_dir: str) -> dict[str, np.ndarray]:
    """The table of a job's epochs.

    Returns
    -------
    dict of np.ndarray, float64 [epochs]
        By column; NaN for what does not exist.

    Raises
    ------
    UsageError
        If the directory has no such table, or it is damaged.
    """
    file = os.path.join(job_dir, EPOCHS)
    try:
        with open(file, newline="", encoding="utf8") as stream:
            rows = list(csv.DictReader(stream))
        columns = {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}
        return {
            "epoch": np.zeros(0),
            **{name: np.array(values) for name, values in columns.items()},
        }
    except OSError as error:
        raise UsageError(
            f"{job_dir} holds no training ({EPOCHS}: {error.strerror}); trainer.task writes one"
        ) from error
    except (ValueError, TypeError, IndexError) as error:
        raise UsageError(f"{file} is no table of epochs") from error


def plot_runs(runs: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Curves of trainings over their epochs, a panel a quantity.

    Parameters
    ----------
    runs : dict
        The columns of :func:`read_epochs` by the name of the run.

    Returns
    -------
    matplotlib.figure.Figure
        Without panels for what no run has.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = [
        (key, title)
        for key, title in _PANELS
        if any(np.isfinite(run.get(key, np.nan)).any() for run in runs.values())
    ]
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(11, 3.6 * rows + 0.5), layout="constrained")
    for place, (key, title) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, min(len(panels), 2), place)
        for number, (name, run) in enumerate(runs.items()):
            _curve(axes, run, key, _title(name, run), _COLOURS[number % len(_COLOURS)])
        _clean(axes, title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _curve(axes: Axes, run: dict[str, np.ndarray], key: str, name: str, colour: str) -> None:
    if key not in run:
        return
    epochs, values = run["epoch"], run[key]
    marker = "o" if len(epochs) == 1 else None  # a line of one point is not seen
    line: dict[str, Any] = {"color": colour, "linewidth": 1.8, "label": name, "marker": marker}
    if key == "loss" and "val_loss" in run:
        axes.plot(epochs, values, linestyle="--", **{**line, "linewidth": 1.2, "label": None})
        values = run["val_loss"]
    axes.plot(epochs, values, **line)
    best = _best(run)
    if key.startswith("val_") and best is not None:
        axes.plot(epochs[best], values[best], "o", color=colour, markersize=6)


def _title(name: str, run: dict[str, np.ndarray]) -> str:
    best = _best(run)
    if best is None:
        return name
    pr, roc = (run[f"val_macro_{kind}_auc"][best] for kind in ("pr", "roc"))
    return f"{name}: epoch {run['epoch'][best]:.0f}, PR {pr:.3f}, ROC {roc:.3f}"


def _best(run: dict[str, np.ndarray]) -> int | None:
    """Row of the epoch that was kept as the best for its PR-AUC."""
    ranks = run.get("val_macro_pr_auc", np.array([np.nan]))
    return int(np.nanargmax(ranks)) if np.isfinite(ranks).any() else None


def _clean(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)


def plot_tags(report: dict[str, Any]) -> Figure:
    """Each tag's areas over the number of tracks that have it.

    Parameters
    ----------
    report : dict
        Of :func:`trainer.evaluation.metrics.report`; ``intervals`` are drawn where it has them.

    Returns
    -------
    matplotlib.figure.Figure
        ROC-AUC and PR-AUC side by side, the macro mean and chance as lines.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 6.5), layout="constrained")
    tags = [row for row in report["per_tag"] if row["roc_auc"] is not None]
    tags.sort(key=lambda row: (-row["positives"], row["tag"]))
    limits = report.get("intervals", {"per_tag": {}})["per_tag"]
    for place, (area, title) in enumerate((("roc_auc", "ROC-AUC"), ("pr_auc", "PR-AUC")), start=1):
        axes = figure.add_subplot(1, 2, place)
        _clean(axes, f"{title} of {len(tags)} tags in {report['tracks']:,} tracks")
        axes.set_xlabel("tracks that have the tag")
        if tags:
            between = [limits.get(row["tag"], {}).get(area) for row in tags]
            _scatter(axes, tags, area, between, report["tracks"])
            mean = report["macro"][area]
            axes.axhline(mean, color=_COLOURS[1], linewidth=1, label=f"macro mean {mean:.3f}")
            axes.legend(
                frameon=False, fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.995)
            )  # above the panel, where no point can be
    return figure


def _scatter(
    axes: Axes,
    tags: list[dict[str, Any]],
    area: str,
    between: list[list[float] | None],
    tracks: int,
) -> None:
    """The points of one panel with their intervals and names, and what chance would give."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    counts = np.array([row["positives"] for row in tags])
    values = np.array([row[area] for row in tags])
    for count, ends in zip(counts, between, strict=True):
        if ends:
            axes.plot([count, count], ends, color="#b9cfe3", linewidth=2, zorder=1)
    axes.scatter(counts, values, color=_COLOURS[0], s=22, zorder=2)
    axes.set_xscale("log")
    axes.set_xlim(counts.min() * 0.85, counts.max() * 2)  # names stand to the right
    axes.set_ylim(0 if area == "pr_auc" else min(0.45, values.min() - 0.05), 1.02)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    span = np.geomspace(*axes.get_xlim())
    chance = span / tracks if area == "pr_auc" else np.full(len(span), 0.5)
    axes.plot(span, chance, color="#777777", linestyle=":", label="chance")
    points = axes.transAxes.inverted().transform(
        axes.transData.transform(np.stack([counts, values], axis=1))
    )
    for k in names_that_fit(points, [len(row["tag"]) for row in tags]):
        axes.annotate(
            tags[k]["tag"], (counts[k], values[k]), xytext=(4, 3),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip


def plot_calibration(calibration: dict[str, Any]) -> Figure:
    """The reliability curve, and below it how many pairs each of its points is of.

    Parameters
    ----------
    calibration : dict
        See :func:`trainer.evaluation.decisions.calibration`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    bins = calibration["bins"]
    scores, shares = ([each[key] for each in bins] for key in ("score", "share"))
    error = calibration["ece"]
    above.plot([0, 1], [0, 1], ":", color="#777777", label="calibrated")
    above.plot(scores, shares, "o-", color=_COLOURS[0], linewidth=1.8, label="the model")
    above.set_ylim(-0.02, 1.02)
    above.set_ylabel("share that is true")
    above.legend(frameon=False, fontsize=9, loc="upper left")
    title = "share of true tags by score"
    _clean(above, title if error is None else f"{title}: calibration error {error:.3f}")
    below.bar(scores, [each["pairs"] for each in bins], width=0.05, color=_COLOURS[0])
    below.set_yscale("log")
    below.set_xlabel("score")
    below.set_xlim(-0.02, 1.02)
    _clean(below, "pairs of a track and a tag")
    return figure


def plot_rates(rates: np.ndarray, losses: np.ndarray, suggestion: float | None) -> Figure:
    """The loss over the learning rate, and what is suggested.

    Parameters
    ----------
    rates, losses : np.ndarray [steps]
        See :func:`trainer.descent.rate_test.rate_test`.
    suggestion : float, optional
        The rate to mark.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(rates, losses, color=_COLOURS[0], linewidth=1.8)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    _clean(axes, "loss of the batches while the rate rises (smoothed)")
    if suggestion is not None:
        lowest = int(np.argmin(losses))
        axes.plot(rates[lowest], losses[lowest], "o", color=_COLOURS[0], markersize=6)
        axes.axvline(suggestion, color=_COLOURS[1], label=f"suggestion {suggestion:.2g}")
        axes.legend(frameon=False, fontsize=9)
    return figure


def names_that_fit(points: np.ndarray, lengths: Sequence[int]) -> list[int]:
    """Which points can have their name beside them, so that no two names overlap.

    Parameters
    ----------
    points : np.ndarray [n, 2]
        As shares of the panel's width and height; the first have the right of way.
    lengths : sequence of int
        Letters of the names.
    """
    placed: list[tuple[float, float, float]] = []
    chosen = []
    for k, ((x, y), letters) in enumerate(zip(points, lengths, strict=True)):
        end = x + 0.012 * letters + 0.01
        if all(end < left or x > right or abs(y - low) > 0.03 for left, right, low in placed):
            placed.append((x, end, y))
            chosen.append(k)
    return chosen


def save_figure(figure: Figure, path: str) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replacing(path) as stream:
        figure.savefig(stream, format="png", dpi=120)

"""What the terminal shows of a recording: level, tags, bars."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Sequence

import numpy as np

from schemas.common.bars import bar
from schemas.saved_model import ModelInfo
from serving.engine.model import Model
from serving.output.rows import best_tags
from serving.recording.microphone import SILENCE, is_clipped, level, model_audio

QUIET = -60.0  # dBFS under which a microphone is most likely muted
METER_LOW = -60.0  # dBFS at the left end of the meter


class Live:
    """The tags of the last window, once a second.

    Parameters
    ----------
    call : callable
        The model's serving signature.
    info : ModelInfo
    rate : int
        The microphone's rate in Hz.
    top : int
        How many of the best tags.
    lowest : float, list of float or None
        Lowest score of a tag that is shown.
    """

    def __init__(
        self,
        call: Model,
        info: ModelInfo,
        rate: int,
        top: int,
        lowest: float | list[float] | None = None,
    ) -> None:
        self._call, self._info, self._rate, self._top = call, info, rate, top
        self._lowest = lowest
        self._window = round(info.min_samples / info.spec.sample_rate * rate)
        self._tagged = 0
        self._lines: list[str] = []

    def lines(self, pcm: np.ndarray) -> list[str]:
        """Lines for what was heard so far, int16 [samples, channels]; new ones each second."""
        if len(pcm) - self._tagged < self._rate:
            return self._lines
        self._tagged = len(pcm)
        last = pcm[-self._window :]
        audio = model_audio(last, self._rate, self._info.spec.sample_rate)
        outputs = self._call(audio[np.newaxis])
        tags, scores = outputs["tags"], outputs["scores"][0]
        self._lines = [
            f"the last {len(last) / self._rate:.0f} s:",
            *bars(tags, scores, self._top, self._lowest),
        ]
        if not sys.stderr.isatty():
            three = best_tags(tags, scores, self._lowest, top=3)
            best = ", ".join(f"{each['tag']} {each['score']:.2f}" for each in three)
            print(f"{len(pcm) / self._rate:5.0f} s  {best}", flush=True)
        return self._lines


@dataclasses.dataclass
class Screen:
    """Lines on a terminal that are drawn again over themselves; nothing anywhere else."""

    height: int = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines in the place of the last ones."""
        if not sys.stderr.isatty():
            return
        up = f"\033[{self.height}A" if self.height else ""
        width = shutil.get_terminal_size().columns - 1  # a line that wraps would be two
        text = "".join(f"\r\033[K{line[:width]}\n" for line in lines)
        print(up + text, end="", file=sys.stderr, flush=True)
        self.height = len(lines)


def meter(block: np.ndarray, heard: float, seconds: float) -> str:
    """The line of time and level: ``12.3 of 30 s  [#######....] -21 dBFS``."""
    loud = level(block)
    note = "  too loud" if is_clipped(block) else ""
    filled = bar((loud - METER_LOW) / -METER_LOW)
    return f"{heard:5.1f} of {seconds:g} s  [{filled}] {loud:4.0f} dBFS{note}"


def bars(
    names: Sequence[str],
    scores: np.ndarray,
    top: int,
    lowest: float | list[float] | None = None,
) -> list[str]:
    """The best tags, a line each."""
    return [
        f"  {best['score']:.3f} {bar(best['score'])} {best['tag']}"
        for best in best_tags(names, scores, lowest, top)
    ]


def describe(pcm: np.ndarray, rate: int) -> str:
    """Length and level of a recording, and what is wrong with the level."""
    blocks = [pcm[k : k + rate // 10] for k in range(0, len(pcm), rate // 10)]
    loudest = max(map(level, blocks), default=SILENCE)
    text = f"recorded {len(pcm) / rate:.1f} s, loudest {loudest:.0f} dBFS"
    if loudest < QUIET:
        return text + ": hardly anything was heard; is the microphone muted?"
    if is_clipped(pcm):
        return text + ": too loud in places, what is over full scale is cut off"
    return text

"""Record, keep and tag: what `record` and `lite --record` do."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from schemas.common.errors import UsageError
from schemas.saved_model import ModelInfo, find_saved_model, read_lite_info, read_model_info
from serving.engine.litert import load_lite_signature
from serving.engine.model import Model
from serving.engine.saved_model import load_signature
from serving.output.row_options import lowest_scores
from serving.recording.listen import keep, listen
from serving.recording.microphone import model_audio, open_microphone
from serving.recording.screen import Live, bars, describe

LONGEST = 600  # s; the whole recording is tagged at once


@dataclasses.dataclass(frozen=True)
class Wishes:
    """How to record, and what to show.

    Attributes
    ----------
    seconds : float
        How long.
    top : int
        How many of the best tags are shown.
    device : str or None
        Number, or part of the name, of the input device.
    countdown : int
        Seconds that are counted before it begins.
    live : bool
        Whether the tags of the last window are shown every second.
    output : str or None
        WAV file that gets the recording.
    threshold : float, 'auto' or None
        Lowest score of a tag that is shown, see `serving.output.row_options`.

    Raises
    ------
    UsageError
        If the seconds are out of their range.
    """

    seconds: float
    top: int = 10
    device: str | None = None
    countdown: int = 3
    live: bool = False
    output: str | None = None
    threshold: float | str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST:
            raise UsageError(
                f"--seconds is {self.seconds:g}: it must be more than 0 and at most {LONGEST}"
            )


def open_model(path: str) -> tuple[ModelInfo, Callable[[], Model]]:
    """What a model is, at once, and how to load it, which may take seconds.

    Parameters
    ----------
    path : str
        A ``.tflite`` file, a SavedModel or a directory that holds one.
    """
    if os.path.isfile(path):
        return read_lite_info(path), lambda: load_lite_signature(path)
    directory = find_saved_model(path)
    return read_model_info(directory), lambda: load_signature(directory)


def record(info: ModelInfo, load: Callable[[], Model], wishes: Wishes) -> int:
    """Record, keep and tag.

    Parameters
    ----------
    info : ModelInfo
    load : callable
        Gives the model's serving signature.
    wishes : Wishes

    Returns
    -------
    int
        Exit code: 1 if the microphone failed on the way or the file could not be written.

    Raises
    ------
    UsageError, RunError
        If there is no microphone, or nothing was heard.
    """
    rate = info.spec.sample_rate
    lowest = lowest_scores(wishes.threshold, info)
    with open_microphone(wishes.device) as microphone:
        print("loading the model …", flush=True)
        call = load()
        call(np.zeros((1, rate), np.float32))  # the first call is the slowest
        live = Live(call, info, microphone.rate, wishes.top, lowest) if wishes.live else None
        count_down(wishes.countdown)
        print(f"recording {wishes.seconds:g} s from {microphone.name}", flush=True)
        pcm, failures = listen(microphone, wishes.seconds, live)
    print(describe(pcm, microphone.rate), flush=True)
    if microphone.lost.is_set():
        print("note: the machine was too busy to take all of the sound", file=sys.stderr)
    if wishes.output:
        failures += keep(wishes.output, pcm, microphone.rate)
    audio = model_audio(pcm, microphone.rate, rate)
    if len(audio) < info.min_samples:
        seconds = info.min_samples / rate
        print(f"shorter than the model's window of {seconds:.1f} s: padded with zeros")
    outputs = call(audio[np.newaxis])
    shown = bars(outputs["tags"], outputs["scores"][0], wishes.top, lowest)
    print("\n".join(shown or ["no tag reaches the threshold"]))
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


def count_down(seconds: int) -> None:
    """Count on the terminal, a second a number."""
    for number in range(seconds, 0, -1):
        print(number, end=" … " if number > 1 else "\n", flush=True)
        time.sleep(1)

"""Tag what a microphone hears: ``python -m serving.record --model DIR --seconds 30``."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soundfile

from schemas.audio_spec import WAVEFORM
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import RunError, UsageError
from schemas.saved_model import ModelInfo, find_saved_model, read_lite_info, read_model_info
from serving.engine.litert import load_lite_signature
from serving.engine.saved_model import load_signature
from serving.output.rows import best_tags
from serving.recording.microphone import (
    SILENCE,
    Microphone,
    is_clipped,
    level,
    model_audio,
    open_microphone,
)

LONGEST = 600  # s; the whole recording is tagged at once
QUIET = -60.0  # dBFS under which a microphone is most likely muted
METER_LOW = -60.0  # dBFS at the left end of the meter
BAR = 30  # characters

Call = Callable[[np.ndarray], dict[str, Any]]


def main(argv: Sequence[str]) -> int:
    """Record and tag; 1 if the microphone or the file failed on the way."""
    options = parse(argv)
    info, load = open_model(options.model)
    return record(info, load, options)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command, checked."""
    parser = ArgumentParser(
        prog="python -m serving.record",
        description="Record from a microphone and tag what was heard. Ctrl-C ends the recording "
        "earlier.",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="job directory of the trainer, a SavedModel it exported, or a .tflite file",
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to record")
    parser.add_argument("--device", help="number, or part of the name, of the input device")
    parser.add_argument(
        "--countdown", type=int, default=3, metavar="SECONDS", help="counted before it begins"
    )
    parser.add_argument(
        "--live", action="store_true", help="show the tags of the last window every second"
    )
    parser.add_argument("--output", metavar="FILE.wav", help="write the recording, as it came")
    parser.add_argument("--top", type=int, default=10, help="how many of the best tags to show")
    options = parser.parse_args(argv)
    if not 0 < options.seconds <= LONGEST:
        raise UsageError(
            f"--seconds is {options.seconds:g}: it must be more than 0 and at most {LONGEST}"
        )
    if options.countdown < 0:
        raise UsageError(f"--countdown is {options.countdown}: it must be 0 or more")
    if options.top < 1:
        raise UsageError(f"--top is {options.top}: it must be 1 or more")
    if options.output:
        folder = os.path.dirname(options.output) or "."
        is_other = os.path.exists(options.output) and not os.path.isfile(options.output)
        if not options.output.lower().endswith(".wav") or is_other or not os.path.isdir(folder):
            raise UsageError(f"--output {options.output}: a .wav file in a directory that exists")
    return options


def open_model(path: str) -> tuple[ModelInfo, Callable[[], Call]]:
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


def record(info: ModelInfo, load: Callable[[], Call], options: argparse.Namespace) -> int:
    """Record, keep and tag.

    Parameters
    ----------
    info : ModelInfo
    load : callable
        Gives the model's serving signature.
    options : argparse.Namespace
        From :func:`parse`.

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
    with open_microphone(options.device) as microphone:
        print("loading the model …", flush=True)
        call = load()
        call(np.zeros((1, rate), np.float32))  # the first call is the slowest
        live = Live(call, info, microphone.rate, options.top) if options.live else None
        count_down(options.countdown)
        print(f"recording {options.seconds:g} s from {microphone.name}", flush=True)
        pcm, failures = listen(microphone, options.seconds, live)
    print(describe(pcm, microphone.rate), flush=True)
    if microphone.lost.is_set():
        print("note: the machine was too busy to take all of the sound", file=sys.stderr)
    if options.output:
        failures += keep(options.output, pcm, microphone.rate)
    audio = model_audio(pcm, microphone.rate, rate)
    if len(audio) < window_samples(info):
        seconds = window_samples(info) / rate
        print(f"shorter than the model's window of {seconds:.1f} s: padded with zeros")
    outputs = call(audio[np.newaxis])
    print("\n".join(bars(outputs["tags"], outputs["scores"][0], options.top)))
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


def count_down(seconds: int) -> None:
    """Count on the terminal, a second a number."""
    for number in range(seconds, 0, -1):
        print(number, end=" … " if number > 1 else "\n", flush=True)
        time.sleep(1)


def listen(
    microphone: Microphone, seconds: float, live: Live | None = None
) -> tuple[np.ndarray, list[str]]:
    """Record until the time is over, Ctrl-C is pressed or the microphone fails.

    Returns
    -------
    np.ndarray, int16 [samples, channels]
        At the microphone's rate.
    list of str
        What failed.

    Raises
    ------
    RunError
        If nothing was heard.
    """
    wanted = round(seconds * microphone.rate)
    pcm = np.empty((wanted, microphone.channels), np.int16)
    heard, failures = 0, []
    screen = Screen()
    try:
        for block in microphone.blocks():
            block = block[: wanted - heard]
            pcm[heard : heard + len(block)] = block
            heard += len(block)
            lines = live.lines(pcm[:heard]) if live else []
            screen.draw([meter(block, heard / microphone.rate, seconds), *lines])
            if heard == wanted:
                break
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    except RunError as error:
        failures.append(str(error))
    if not heard:
        raise RunError(failures[0] if failures else "nothing was heard")
    return pcm[:heard], failures


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
    """

    def __init__(self, call: Call, info: ModelInfo, rate: int, top: int) -> None:
        self._call, self._info, self._rate, self._top = call, info, rate, top
        self._window = round(window_samples(info) / info.spec.sample_rate * rate)
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
        self._lines = [f"the last {len(last) / self._rate:.0f} s:", *bars(tags, scores, self._top)]
        if not sys.stderr.isatty():
            best = ", ".join(f"{b['tag']} {b['score']:.2f}" for b in best_tags(tags, scores, top=3))
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


def bar(share: float) -> str:
    """A bar of `BAR` characters, filled from the left by a share of 0 to 1."""
    filled = round(BAR * min(max(share, 0.0), 1.0))
    return "#" * filled + "." * (BAR - filled)


def bars(names: Sequence[str], scores: np.ndarray, top: int) -> list[str]:
    """The best tags, a line each."""
    return [
        f"  {best['score']:.3f} {bar(best['score'])} {best['tag']}"
        for best in best_tags(names, scores, top=top)
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


def keep(path: str, pcm: np.ndarray, rate: int) -> list[str]:
    """Write a recording as 16-bit WAV; what failed, if anything did."""
    partial = f"{path}.part"
    try:
        soundfile.write(partial, pcm, rate, "PCM_16", format="WAV")
        os.replace(partial, path)
    except (OSError, soundfile.SoundFileError) as error:
        return [f"{path} cannot be written: {error}"]
    print(f"wrote {path}")
    return []


def window_samples(info: ModelInfo) -> int:
    """Samples that fill one window of a model: as many centred frames, with log-mel ones."""
    return info.window if info.frontend == WAVEFORM else (info.window - 1) * info.spec.hop_length


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    run_command(main)

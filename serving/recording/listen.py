"""A recording from its first block to its file."""

from __future__ import annotations

import sys

import numpy as np
import soundfile

from schemas.common.errors import RunError
from schemas.common.files import replacing
from serving.recording.microphone import Microphone
from serving.recording.screen import Live, Screen, meter


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


def keep(path: str, pcm: np.ndarray, rate: int) -> list[str]:
    """Write a recording as 16-bit WAV; what failed, if anything did."""
    try:
        with replacing(path) as stream:
            descriptor = stream.fileno()  # libsndfile says what fails, unlike through Python
            soundfile.write(descriptor, pcm, rate, "PCM_16", format="WAV", closefd=False)
    except (OSError, soundfile.SoundFileError) as error:
        return [f"{path} cannot be written: {error}"]
    print(f"wrote {path}")
    return []

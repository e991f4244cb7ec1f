"""Recording from a microphone: blocks of samples, from sounddevice alone."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from beam_pipelines.audio.channels import to_mono
from beam_pipelines.audio.decode import from_pcm16, resample, to_pcm16
from schemas.common.errors import RunError, UsageError

BLOCKS_A_SECOND = 10  # how often the level meter moves
PATIENCE = 5.0  # s without a block after which the microphone counts as gone
SILENCE = -100.0  # dBFS at which levels end


@dataclasses.dataclass(frozen=True)
class Microphone:
    """An opened input device that does not record yet.

    Attributes
    ----------
    name : str
        What the system calls it.
    rate : int
        Its own sample rate in Hz.
    channels : int
        1 or 2.
    blocks : callable
        Starts it and yields int16 [frames, channels] until it is closed.
    lost : threading.Event
        Set once the system has had to throw away sound.
    """

    name: str
    rate: int
    channels: int
    blocks: Callable[[], Iterator[np.ndarray]]
    lost: threading.Event


@contextlib.contextmanager
def open_microphone(device: str | None = None) -> Iterator[Microphone]:
    """Open an input device for the length of a ``with`` block.

    Blocks are queued by the audio system's own thread, so that whoever takes them may be
    late.

    Parameters
    ----------
    device : str, optional
        Number, or part of the name, of an input device; the system's default if None.

    Raises
    ------
    UsageError
        Without sounddevice or PortAudio, or if there is no such device or it cannot be
        opened.
    """
    sounddevice = _import_sounddevice()
    chosen = int(device) if device is not None and device.isdecimal() else device
    queued: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    lost = threading.Event()

    def take(block: np.ndarray, frames: int, time: Any, status: Any) -> None:
        queued.put(block.copy())
        if status.input_overflow:
            lost.set()

    try:
        facts = sounddevice.query_devices(chosen, "input")
        rate = round(facts["default_samplerate"])
        channels = min(2, facts["max_input_channels"])
        stream = sounddevice.InputStream(
            device=chosen,
            samplerate=rate,
            channels=channels,
            dtype="int16",
            blocksize=rate // BLOCKS_A_SECOND,
            callback=take,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UsageError(_explain(sounddevice, device, error)) from error

    def blocks() -> Iterator[np.ndarray]:
        try:
            stream.start()
        except sounddevice.PortAudioError as error:
            raise RunError(f"{facts['name']} does not start: {error}") from error
        while True:
            try:
                yield queued.get(timeout=PATIENCE)
            except queue.Empty:
                raise RunError(f"{facts['name']} has given no sound for {PATIENCE:.0f} s") from None

    with contextlib.closing(stream):
        yield Microphone(facts["name"], rate, channels, blocks, lost)


def _import_sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise UsageError(
            "recording needs the package sounddevice: pip install sounddevice"
        ) from error
    except OSError as error:
        raise UsageError(
            "recording needs PortAudio (Debian, Ubuntu: apt-get install libportaudio2)"
        ) from error
    return sounddevice


def _explain(sounddevice: Any, device: str | None, error: Exception) -> str:
    """Why a device cannot be had, and which there are."""
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError:
        devices = []
    names = [
        f"{number} {each['name']!r}"
        for number, each in enumerate(devices)
        if each["max_input_channels"] > 0
    ]
    if not names:
        return "there is no microphone on this machine"
    what = "no default microphone" if device is None else f"--device {device}"
    return f"{what}: {error}; there are {', '.join(names)}"


def model_audio(pcm: np.ndarray, rate: int, target: int) -> np.ndarray:
    """A recording as the model wants it, by the steps that a file of it would go.

    Parameters
    ----------
    pcm : np.ndarray, int16 [samples, channels]
        At the device's rate.
    rate, target : int
        The device's rate and the model's in Hz.

    Returns
    -------
    np.ndarray, float32 [about samples * target / rate]
        Mono, full scale 1.
    """
    return from_pcm16(to_pcm16(resample(to_mono(from_pcm16(pcm)), rate, target)))


def level(block: np.ndarray) -> float:
    """Level of int16 samples in dBFS: their root mean square, full scale 0, at least -100."""
    power = np.mean(np.square(from_pcm16(block), dtype=np.float64)) if block.size else 0.0
    return float(max(SILENCE, 10 * np.log10(max(power, 1e-12))))


def is_clipped(block: np.ndarray) -> bool:
    """Whether int16 samples reach full scale."""
    return bool(np.abs(block.astype(np.int32)).max(initial=0) >= np.iinfo(np.int16).max)

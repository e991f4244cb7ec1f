"""serving.record with a fake input stream at sounddevice's boundary; all behind it is real."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import threading
import time
import types

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.audio.decode import load_clip
from schemas.audio_spec import LOG_MEL, WAVEFORM
from schemas.common.errors import RunError, UsageError
from schemas.saved_model import METADATA, lite_path, read_model_info
from serving import record
from serving.engine.saved_model import load_signature
from serving.recording import microphone, screen, session
from tests.helpers.disks import written_under
from tests.helpers.taggers import LABELS, noise

RATE = 44_100


class PortAudioError(Exception):
    """As sounddevice's."""


class InputStream:
    """Gives a recording in blocks from a thread of its own, faster than it was played."""

    sound = np.zeros((0, 1), np.int16)
    at_end = staticmethod(lambda: None)
    overflow_at = None
    opened: list = []

    def __init__(self, *, device, samplerate, channels, dtype, blocksize, callback):
        assert dtype == "int16" and self.sound.shape[1] == channels
        self.device, self.samplerate, self.closed = device, samplerate, False
        self._blocksize, self._callback = blocksize, callback
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self.opened.append(self)

    def _feed(self):
        buffer = np.empty((self._blocksize, self.sound.shape[1]), np.int16)
        for k in range(0, len(self.sound) - self._blocksize + 1, self._blocksize):
            buffer[:] = self.sound[k : k + self._blocksize]
            status = types.SimpleNamespace(input_overflow=k == self.overflow_at)
            self._callback(buffer, self._blocksize, None, status)
            buffer[:] = -1  # PortAudio uses its memory again
        self.at_end()

    def start(self):
        self._thread.start()

    def close(self):
        self._thread.join()
        self.closed = True


DEVICES = [
    {"name": "Speakers", "max_input_channels": 0, "default_samplerate": 48_000.0},
    {"name": "Built-in", "max_input_channels": 2, "default_samplerate": float(RATE)},
    {"name": "USB", "max_input_channels": 1, "default_samplerate": 16_000.0},
]


def query_devices(device=None, kind=None):
    if kind is None:
        return DEVICES
    if device is None:
        return DEVICES[1]
    if isinstance(device, int):
        if device >= len(DEVICES):
            raise PortAudioError(f"Error querying device {device}")
        return DEVICES[device]
    found = [each for each in DEVICES if device in each["name"]]
    if not found:
        raise ValueError(f"No input device matching {device!r}")
    return found[0]


@pytest.fixture
def plug_in(monkeypatch):
    """Makes sounddevice hear int16 samples [n, channels], and then do something."""

    def plug(sound, at_end=lambda: None):
        stream = type("Stream", (InputStream,), {"at_end": staticmethod(at_end), "opened": []})
        stream.sound = sound
        fake = types.ModuleType("sounddevice")
        fake.InputStream, fake.PortAudioError = stream, PortAudioError
        fake.query_devices = query_devices
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        return stream

    return plug


def sound(seconds, rate=RATE, channels=2, seed=0):
    return (noise(round(seconds * rate), channels, seed).T * 8000).astype(np.int16)


def printed_tags(text):
    return {
        tag: float(score) for score, tag in re.findall(r"^  ([\d.]+) [#.]{30} (.*)$", text, re.M)
    }


def expected_tags(directory, path):
    """What the SavedModel says of a file."""
    spec = read_model_info(str(directory)).spec
    audio = load_clip(pathlib.Path(path).read_bytes(), spec).samples
    scores = load_signature(str(directory))(audio[np.newaxis])["scores"][0]
    return dict(zip(LABELS, scores, strict=True))


@pytest.mark.parametrize("frontend", [LOG_MEL, WAVEFORM])
def test_a_recording_has_the_tags_of_its_file(plug_in, small_models, frontend, tmp_path, capsys):
    heard = sound(4)
    stream = plug_in(heard)
    wav = tmp_path / "recording.wav"
    for model in (small_models[frontend], lite_path(str(small_models[frontend]))):
        arguments = ["--model", str(model), "--seconds", "2.55", "--countdown", "0"]
        assert record.main([*arguments, "--output", str(wav)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.startswith(
            "loading the model …\nrecording 2.55 s from Built-in\nrecorded 2.5 s, loudest -"
        )
        assert f"wrote {wav}\n" in out
        pcm, rate = soundfile.read(wav, dtype="int16")
        assert rate == RATE and soundfile.info(wav).subtype == "PCM_16"
        np.testing.assert_array_equal(pcm, heard[: round(2.55 * RATE)])
        tags = printed_tags(out)
        assert list(tags.values()) == sorted(tags.values(), reverse=True)
        assert tags == pytest.approx(expected_tags(small_models[frontend], wav), abs=6e-4)
    assert [each.closed for each in stream.opened] == [True, True]
    assert os.listdir(tmp_path) == ["recording.wav"]


def test_a_short_recording_is_padded_and_says_so(plug_in, small_models, tmp_path, capsys):
    plug_in(sound(1))
    arguments = ["--model", str(small_models[WAVEFORM]), "--seconds", "0.5", "--countdown", "0"]
    assert record.main([*arguments, "--top", "2", "--output", f"{tmp_path}/x.wav"]) == 0
    out = capsys.readouterr().out
    assert "shorter than the model's window of 1.2 s: padded with zeros\n" in out
    tags = expected_tags(small_models[WAVEFORM], tmp_path / "x.wav")
    del tags[min(tags, key=tags.get)]
    assert printed_tags(out) == pytest.approx(tags, abs=6e-4)


def test_a_threshold_leaves_tags_out(plug_in, small_models, tmp_path, capsys):
    plug_in(sound(4))
    model = tmp_path / "model"
    shutil.copytree(small_models[WAVEFORM], model)
    wav = str(tmp_path / "x.wav")
    arguments = ["--model", str(model), "--seconds", "2", "--countdown", "0"]
    with pytest.raises(UsageError, match="--threshold auto: the model has no thresholds"):
        record.main([*arguments, "--threshold", "auto"])
    assert record.main([*arguments, "--threshold", "1", "--live", "--output", wav]) == 0
    out = capsys.readouterr().out
    assert printed_tags(out) == {} and out.endswith("\nno tag reaches the threshold\n")
    scores = expected_tags(small_models[WAVEFORM], wav)
    best, *_, last = sorted(scores, key=scores.get, reverse=True)
    limits = [float(x + (0.01 if tag == best else -0.01)) for tag, x in scores.items()]
    info = dataclasses.replace(read_model_info(str(model)), thresholds=limits)
    (model / METADATA).write_text(json.dumps(info.to_json()))
    assert record.main([*arguments, "--threshold", "auto"]) == 0
    shown = printed_tags(capsys.readouterr().out)
    assert best not in shown and last in shown and len(shown) == len(LABELS) - 1


def test_live_tags_are_those_of_the_last_window(plug_in, small_models, tmp_path, capsys):
    heard = sound(4)
    plug_in(heard)
    directory = small_models[WAVEFORM]
    arguments = ["--model", lite_path(str(directory)), "--seconds", "3.2", "--countdown", "0"]
    assert record.main([*arguments, "--live"]) == 0
    lines = re.findall(r"^ +(\d) s  (.*)$", capsys.readouterr().out, re.M)
    assert [second for second, _ in lines] == ["1", "2", "3"]
    for second, text in lines:
        end = int(second) * RATE
        soundfile.write(tmp_path / "x.wav", heard[max(0, end - round(1.25 * RATE)) : end], RATE)
        tags = expected_tags(directory, tmp_path / "x.wav")
        live = {tag: float(score) for tag, score in re.findall(r"(\D+) ([\d.]+)(?:, |$)", text)}
        assert live == pytest.approx(tags, abs=6e-3)


def test_ctrl_c_tags_what_was_heard(plug_in, small_models, tmp_path, capsys):

    def press():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    plug_in(sound(2), press)
    arguments = ["--model", lite_path(str(small_models[LOG_MEL])), "--countdown", "0"]
    assert record.main([*arguments, "--output", f"{tmp_path}/x.wav"]) == 0
    out, err = capsys.readouterr()
    assert err == "\nstopped\n"
    assert "recording 30 s" in out
    heard = float(re.search(r"recorded ([\d.]+) s", out)[1])
    assert 0 < heard <= 2 and soundfile.info(tmp_path / "x.wav").duration == pytest.approx(
        heard, abs=0.06
    )
    tags = expected_tags(small_models[LOG_MEL], tmp_path / "x.wav")
    assert printed_tags(out) == pytest.approx(tags, abs=1e-3)


def test_a_microphone_that_goes_away(plug_in, small_models, monkeypatch, capsys):
    monkeypatch.setattr(microphone, "PATIENCE", 0.2)
    arguments = ["--model", lite_path(str(small_models[LOG_MEL])), "--countdown", "0"]
    plug_in(sound(1.5))
    assert record.main(arguments) == 1
    out, err = capsys.readouterr()
    assert "recorded 1.5 s" in out and len(printed_tags(out)) == 3
    assert err == "error: Built-in has given no sound for 0 s\n"
    plug_in(sound(0))
    with pytest.raises(RunError, match="Built-in has given no sound"):
        record.main(arguments)


def test_a_recording_that_cannot_be_kept_is_tagged(
    plug_in, small_models, tmp_path, capsys, monkeypatch
):
    plug_in(sound(2))
    written_under(monkeypatch, tmp_path / "x.wav").symlink_to("/dev/full")
    arguments = ["--model", lite_path(str(small_models[LOG_MEL])), "--seconds", "1"]
    assert record.main([*arguments, "--countdown", "0", "--output", f"{tmp_path}/x.wav"]) == 1
    out, err = capsys.readouterr()
    assert len(printed_tags(out)) == 3
    assert re.fullmatch(rf"error: {tmp_path}/x\.wav cannot be written: .*\n", err)
    assert os.listdir(tmp_path) == []


def test_devices_are_chosen_by_name_and_number(plug_in, small_models, capsys):
    arguments = ["--model", lite_path(str(small_models[LOG_MEL])), "--seconds", "1"]
    arguments += ["--countdown", "0", "--device"]
    stream = plug_in(sound(2, 16_000, 1))
    for device, passed in (("US", "US"), ("2", 2)):
        assert record.main([*arguments, device]) == 0
        assert "recording 1 s from USB\n" in capsys.readouterr().out
        assert (stream.opened[-1].device, stream.opened[-1].samplerate) == (passed, 16_000)
    known = "there are 1 'Built-in', 2 'USB'"
    with pytest.raises(UsageError, match=f"--device foo: No input device matching 'foo'; {known}"):
        record.main([*arguments, "foo"])
    with pytest.raises(UsageError, match=f"--device 7: Error querying device 7; {known}"):
        record.main([*arguments, "7"])


def test_no_microphone_at_all(plug_in, small_models, monkeypatch):
    stream = plug_in(sound(1))
    monkeypatch.setattr(sys.modules[__name__], "DEVICES", [DEVICES[0]])

    def none(device=None, kind=None):
        if kind:
            raise PortAudioError("Error querying device -1")
        return DEVICES

    sys.modules["sounddevice"].query_devices = none
    with pytest.raises(UsageError, match="there is no microphone on this machine"):
        record.main(["--model", str(small_models[LOG_MEL])])
    assert stream.opened == []


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (
            "raise OSError('PortAudio library not found')",
            "error: recording needs PortAudio (Debian, Ubuntu: apt-get install libportaudio2)\n",
        ),
        (
            "raise ModuleNotFoundError('sounddevice')",
            "error: recording needs the package sounddevice: pip install sounddevice\n",
        ),
    ],
)
def test_without_portaudio_or_sounddevice(command, small_models, tmp_path, code, line):
    (tmp_path / "sounddevice.py").write_text(code)
    model = lite_path(str(small_models[LOG_MEL]))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for module, *arguments in (
        ("serving.record", "--model", model),
        ("serving.lite", model, "--record"),
    ):
        done = command(module, *arguments, env=environment)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_lost_sound_is_said(plug_in, small_models, capsys):
    plug_in(sound(2)).overflow_at = RATE // 2 // (RATE // 10) * (RATE // 10)
    arguments = ["--model", lite_path(str(small_models[LOG_MEL])), "--countdown", "0"]
    assert record.main([*arguments, "--seconds", "1"]) == 0
    assert capsys.readouterr().err == "note: the machine was too busy to take all of the sound\n"


def test_lite_records_too(plug_in, small_models, monkeypatch, capsys):
    from serving import lite

    plug_in(sound(2))
    monkeypatch.setattr(session.time, "sleep", lambda seconds: None)
    assert lite.main([str(small_models[LOG_MEL]), "--record", "1.5", "--top", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "loading the model …\n3 … 2 … 1\nrecording 1.5 s from Built-in\nrecorded 1.5 s"
    )
    assert len(printed_tags(out)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "--seconds is 0: it must be more than 0 and at most 600"),
        (["--seconds", "nan"], "--seconds is nan"),
        (["--seconds", "601"], "--seconds is 601"),
        (["--countdown", "-1"], "argument --countdown: '-1' is not a whole number of at least 0"),
        (["--top", "0"], "argument --top: '0' is not a whole number of at least 1"),
        (["--output", "x.mp3"], "--output x.mp3: a .wav file in a directory that exists"),
        (["--output", "no/such/x.wav"], "--output no/such/x.wav: a .wav file"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        record.parse(["--model", "m", *arguments])


@given(st.floats(1e-3, 1), st.integers(20, 2000))
@settings(max_examples=50)
def test_levels_are_those_of_sines(amplitude, frequency):
    k = np.arange(RATE)  # whole periods
    wave = 32767 * amplitude * np.sin(2 * np.pi * frequency * k / RATE)
    block = np.round(wave).astype(np.int16)[:, np.newaxis]
    assert microphone.level(block) == pytest.approx(20 * np.log10(amplitude) - 3.01, abs=0.1)
    assert microphone.is_clipped(block) == (np.abs(block).max() == 32767)


def test_what_is_wrong_with_the_level_is_said():
    silent = np.zeros((RATE, 2), np.int16)
    assert screen.describe(silent, RATE) == (
        "recorded 1.0 s, loudest -100 dBFS: hardly anything was heard; is the microphone muted?"
    )
    loud = np.full((RATE, 1), -32768, np.int16)
    assert screen.describe(loud, RATE).startswith("recorded 1.0 s, loudest 0 dBFS: too loud")
    half = np.full((RATE // 2, 1), 16384, np.int16)
    assert screen.describe(half, RATE) == "recorded 0.5 s, loudest -6 dBFS"
    assert screen.meter(half, 1.5, 30) == (
        "  1.5 of 30 s  [###########################...]   -6 dBFS"
    )
    assert screen.meter(silent, 0, 3) == "  0.0 of 3 s  [..............................] -100 dBFS"
    assert screen.meter(loud, 2, 3).endswith("[##############################]    0 dBFS  too loud")


def test_a_terminal_is_drawn_over(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "6")
    drawn = screen.Screen()
    drawn.draw(["one"])
    drawn.draw(["longer", "two"])
    drawn.draw(["three"])
    assert capsys.readouterr().err == (
        "\r\033[Kone\n\033[1A\r\033[Klonge\n\r\033[Ktwo\n\033[2A\r\033[Kthree\n"
    )

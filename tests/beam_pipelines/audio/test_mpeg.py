"""MP3 files with foreign bytes in them."""

import numpy as np

from beam_pipelines.audio.mpeg import intact_frames
from tests.helpers.encoded import encode, tone
from tests.helpers.hearing import hear_mono


def test_foreign_bytes_in_an_mp3_cost_only_what_they_replace():
    signal = tone(seconds=6)
    data = encode(signal, kind="MP3")
    middle = len(data) // 2
    frames = intact_frames(data)
    assert frames in data and len(frames) > len(data) - 1000
    before = hear_mono(b"\x00junk" * 300 + data)[0]
    np.testing.assert_array_equal(before, hear_mono(data)[0])
    hole = b"\x5a" * 3000
    holed = hear_mono(data[:middle] + hole + data[middle + len(hole) :])[0]
    lost = len(signal) * len(hole) / len(data)
    assert len(signal) - 2 * lost < len(holed) < len(signal)
    tagged = hear_mono(b"\x00junk" * 300 + data + b"TAG" + bytes(125))[0]
    np.testing.assert_array_equal(tagged, before)

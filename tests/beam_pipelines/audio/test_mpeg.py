"""MP3 files with foreign bytes in them."""

import numpy as np

from beam_pipelines.audio import decode
from beam_pipelines.audio.mpeg import intact_frames
from tests.helpers.encoded import encode, tone


def test_foreign_bytes_in_an_mp3_cost_only_what_they_replace():
    signal = tone(seconds=6)
    data = encode(signal, kind="MP3")
    middle = len(data) // 2
    frames = intact_frames(data)
    assert frames in data and len(frames) > len(data) - 1000
    before = decode.decode(b"\x00junk" * 300 + data)[0]
    np.testing.assert_array_equal(before, decode.decode(data)[0])
    hole = b"\x5a" * 3000
    holed = decode.decode(data[:middle] + hole + data[middle + len(hole) :])[0]
    lost = len(signal) * len(hole) / len(data)
    assert len(signal) - 2 * lost < len(holed) < len(signal)
    tagged = decode.decode(b"\x00junk" * 300 + data + b"TAG" + bytes(125))[0]
    np.testing.assert_array_equal(tagged, before)

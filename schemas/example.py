"""tf.train.Example and TFRecord, written without TensorFlow.

Audio workers must not pay TensorFlow's start (11 CPU-seconds), so the three
features are put into protobuf's wire format here. The bytes are those that
``tf.train.Example(...).SerializeToString(deterministic=True)`` gives.

References
----------
https://protobuf.dev/programming-guides/encoding
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import google_crc32c

TID, AUDIO, TAGS = "tid", "audio", "tags"


def encode_example(tid: str, audio: bytes, tags: Sequence[int]) -> bytes:
    """Serialise one track.

    Parameters
    ----------
    tid : str
        Track id.
    audio : bytes
        Little-endian int16 samples or float32 spectrogram frames, as the
        manifest's layout says.
    tags : sequence of int
        Multi-hot vector (0 and 1) over the data set's vocabulary.

    Returns
    -------
    bytes
        A serialised ``tf.train.Example`` with the features audio, tags and tid.
    """
    features = (
        _entry(AUDIO, _field(1, _field(1, audio)))
        + _entry(TAGS, _field(3, _field(1, b"".join(map(_varint, tags)))))
        + _entry(TID, _field(1, _field(1, tid.encode())))
    )
    return _field(1, features)


def tfrecord(record: bytes) -> bytes:
    """Frame one record as a TFRecord file holds it (length, masked CRCs)."""
    length = struct.pack("<Q", len(record))
    return b"".join(
        (
            length,
            struct.pack("<I", _masked_crc(length)),
            record,
            struct.pack("<I", _masked_crc(record)),
        )
    )


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _entry(name: str, feature: bytes) -> bytes:
    return _field(1, _field(1, name.encode()) + _field(2, feature))


def _field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

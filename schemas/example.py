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

import io
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

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
    return int((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


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


def read_tids(path: str) -> Iterator[str]:
    """Ids of a TFRecord file's tracks in order, see :func:`locate_tids`."""
    return (tid for tid, _, _ in locate_tids(path))


def locate_tids(path: str) -> Iterator[tuple[str, int, int]]:
    """Where the tracks of a TFRecord file lie, passing over the audio unread.

    Parameters
    ----------
    path : str
        A file of records as :func:`encode_example` makes them, by whatever writer.

    Yields
    ------
    (str, int, int)
        Track id; where its example begins, and its bytes.

    Raises
    ------
    ValueError
        If the file ends within a record, or a record is no track's example.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        while file.tell() < size:
            length, _ = struct.unpack("<QI", _exactly(file, 12))
            start = file.tell()
            if start + length + 4 > size:
                raise ValueError("truncated record")
            yield _feature(file, start + length, TID).decode(), start, length
            file.seek(start + length + 4)


def read_audio(path: str, start: int, length: int) -> bytes:
    """The audio of the example that begins there in a TFRecord file.

    Raises
    ------
    ValueError
        If its checksum is wrong, or it is no track's example.
    """
    with open(path, "rb") as file:
        file.seek(start)
        example = _exactly(file, length)
        (crc,) = struct.unpack("<I", _exactly(file, 4))
    if crc != _masked_crc(example):
        raise ValueError("damaged record")
    return _feature(io.BytesIO(example), length, AUDIO)


def _feature(file: BinaryIO, end: int, wanted: str) -> bytes:
    """The bytes of a feature in the example that begins here."""
    end = _enter(file, 1, end) + file.tell()
    while file.tell() < end:
        after = _enter(file, 1, end) + file.tell()
        name = _exactly(file, _enter(file, 1, after))
        if name == wanted.encode():
            _enter(file, 2, after), _enter(file, 1, after)
            return _exactly(file, _enter(file, 1, after))
        file.seek(after)
    raise ValueError(f"record without a {wanted}")


def _enter(file: BinaryIO, number: int, end: int) -> int:
    """Length of the field that begins here, which is to be this number's and to end by `end`."""
    key, length, shift = _exactly(file, 1)[0], 0, 0
    while True:
        byte = _exactly(file, 1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if key != number << 3 | 2 or file.tell() + length > end:
        raise ValueError("not an example")
    return length


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError("truncated record")
    return data

"""Columns of the tables that a build or a scan writes."""

from __future__ import annotations

import pyarrow as pa

REJECTS = pa.schema(
    [
        ("kind", pa.string()),
        ("path", pa.string()),
        ("track_id", pa.string()),
        ("track_7digitalid", pa.int64()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

# Times in s, rates in Hz, bit_rate in bit/s, sizes in bytes, mtime in s since 1970. probe_*
# is what the file's headers say, the others are what was decoded. cut_short: s that are missing
# of what the file speaks of; only_channel: the one that was taken where the mix of all cancels out.
_MEASURED = [
    ("probe_duration", pa.float64()),
    ("probe_channels", pa.int32()),
    ("probe_sample_rate", pa.int32()),
    ("probe_bit_rate", pa.int32()),
    ("duration", pa.float64()),
    ("channels", pa.int32()),
    ("sample_rate", pa.int32()),
    ("decoder", pa.string()),
    ("cut_short", pa.float64()),
    ("only_channel", pa.int32()),
    ("audio_start", pa.float64()),
    ("audio_end", pa.float64()),
    ("effective_clip_length", pa.float64()),
    ("mid_silence_length", pa.float64()),
    ("max_silence_length", pa.float64()),
    ("non_silence_length", pa.float64()),
    ("silence_percentage", pa.float64()),
    ("silence_detail", pa.list_(pa.list_(pa.float64()))),
]

# A row of the summary and the file that was matched with it.
SONG = [
    ("track_id", pa.string()),
    ("track_7digitalid", pa.int64()),
    ("song_id", pa.string()),
    ("artist_id", pa.string()),
    ("artist_name", pa.string()),
    ("title", pa.string()),
    ("release", pa.string()),
    ("year", pa.int32()),
    ("path", pa.string()),
    ("size", pa.int64()),
]

TRACKS = pa.schema(
    [
        *SONG,
        *_MEASURED,
        ("split", pa.string()),
        ("shard", pa.string()),
        ("tags", pa.list_(pa.string())),
    ]
)

SCAN = pa.schema(
    [
        ("path", pa.string()),
        ("track_7digitalid", pa.int64()),
        ("size", pa.int64()),
        ("mtime", pa.float64()),
        *_MEASURED,
    ]
)

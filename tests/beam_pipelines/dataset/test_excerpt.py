"""Parts of long recordings: which samples are stored, and what is said of them."""

import numpy as np
import pytest
import soundfile

from beam_pipelines import build
from beam_pipelines.audio.decode import load_clip
from beam_pipelines.scanning.excerpt import Excerpt
from schemas.audio_spec import AudioSpec
from schemas.common.errors import UsageError
from schemas.example import locate_tids, read_audio
from schemas.manifest import read_dataset
from tests.helpers.accounts import rows
from tests.helpers.music import write_noise


@pytest.mark.parametrize(
    ("seconds", "place", "n", "expected"),
    [
        (2, "centre", 10, [4, 5]),
        (2, "centre", 11, [4, 5]),
        (2, "start", 10, [0, 1]),
        (2, "centre", 1, [0]),
        (0.1, "centre", 3, [1]),
        (9, "start", 3, [0, 1, 2]),
        (9, "centre", 0, []),
    ],
)
def test_which_samples(seconds, place, n, expected):
    assert Excerpt(seconds, place).cut(np.arange(n), 1).tolist() == expected


def test_a_build_stores_the_middle(tmp_path):
    write_noise(tmp_path / "long.wav", samples=40_000)
    write_noise(tmp_path / "short.wav", 1, samples=6_000)
    gap = np.random.default_rng(2).normal(size=40_000) / 10
    gap[12_000:28_000] = 0
    soundfile.write(tmp_path / "gap.wav", gap, 8000)
    table = tmp_path / "songs.csv"
    table.write_text("path,tags,split\nlong.wav,a,train\nshort.wav,b,train\ngap.wav,b,train\n")
    options = ["--manifest", str(table), "--output", str(tmp_path / "out"), "--num_shards", "1"]
    assert build.main([*options, "--sample_rate", "8000", "--excerpt_seconds", "1.5"]) == 0
    dataset = read_dataset(str(tmp_path / "out"))
    (shard,) = dataset.shards("train")
    stored = {tid: read_audio(shard, start, size) for tid, start, size in locate_tids(shard)}
    tracks = {row["path"]: row for row in rows(tmp_path / "out" / "tracks.parquet")}
    assert set(tracks) == {"long.wav", "short.wav"}
    for path, part in (("long.wav", slice(14_000, 26_000)), ("short.wav", slice(None))):
        whole = load_clip((tmp_path / path).read_bytes(), AudioSpec(sample_rate=8000)).pcm
        found = np.frombuffer(stored[tracks[path]["track_id"]], "<i2")
        np.testing.assert_array_equal(found, whole[part])
    assert tracks["long.wav"]["duration"] == 5.0  # of the file
    (reject,) = [row for row in rows(tmp_path / "out/rejects.parquet") if row["kind"] == "file"]
    about = (reject["path"], reject["reason"], reject["detail"])
    assert about == ("gap.wav", "silent", "1.50 s at its centre without sound")
    chosen = {name: dataset.data["options"][name] for name in ("excerpt_seconds", "excerpt")}
    assert chosen == {"excerpt_seconds": 1.5, "excerpt": "centre"}
    with pytest.raises(UsageError, match="--excerpt has no meaning without --excerpt_seconds"):
        build.main([*options, "--excerpt", "start"])

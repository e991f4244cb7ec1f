"""What a trainer believes of a manifest."""

import json

import pytest

from schemas.common.errors import UsageError
from schemas.manifest import read_dataset
from tests.helpers.datasets import tone_dataset


@pytest.fixture
def folder(tmp_path):
    return tone_dataset(tmp_path / "set", train=4, validation=2, test=2, seconds=0.1)


def spoil(folder, change):
    path = f"{folder}/dataset.json"
    with open(path) as stream:
        manifest = json.load(stream)
    change(manifest["data"]["parts"]["train"]["shards"][0])
    with open(path, "w") as stream:
        json.dump(manifest, stream)


@pytest.mark.parametrize(
    "name",
    [
        "../set/train/waveform-00000-of-00002.tfrecord",
        "train/../test/waveform-00000-of-00002.tfrecord",
        "/etc/passwd",
        "test/waveform-00000-of-00002.tfrecord",
        "train/notes.txt",
        "",
        None,
        7,
    ],
)
def test_a_shard_elsewhere_is_refused(folder, name):
    spoil(folder, lambda shard: shard.update(name=name))
    with pytest.raises(UsageError, match=r"dataset\.json is not a data set's manifest: "):
        read_dataset(folder)


def test_linked_files_and_folders_are_refused(folder, tmp_path):
    shard = tmp_path / "set" / "train" / "waveform-00001-of-00002.tfrecord"
    shard.rename(tmp_path / "shard")
    shard.symlink_to(tmp_path / "shard")
    with pytest.raises(UsageError, match="00001-of-00002.tfrecord is a link"):
        read_dataset(folder)
    shard.unlink()
    (tmp_path / "set" / "test").rename(tmp_path / "test")
    (tmp_path / "set" / "test").symlink_to(tmp_path / "test")
    with pytest.raises(UsageError, match="set/test is a link"):
        read_dataset(folder)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 10_000, b"null", b'{"data": 1}'])
def test_a_damaged_manifest_is_one_error(folder, data):
    with open(f"{folder}/dataset.json", "wb") as stream:
        stream.write(data)
    with pytest.raises(UsageError, match=r"dataset\.json is not a data set's manifest: "):
        read_dataset(folder)

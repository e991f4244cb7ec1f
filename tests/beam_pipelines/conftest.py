"""The mini corpus, decoded and measured once."""

import csv
import dataclasses
import json

import pytest

from beam_pipelines.audio import decode, headers
from beam_pipelines.audio.errors import AudioError
from beam_pipelines.audio.headers import Probe
from beam_pipelines.audio.silence import SilenceStats
from schemas.audio_spec import AudioSpec

SPEC = AudioSpec()


@dataclasses.dataclass(frozen=True)
class Decoded:
    clip: decode.Clip
    stats: SilenceStats
    probe: Probe
    size: int


@pytest.fixture(scope="package")
def msd(fixtures_dir):
    return fixtures_dir / "mini-msd"


@pytest.fixture(scope="package")
def rows_of_2019(msd):
    """Reads one of the CSV tables that the 2019 project made of the mini corpus."""

    def read(name) -> list[dict]:
        with open(msd / "expected" / name, encoding="utf8", newline="") as stream:
            return list(csv.DictReader(stream))

    return read


@pytest.fixture(scope="package")
def rejected(msd):
    """Path to reason of every file of the tree that gives no samples."""
    reasons = {}
    for entry in json.loads((msd / "audio_manifest.json").read_text()):
        try:
            decode.measure((msd / "7digital" / entry["path"]).read_bytes())
        except AudioError as error:
            reasons[entry["path"]] = error.reason
    return reasons


@pytest.fixture(scope="package")
def decoded(msd, rejected):
    """Path to everything that is measured of a file."""
    found = {}
    for entry in json.loads((msd / "audio_manifest.json").read_text()):
        if entry["path"] not in rejected:
            data = (msd / "7digital" / entry["path"]).read_bytes()
            clip = decode.load_clip(data, SPEC)
            found[entry["path"]] = Decoded(clip, clip.stats, headers.probe(data), len(data))
    return found

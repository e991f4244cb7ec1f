"""What a build looks at before it plans."""

import importlib.metadata

from beam_pipelines.dataset.inputs import look
from beam_pipelines.dataset.options import build_parser, check_together
from tests.helpers.music import write_noise


def test_a_package_without_metadata_is_no_traceback(tmp_path, monkeypatch):
    write_noise(tmp_path / "a.wav")
    (tmp_path / "songs.csv").write_text("path,tags\na.wav,rock\n")
    given = ["--manifest", str(tmp_path / "songs.csv"), "--output", "unused"]
    args = build_parser().parse_args(given)
    check_together(args)
    versions = look(args).fingerprints["versions"]
    assert "librosa" not in versions and versions["soxr"] == importlib.metadata.version("soxr")
    version = importlib.metadata.version

    def without_soxr(name):
        if name == "soxr":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_soxr)
    found = look(args).fingerprints["versions"]
    assert found == {**versions, "soxr": "unknown"}

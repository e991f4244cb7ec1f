"""JSON of users, however it is nested."""

import zipfile

import pyarrow as pa
import pytest

from beam_pipelines.scanning.scan_table import read_scan, write_scan
from schemas import tables
from schemas.common.errors import UsageError
from schemas.common.text import parse_json
from schemas.config import read_config
from schemas.saved_model import DESCRIPTION, METADATA, read_lite_info, read_model_info

DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 10_000 + "1" + "}" * 10_000, "[" * 10_000])
def test_what_is_nested_too_deeply_is_no_json(text):
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(text)


def test_every_json_of_a_user_is_one_error(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(DEEP)
    with pytest.raises(UsageError, match=r"config\.json is no JSON: it is nested too deeply"):
        read_config(str(config))
    with pytest.raises(UsageError, match="window_seconds"):
        read_config(None, [f"model-training.window_seconds={DEEP}"])
    metadata = tmp_path / METADATA
    metadata.parent.mkdir(parents=True)
    metadata.write_text(DEEP)
    with pytest.raises(UsageError, match="does not describe a model: it is nested too deeply"):
        read_model_info(str(tmp_path))
    with zipfile.ZipFile(tmp_path / "model.tflite", "w") as archive:
        archive.writestr(DESCRIPTION, DEEP)
    with pytest.raises(UsageError, match="is no LiteRT model of ours"):
        read_lite_info(str(tmp_path / "model.tflite"))
    row = {field.name: None for field in tables.SCAN} | {"path": "a.mp3", "silence_detail": [[0.0]]}
    table = pa.Table.from_pylist([row], schema=tables.SCAN)
    write_scan(str(tmp_path / "scan.csv"), table)
    text = (tmp_path / "scan.csv").read_text()
    (tmp_path / "scan.csv").write_text(text.replace("[[0.0]]", DEEP))
    with pytest.raises(UsageError, match=r"is no table of a scan \(it is nested too deeply\)"):
        read_scan(str(tmp_path / "scan.csv"), "--scan")

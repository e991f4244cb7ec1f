"""The README's commands as they stand there, on a smaller sample; what is served was measured."""

import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from beam_pipelines import build
from serving import predict
from tests.helpers.places import ROOT
from trainer import evaluate

# Added to the README's arguments, where the last of two equal options counts.
SMALLER = {
    "beam_pipelines.sample": "--clips 48",
    "beam_pipelines.build": "--tag_threshold 4 --num_shards 6",
    "beam_pipelines.clean_tags": "--tag_threshold 4",
    "trainer.task": "--epochs 1 --set window_seconds=3",
}


def readme_commands():
    """What the README tells to type, without continuation lines."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return "".join(blocks).replace("\\\n", " ").strip().split("\n")


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    """A folder in which the README's modules were run; its (module, process) pairs."""
    folder = tmp_path_factory.mktemp("way")
    (folder / "temporary").mkdir()
    env = os.environ | {"TMPDIR": str(folder / "temporary")}
    done = []
    for line in readme_commands():
        words = shlex.split(line)
        if words[0] != "python":
            continue
        command = [sys.executable, *words[1:], *SMALLER.get(words[2], "").split()]
        process = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=300
        )
        assert process.returncode == 0, f"{line}\n{process.stdout}\n{process.stderr}"
        done.append((words[2], process))
    return folder, done


def test_nothing_is_left_in_the_temporary_folder(way):
    folder, _ = way
    assert [path.name for path in (folder / "temporary").iterdir()] == []


def test_the_whole_way(way):
    folder, done = way
    assert [module for module, _ in done] == [
        "beam_pipelines.sample",
        "beam_pipelines.build",
        "trainer.task",
        "trainer.evaluate",
        "trainer.export",
        "serving.predict",
        "serving.predict",
        "serving.lite",
        "beam_pipelines.scan",
        "beam_pipelines.clean_tags",
        "beam_pipelines.clean_tags",
    ]
    for module, process in done:
        assert "Traceback" not in process.stderr and "I0000" not in process.stderr, module
    assert {line for line in readme_commands() if line.startswith("make")} == {
        "make demo",
        "make model",
        "make test",
    }
    files = sorted(
        str(path.relative_to(folder)) for path in (folder / "msd/7digital/1").rglob("*.mp3")
    )
    rows = [json.loads(line) for line in (folder / "tags.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == files
    assert pd.read_csv(folder / "lite.csv")["path"].tolist() == files
    table = pq.read_table(folder / "tags.parquet").to_pylist()
    assert [row["path"] for row in table] == files
    assert len(list((folder / "taggrams").rglob("*.png"))) == len(files)
    report = json.loads((folder / "test.json").read_text())
    tracks = pq.read_table(folder / "dataset" / "tracks.parquet").to_pylist()
    assert report["tracks"] == sum(track["split"] == "test" for track in tracks) > 0


def test_the_python_of_the_readme(way, monkeypatch, capsys):
    folder, _ = way
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(folder)
    for code in blocks:
        exec(code, {})
    dataset = json.loads((folder / "dataset" / "dataset.json").read_text())["data"]
    printed = capsys.readouterr().out
    assert dataset["vocabulary"][0]["tag"] in printed and "TR" in printed
    assert f"pons (None, {min(10, len(dataset['vocabulary']))})" in printed
    assert (folder / "own_job" / "metrics.json").exists()


def served_scores(folder, model, output):
    """What predict gives for the test tracks: a row a track, a column a tag."""
    tracks = pq.read_table(folder / "dataset" / "tracks.parquet").to_pylist()
    tids = {
        str(folder / "msd" / "7digital" / track["path"]): track["track_id"]
        for track in tracks
        if track["split"] == "test"
    }
    paths = ["--input", *tids, "--output", str(output)]
    assert predict.main(["--model", str(folder / model), *paths]) == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    scores = [{tag["tag"]: tag["score"] for tag in row["tags"]} for row in rows]
    return pd.DataFrame(scores, [tids[row["path"]] for row in rows])


def largest_difference(served, file):
    measured = pd.read_csv(file, index_col="track_id")
    assert set(served.index) == set(measured.index) and len(served) == len(measured)
    assert set(served.columns) == set(measured.columns)
    assert measured.to_numpy().std() > 0
    return np.abs(served.loc[measured.index, measured.columns] - measured).to_numpy().max()


def test_what_is_served_is_what_was_measured(way, tmp_path):
    """On samples as stored, and on spectrograms that the writer made."""
    folder, _ = way
    served = served_scores(folder, "tagger", tmp_path / "tags.jsonl")
    assert largest_difference(served, folder / "scores.csv") < 1e-4
    (line,) = [line for line in readme_commands() if "beam_pipelines.build" in line]
    arguments = [*shlex.split(line)[3:], *SMALLER["beam_pipelines.build"].split()]
    arguments = [re.sub("^msd/", f"{folder}/msd/", word) for word in arguments]
    dataset = str(tmp_path / "spectrograms")
    arguments += ["--audio_format", "log-mel-spectrogram", "--output", dataset]
    assert build.main(arguments) == 0
    scores = str(tmp_path / "scores.csv")
    model = str(folder / "job")
    assert evaluate.main(["--dataset", dataset, "--model", model, "--scores", scores]) == 0
    assert largest_difference(served, scores) < 1e-3

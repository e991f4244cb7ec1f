"""What crosses a shuffle is small: rows and names, never audio; workers look before they work."""

import pathlib
import sqlite3

import apache_beam as beam
import numpy as np
import pytest
from apache_beam import coders
from apache_beam.metrics import Metrics
from apache_beam.pipeline import PipelineVisitor

from beam_pipelines import build
from beam_pipelines.dataset import layout, options, write
from beam_pipelines.runtime import preflight, runners
from beam_pipelines.scanning import filters
from schemas.audio_spec import WAVEFORM, AudioSpec
from schemas.common.errors import UsageError
from tests.benchmarks import rehearsal
from tests.helpers.corpora import mini_options

MOST = 64 * 1024  # bytes


class Weigh(beam.DoFn):
    """Counts the bytes that an element has where the runner takes it over."""

    def __init__(self, coder: coders.Coder) -> None:
        self.coder = coder

    def process(self, element):
        size = len(self.coder.encode(element))
        Metrics.distribution("shuffle", "bytes").update(size)
        yield size


class Shuffles(PipelineVisitor):
    """Inputs of all groupings; a Reshuffle has one inside."""

    def __init__(self) -> None:
        self.inputs = {}

    def enter_composite_transform(self, node):
        self.visit_transform(node)

    def visit_transform(self, node):
        if isinstance(node.transform, beam.GroupByKey):
            self.inputs[node.full_label] = node.inputs[0]


def weigh_shuffles(pipeline: beam.Pipeline) -> None:
    found = Shuffles()
    pipeline.visit(found)
    for label, collection in found.inputs.items():
        coder = coders.registry.get_coder(collection.element_type)
        _ = collection | f"Weigh: {label}" >> beam.ParDo(Weigh(coder))


@pytest.fixture
def weighed(monkeypatch):
    """Pipelines that weigh all that crosses their shuffles before they run."""
    seen = {}
    run = beam.Pipeline.run

    def weigh_and_run(pipeline, *arguments):
        weigh_shuffles(pipeline)
        result = run(pipeline, *arguments)
        for found in result.metrics().query()["distributions"]:
            if found.key.metric.namespace == "shuffle":
                seen[found.key.step.removeprefix("Weigh: ")] = found.committed
        return result

    monkeypatch.setattr(beam.Pipeline, "run", weigh_and_run)
    return seen


@pytest.mark.fixtures
def test_no_element_of_a_shuffle_is_over_64_kib(fixtures_dir, mini, tmp_path, weighed):
    output = tmp_path / "out"
    assert build.main(mini_options(fixtures_dir, output)) == 0
    labels = {label.split("/")[0] for label in weighed}
    assert {
        *("Spread the listing", "Spread the summary", "Spread the tags", "Group song pieces"),
        *("Join files and songs on the 7digital id", "Group the copies of a song"),
        *("Join tags, mismatches and copies on the track id", "Group reject pieces"),
        *("Spread the pieces", "Group by shard", "Spread the shards"),
    } <= labels
    for label, sizes in weighed.items():
        assert sizes.count > 0 and 0 < sizes.max <= MOST, label
    written = sum(path.stat().st_size for path in output.glob("*/*.tfrecord"))
    assert sum(sizes.sum for sizes in weighed.values()) < written / 10


def test_no_element_grows_with_the_corpus(tmp_path, weighed, capsys):
    """Many tagged songs, one of them with more copies than one element could hold."""
    n, n_copies, db = 12_000, 500, str(tmp_path / "tags.db")
    rng = np.random.default_rng(0)
    rehearsal.write_lastfm(db, rng, tids=n, tags=1500, pairs=10 * n)
    rehearsal.write_songs(str(tmp_path), db, n, rng)
    with sqlite3.connect(db) as connection:
        tids = [row[0] for row in connection.execute("SELECT tid FROM tids")]
    copies = "\n".join(tids[-n_copies:])
    (tmp_path / "msd_duplicates.txt").write_text(f"%0 a - b\n{copies}\n")
    options = rehearsal.dry_run_options(str(tmp_path), db)
    assert build.main([*options, "--tag_cleaning", "none", "--val_above", "10"]) == 0
    assert "1500 tags" in capsys.readouterr().out
    labels = {label.split("/")[0] for label in weighed}
    assert {"Analyse the tags", "Group song pieces", "Group by shard"} <= labels
    heaviest = {label: sizes.max for label, sizes in weighed.items() if sizes.max > MOST}
    assert heaviest == {}


def test_a_worker_that_cannot_see_a_file_says_which(tmp_path):
    here = tmp_path / "here.mp3"
    here.write_bytes(b"x")
    empty = tmp_path / "empty.mp3"
    empty.write_bytes(b"")
    assert preflight.first_seen([f"{tmp_path}/gone.mp3", str(here), str(empty)]) == (str(here),)
    assert preflight.first_seen([str(empty)]) == (str(empty),)
    assert preflight.first_seen([f"{tmp_path}/gone.mp3"]) == ()
    preflight.check_sight([str(here), str(empty)])
    with pytest.raises(UsageError, match=r"cannot read .*gone\.mp3: inputs and output must lie"):
        preflight.check_sight([str(here), f"{tmp_path}/gone.mp3"])


def test_a_build_whose_workers_do_not_see_the_plan_writes_nothing(tmp_path, capfd):
    settings = write.WriteSettings(
        audio_dir=str(tmp_path),
        output=str(tmp_path / "out"),
        work=str(tmp_path / "out" / "_work"),
        audio_format=WAVEFORM,
        spec=AudioSpec(),
        limits=filters.read_limits(options.build_parser().parse_args([*["--output", "x"]])),
        vocabulary=("rock",),
        must_see=(str(tmp_path / "out" / "_work" / "plan.json"),),
    )
    shard = layout.Shard("train/waveform-00000-of-00001.tfrecord", "train", 1)
    with (
        pytest.raises(UsageError, match=r"^a worker on \S+ cannot read .*plan\.json: .*system\)$"),
        runners.make_pipeline(runners.parse_options([])) as pipeline,
    ):
        write.write_shards(pipeline, [shard], write.WriteShard(settings))
    assert not list(pathlib.Path(tmp_path).iterdir())

"""On Flink: the same bytes inside one process and on a cluster, whatever is killed."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from beam_pipelines import build
from beam_pipelines.dataset import claim, options
from beam_pipelines.dataset.inputs import look
from beam_pipelines.runtime import flink_job_server
from schemas.audio_spec import WAVEFORM
from schemas.common.errors import UsageError
from schemas.rejects import Reason, Stage
from tests.helpers.clusters import Cluster, Running, blind_pool
from tests.helpers.corpora import (
    CORPUS_TAGS,
    MINI_FILTERS,
    build_command,
    contents,
    mini_options,
    msd_options,
)
from tests.helpers.places import ROOT, required

N_SHARDS, N_CLIPS = 24, 348


@pytest.fixture(scope="session")
def job_server() -> str:
    """Beam's job server, where Java and the jar are to be had without a download."""
    try:
        flink_job_server.find_java()
        return flink_job_server.find_jar("2.2", download=False)
    except UsageError as error:
        (pytest.fail if required("flink") else pytest.skip)(str(error))


@pytest.fixture(scope="module")
def one_cluster(job_server, tmp_path_factory):
    found = Cluster(tmp_path_factory.mktemp("flink"))
    found.run("start", *found.ports)
    yield found
    found.run("stop")


@pytest.fixture
def cluster(one_cluster):
    """All five processes run, whatever the test before has killed."""
    one_cluster.heal()
    return one_cluster


def corpus_options(fixtures: pathlib.Path, output: pathlib.Path) -> list[str]:
    more = ["--tag_threshold", "10", "--tag_pool_threshold", "1", "--num_shards", str(N_SHARDS)]
    return [*msd_options(fixtures / "corpus", output), *CORPUS_TAGS, *more]


@pytest.fixture(scope="module")
def planned(fixtures_dir, tmp_path_factory) -> pathlib.Path:
    """An output of the corpus of which only the plan is made."""
    output = tmp_path_factory.mktemp("planned") / "out"
    args = options.build_parser().parse_args(corpus_options(fixtures_dir, output))
    options.check_together(args)
    inputs = look(args)
    with claim.claim(str(output), inputs.plan_id, overwrite=False) as state:
        build.make_plan(args, inputs, state.work, [])
    return output


@pytest.fixture(scope="module")
def corpus(fixtures_dir, planned, tmp_path_factory) -> pathlib.Path:
    """The corpus as this process builds it."""
    output = tmp_path_factory.mktemp("corpus") / "out"
    shutil.copytree(planned, output)
    assert build.main(corpus_options(fixtures_dir, output)) == 0
    return output


def go_on(fixtures_dir, planned, output, cluster) -> Running:
    """Start a build of the corpus that has its plan."""
    options = [*corpus_options(fixtures_dir, output), *cluster.options]
    return Running(options, planned, output, N_SHARDS)


@pytest.mark.flink
@pytest.mark.fixtures
def test_flink_in_one_process_gives_the_same_bytes(fixtures_dir, job_server, mini, tmp_path):
    output = tmp_path / "out"
    options = ["--runner=FlinkRunner", "--flink_master=[local]", "--parallelism=2"]
    command = build_command(*mini_options(fixtures_dir, output), *options)
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert contents(output) == contents(mini)
    assert json.loads((output / "dataset.json").read_text())["run"]["runner"] == "FlinkRunner"
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("plan", "write"))]
    assert lines == []


@pytest.mark.flink
@pytest.mark.fixtures
@pytest.mark.parametrize("source", [mini_options, corpus_options])
def test_a_cluster_gives_the_same_bytes(fixtures_dir, cluster, request, tmp_path, source):
    output = tmp_path / "out"
    command = build_command(*source(fixtures_dir, output), *cluster.options)
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    expected = request.getfixturevalue(source.__name__.removesuffix("_options"))
    assert contents(output) == contents(expected)
    jobs = cluster.jobs_of(output)
    assert sorted(jobs) == ["deal", "join", "write"]
    assert {step: cluster.failures(job) for step, job in jobs.items()} == dict.fromkeys(jobs, [])
    # What a user finds on Flink's page:
    assert "Join files and songs on the 7digital id" in cluster.steps(jobs["join"])
    assert "Number the tags and deal" in cluster.steps(jobs["deal"])
    assert "Decode, filter, write" in cluster.steps(jobs["write"])
    tracks, rejects = (pq.read_table(expected / f"{n}.parquet") for n in ("tracks", "rejects"))
    late = [
        row
        for row in rejects.to_pylist()
        if row["stage"] in (Stage.AUDIO, Stage.FILTERS, Stage.COPIES)
        and row["reason"] not in (Reason.EMPTY_FILE, Reason.TOO_SMALL)  # the plan knows the sizes
    ]
    assert cluster.counters(jobs["write"]) == {
        "write: shards": len(list(expected.glob("*/*.tfrecord"))),
        "write: tracks": len(tracks),
        "write: rejects": len(late),
    }


@pytest.mark.flink
@pytest.mark.fixtures
def test_a_scan_on_a_cluster_gives_the_same_tables(fixtures_dir, cluster, command, tmp_path):
    audio = fixtures_dir / "mini-msd" / "7digital"
    scan = ("beam_pipelines.scan", "--audio_dir", audio, *MINI_FILTERS, "--output")
    here, there = tmp_path / "here" / "a.parquet", tmp_path / "there" / "a.parquet"
    for output, more in ((here, ()), (there, cluster.options)):
        output.parent.mkdir()
        result = command(*scan, output, *more)
        assert result.returncode == 0, result.stderr
    names = ["a.parquet", "a.rejects.parquet"]
    for output in (here, there):
        assert sorted(path.name for path in output.parent.iterdir()) == names
    for name in names:
        assert (here.parent / name).read_bytes() == (there.parent / name).read_bytes()
    (job,) = cluster.jobs_of(f"{there}.work").values()
    assert "Decode and measure" in cluster.steps(job)
    tables = {"kept": names[0], "rejects": names[1]}
    assert cluster.counters(job) == {
        f"scan: {name}": len(pq.read_table(here.parent / file)) for name, file in tables.items()
    }


@pytest.mark.flink
def test_predict_on_a_cluster_gives_the_same_rows(cluster, small_models, command, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        rate = (16000, 44100)[i % 2]
        samples = rng.normal(0, 0.1, (int((0.5 + 0.3 * i) * rate), 1 + i % 2))
        soundfile.write(music / f"{i:02}.{('wav', 'flac', 'mp3')[i % 3]}", samples, rate)
    (music / "broken.mp3").write_bytes(b"no sound" * 100)
    predict = ("serving.predict", "--model", small_models[WAVEFORM], "--input", music, "--taggram")
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    for output, more in ((here, ()), (there, cluster.options)):
        result = command(*predict, "--output", output, *more, timeout=200)
        assert result.returncode == 1, result.stderr  # for there is a broken file
        assert result.stdout == f"12 of 13 files tagged: {output}\n"
    assert there.read_bytes() == here.read_bytes()
    assert len(there.read_text().splitlines()) == 13
    (job,) = cluster.jobs_of(f"{there}.work").values()
    assert "Run the model" in cluster.steps(job) and "Commit the chunks" in cluster.steps(job)
    assert cluster.counters(job).items() >= {"predict: tagged": 12, "predict: failed": 1}.items()


@pytest.mark.flink
@pytest.mark.fixtures
@pytest.mark.parametrize("hidden", ["audio", "output", "model"])
def test_workers_that_see_other_disks_are_refused(
    fixtures_dir, cluster, small_models, command, tmp_path, hidden
):
    audio, model = tmp_path / "audio", tmp_path / "model"
    shutil.copytree(fixtures_dir / "mini-msd" / "7digital" / "3", audio / "3")
    shutil.copytree(small_models[WAVEFORM], model)
    (tmp_path / "output").mkdir()
    if hidden == "model":
        output = tmp_path / "output" / "a.jsonl"
        work = ("serving.predict", "--model", model, "--input", audio, "--output", output)
    else:
        output = tmp_path / "output" / "a.parquet"
        work = ("beam_pipelines.scan", "--audio_dir", audio, "--output", output)
    with blind_pool(tmp_path / hidden) as pool:
        result = command(
            *(*work, *cluster.options, "--parallelism=1", f"--environment_config={pool}"),
            timeout=120,  # Flink waits three minutes for a worker that fails in its setup
        )
    assert result.returncode == 2, result.stderr
    said = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1 and "Traceback" not in result.stderr
    assert re.match(
        rf"error: a worker on .* cannot read {tmp_path / hidden}/.*: inputs and", said[0]
    )
    assert not output.exists()
    assert cluster.jobs("RUNNING") == cluster.jobs("RESTARTING") == []


@pytest.mark.flink
@pytest.mark.fixtures
def test_the_next_command_takes_over_from_a_killed_one(
    fixtures_dir, cluster, planned, corpus, tmp_path
):
    first = go_on(fixtures_dir, planned, tmp_path / "out", cluster)
    first.wait_for_a_shard()
    cluster.signal_pools(signal.SIGSTOP)  # or the job might be done before the next command
    first.process.kill()
    first.process.wait()
    assert cluster.jobs("RUNNING") == ["write"]  # it outlives its command
    second = go_on(fixtures_dir, planned, tmp_path / "out", cluster)
    while cluster.jobs("RUNNING") == ["write"] and second.process.poll() is None:
        time.sleep(0.1)
    cluster.signal_pools(signal.SIGCONT)
    second.ends_well(corpus)
    assert "an earlier job of the same output was cancelled" in second.said()
    done = int(re.search(rf"(\d+) of {N_SHARDS} shards are finished already", second.said())[1])
    clips = int(re.search(r"write: clips: (\d+) of \1,", second.said())[1])
    assert 0 < done < N_SHARDS and 0 < clips < N_CLIPS
    assert cluster.jobs("RUNNING") == []


@pytest.mark.flink
@pytest.mark.fixtures
@pytest.mark.parametrize("victim", ["pool-1", "taskmanager-1"])
def test_what_is_killed_is_done_by_the_others(
    victim, fixtures_dir, cluster, planned, corpus, tmp_path
):
    running = go_on(fixtures_dir, planned, tmp_path / "out", cluster)
    running.wait_for_a_shard()
    cluster.kill(victim)
    running.ends_well(corpus)  # the same files with the same bytes: no shard twice, nothing left
    (job,) = cluster.jobs_of(running.output).values()
    assert cluster.failures(job) != []  # it went on by itself
    assert cluster.counters(job)["write: shards"] <= N_SHARDS


def test_a_cluster_that_does_not_answer_is_one_line(command, tmp_path):
    result = command(
        *("beam_pipelines.scan", "--audio_dir", tmp_path, "--output", tmp_path / "a.parquet"),
        *("--runner=FlinkRunner", "--flink_master=localhost:1"),
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: --flink_master: no Flink answers at localhost:1 (")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JAVA_HOME", "/nowhere", "there is no Java in JAVA_HOME /nowhere: install Java 17"),
        (
            flink_job_server.JOB_SERVER_JAR,
            "/nowhere.jar",
            f"{flink_job_server.JOB_SERVER_JAR}: /nowhere.jar is not",
        ),
    ],
)
def test_what_is_missing_is_one_line(command, tmp_path, name, value, said):
    if name != "JAVA_HOME" and not shutil.which("java"):
        pytest.skip("no Java on this machine: its absence is said first")
    result = command(
        *("beam_pipelines.scan", "--audio_dir", tmp_path, "--output", tmp_path / "a.parquet"),
        *("--runner=FlinkRunner", "--flink_master=[local]"),
        env=os.environ | {name: value},
    )
    assert result.returncode == 2
    assert said in result.stderr and result.stderr.count("\n") == 1, result.stderr

"""Thresholds from the training to every command: one decision for a track, wherever it is asked."""

import io
import json
import pathlib

import numpy as np
import pandas as pd
import pytest
import soundfile
from matplotlib.image import imread

from schemas.audio_spec import LOG_MEL
from schemas.common.errors import UsageError
from schemas.saved_model import (
    METADATA,
    WINDOWS,
    find_lite_model,
    find_saved_model,
    read_lite_info,
    read_model_info,
)
from serving import lite, predict
from serving.engine.saved_model import load_signature
from serving.webapp.tag_upload import Limits, tag_audio
from tests.helpers.datasets import SMALL, TONES, tone_dataset, tones
from trainer import evaluate, export, task
from trainer.evaluation.thresholds import learn_thresholds

SETTINGS = ["window_seconds=1", "n_filters=1", "n_dense=8", "batch_size=8", "learning_rate=0.003"]


@pytest.fixture(scope="module")
def waveform_set(tmp_path_factory):
    return tone_dataset(tmp_path_factory.mktemp("waveform"), validation=16)


@pytest.fixture(scope="module")
def job(waveform_set, tmp_path_factory):
    job_dir = tmp_path_factory.mktemp("jobs") / "job"
    argv = ["--dataset", waveform_set, "--job_dir", str(job_dir), "--epochs", "4"]
    assert task.main([*argv, "--frontend", LOG_MEL, "--set", *SETTINGS]) == 0
    return job_dir


def info_of(path):
    return read_model_info(find_saved_model(str(path)))


def scored(dataset, model, folder, *arguments):
    """The report of trainer.evaluate, and the scores by track."""
    files = folder / "report.json", folder / "scores.parquet"
    argv = ["--dataset", dataset, "--model", model, "--output", files[0], "--scores", files[1]]
    assert evaluate.main([*map(str, argv), *arguments]) == 0
    return json.loads(files[0].read_text()), pd.read_parquet(files[1]).set_index("track_id")


def truth_of(scores, prefix):
    by_tid = {tid: tags for tid, _, tags in tones(16, prefix=prefix)}
    return np.array([by_tid[tid] for tid in scores.index])


def test_thresholds_are_learnt_on_the_validation_tracks(job, waveform_set, tmp_path):
    _, scores = scored(waveform_set, job, tmp_path, "--split", "validation")
    learnt = info_of(job).thresholds
    expected = learn_thresholds(truth_of(scores, "TRVA"), scores.to_numpy())
    assert learnt == pytest.approx(expected, abs=1e-5) and len(set(learnt)) == 3
    assert read_lite_info(find_lite_model(str(job))).thresholds == learnt


def test_evaluation_reports_decisions_and_calibration(job, waveform_set, tmp_path, capsys):
    picture = tmp_path / "calibration.png"
    report, scores = scored(waveform_set, job, tmp_path, "--calibration", str(picture))
    truth = truth_of(scores, "TRTE")
    assert list(report["decisions"]) == ["auto", "0.1", "0.2", "0.5"]
    for name, limits in (("auto", info_of(job).thresholds), ("0.5", 0.5)):
        decided = scores.to_numpy() >= np.float32(limits)
        hits = (decided & (truth > 0)).sum()
        micro = report["decisions"][name]["micro"]
        assert micro["f1"] == pytest.approx(2 * hits / (decided.sum() + truth.sum()))
        assert micro["interval"]["f1"][0] <= micro["f1"] <= micro["interval"]["f1"][1]
    pairs = sum(each["pairs"] for each in report["calibration"]["bins"])
    assert pairs == 48 and 0 <= report["calibration"]["ece"] < 0.5
    said = capsys.readouterr().out
    assert "decisions at " in said and "\nauto            macro" in said
    assert f"expected calibration error {report['calibration']['ece']:.4f}" in said
    assert imread(picture).std() > 0.05


def test_one_decision_for_a_track_wherever_it_is_asked(job, waveform_set, tmp_path):
    """Evaluation of the data set, the service and LiteRT on files, the page on uploads."""
    _, scores = scored(waveform_set, job, tmp_path)
    limits = np.float32(info_of(job).thresholds)
    decisions = {
        tid: {tag for tag, decided in zip(TONES, row >= limits, strict=True) if decided}
        for tid, row in zip(scores.index, scores.to_numpy(), strict=True)
    }
    assert {frozenset(tags) for tags in decisions.values()} != {frozenset()}
    folder = tmp_path / "music"
    folder.mkdir()
    for tid, samples, _ in tones(16, seed=2, prefix="TRTE"):
        soundfile.write(folder / f"{tid}.wav", samples, SMALL.sample_rate, subtype="PCM_16")
    found = {}
    for name, main, arguments in (
        ("predict", predict.main, ["--model", job, "--input", folder]),
        ("lite", lite.main, [job, folder]),
    ):
        output = tmp_path / f"{name}.jsonl"
        assert main([*map(str, arguments), "--output", str(output), "--threshold", "auto"]) == 0
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        found[name] = {
            pathlib.Path(row["path"]).stem: {each["tag"] for each in row["tags"]} for row in rows
        }
    path = find_saved_model(str(job))
    model, info, limits = load_signature(path, WINDOWS), info_of(job), Limits(10**7, 60)
    found["page"] = {
        file.stem: set(tag_audio(io.BytesIO(file.read_bytes()), model, info, limits)["chosen"])
        for file in sorted(folder.iterdir())
    }
    assert found == {"predict": decisions, "lite": decisions, "page": decisions}


def test_exports_keep_or_learn_thresholds(job, waveform_set, tmp_path):
    argv = ["--job_dir", str(job), "--output", str(tmp_path / "best")]
    assert export.main(argv) == 0
    assert info_of(tmp_path / "best").thresholds == info_of(job).thresholds
    argv[-1] = str(tmp_path / "early")
    assert export.main([*argv, "--checkpoint", "epoch-02"]) == 0
    assert info_of(tmp_path / "early").thresholds is None
    argv += ["--checkpoint", "epoch-02", "--dataset", waveform_set]
    assert export.main([*argv, "--wanted_precision", "0.9"]) == 0
    _, scores = scored(waveform_set, tmp_path / "early", tmp_path, "--split", "validation")
    truth = truth_of(scores, "TRVA")
    expected = learn_thresholds(truth, scores.to_numpy(), 0.9)
    assert info_of(tmp_path / "early").thresholds == pytest.approx(expected, abs=1e-5)
    with pytest.raises(UsageError, match="--wanted_precision is for thresholds that --dataset le"):
        export.main([*argv[:4], "--wanted_precision", "0.9"])


def test_a_model_without_thresholds_is_said(small_models, waveform_set, tmp_path):
    model = str(small_models[LOG_MEL])
    assert read_model_info(model).thresholds is None
    song = tmp_path / "song.wav"
    soundfile.write(song, np.zeros(20_000), 16_000)
    message = "--threshold auto: the model has no thresholds, for it was trained without"
    for main, argv in (
        (predict.main, ["--model", model, "--input", str(song)]),
        (lite.main, [model, str(song)]),
    ):
        with pytest.raises(UsageError, match=message):
            main([*argv, "--threshold", "auto"])
        with pytest.raises(UsageError, match="'best' is not a number from 0 to 1, nor auto"):
            main([*argv, "--threshold", "best"])


def test_a_damaged_description_is_one_line(job, tmp_path):
    values = json.loads(
        pathlib.Path(find_saved_model(str(job)), "assets.extra/orpheus.json").read_text()
    )
    values["thresholds"] = [0.5]
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / METADATA).write_text(json.dumps(values))
    with pytest.raises(UsageError, match="does not describe a model: 1 thresholds for 3 labels"):
        read_model_info(str(tmp_path))

"""Training, export and evaluation end to end on tones that are their tags."""

import csv
import json
import pathlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import RunError, UsageError
from schemas.manifest import read_dataset
from schemas.saved_model import find_saved_model, read_model_info
from serving.engine.litert import load_lite_signature
from tests.helpers.datasets import SMALL, TONES, spectrograms, tone_dataset, tones, write_dataset
from trainer import evaluate, task
from trainer.evaluation import compare
from trainer.evaluation.bootstrap import draw, intervals, resample
from trainer.evaluation.scoring import Scored
from trainer.job.directory import find_checkpoint

SPEED = ["examples_per_second", "input_wait"]
SETTINGS = ["window_seconds=1", "n_filters=1", "n_dense=8", "batch_size=8", "learning_rate=0.003"]


def run_task(dataset, job_dir, *arguments):
    """trainer.task with a tiny model, in this process."""
    argv = ["--dataset", dataset, "--job_dir", job_dir, "--set", *SETTINGS, *arguments]
    return task.main([*map(str, argv)])


@pytest.fixture(scope="module")
def waveform_set(tmp_path_factory):
    return tone_dataset(tmp_path_factory.mktemp("waveform"))


@pytest.fixture(scope="module")
def job(waveform_set, tmp_path_factory):
    """A log-mel model trained for five epochs from a waveform data set."""
    job_dir = tmp_path_factory.mktemp("jobs") / "job"
    assert run_task(waveform_set, job_dir, "--epochs", 5, "--frontend", LOG_MEL) == 0
    return job_dir


def epochs(job_dir):
    with open(job_dir / "epochs.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_job_directory_says_all_about_the_training(job):
    config = json.loads((job / "config.json").read_text())
    assert config["model"]["frontend"] == LOG_MEL
    assert config["model"]["n_filters"] == 1 and config["model"]["dropout"] == 0.5
    assert config["model-training"]["epochs"] == 5
    assert config["tfrecords"]["vocabulary"] == list(TONES)
    assert AudioSpec(**{k: config["tfrecords"][k] for k in SMALL.to_json()}) == SMALL
    rows = epochs(job)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    losses = [float(row["loss"]) for row in rows]
    assert max(losses[1:]) < losses[0] and losses[-1] < losses[0] - 0.05
    rates = [float(row["learning_rate"]) for row in rows]
    assert max(rates) <= 0.003 and rates[-1] < 1e-5  # one cycle has ended
    best = max(rows, key=lambda row: float(row["val_macro_pr_auc"]))
    kept = sorted(path.name for path in (job / "checkpoints").iterdir())
    assert kept == ["best.keras", "epoch-03.keras", "epoch-04.keras", "epoch-05.keras"]
    metrics = json.loads((job / "metrics.json").read_text())
    assert {row: metrics[row]["epoch"] for row in metrics} == {
        "best": int(best["epoch"]),
        "last": 5,
    }
    assert metrics["best"]["val_macro_pr_auc"] == float(best["val_macro_pr_auc"])
    if int(best["epoch"]) >= 3:
        same = (job / "checkpoints" / f"epoch-{int(best['epoch']):02d}.keras").read_bytes()
        assert (job / "checkpoints" / "best.keras").read_bytes() == same


def test_tensorboard_has_the_scalars_of_each_epoch(job):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(job / "logs"))
    events.Reload()
    areas = [f"{mean}_{area}_auc" for mean in ("val_macro", "val_micro") for area in ("roc", "pr")]
    names = ["loss", "val_loss", *areas, "learning_rate", *SPEED]
    others = ["steps/learning_rate", "steps/loss", "val_pr_auc_of_tags"]
    assert sorted(events.Tags()["tensors"]) == sorted([*names, *others])
    import tensorflow as tf

    for name in names:
        found = events.Tensors(name)
        assert [event.step for event in found] == [1, 2, 3, 4, 5]
        logged = [float(tf.make_ndarray(event.tensor_proto)) for event in found]
        assert logged == pytest.approx([float(row[name]) for row in epochs(job)], rel=1e-6)


def run_evaluate(dataset, model, folder, *arguments):
    """trainer.evaluate; gives the report and the scores."""
    files = folder / "report.json", folder / "scores.csv"
    argv = ["--dataset", dataset, "--model", model, "--output", files[0], "--scores", files[1]]
    assert evaluate.main([*map(str, argv), *arguments]) == 0
    return json.loads(files[0].read_text()), pd.read_csv(files[1], index_col="track_id")


@pytest.fixture(scope="module")
def evaluated(job, waveform_set, tmp_path_factory):
    """Report and scores of the test part."""
    return run_evaluate(waveform_set, job / "export", tmp_path_factory.mktemp("evaluated"))


def test_evaluation_sees_what_training_saw(job, waveform_set, tmp_path):
    report, scores = run_evaluate(waveform_set, job, tmp_path, "--split", "validation")
    best = max(epochs(job), key=lambda row: float(row["val_macro_pr_auc"]))
    assert report["tracks"] == 8
    assert report["macro"]["pr_auc"] == pytest.approx(float(best["val_macro_pr_auc"]), abs=1e-6)
    assert report["micro"]["roc_auc"] == pytest.approx(float(best["val_micro_roc_auc"]), abs=1e-6)
    assert list(scores.columns) == list(TONES) and len(scores) == 8


def test_the_model_has_learnt_the_tones(evaluated):
    report, scores = evaluated
    assert report["split"] == "test" and report["tracks"] == len(scores) == 16
    assert report["macro_min_positives"]["roc_auc"] > 0.8
    truth = np.array([tags for _, _, tags in tones(16)])
    assert [row["positives"] for row in report["per_tag"]] == truth.sum(axis=0).tolist()


def test_scores_are_those_of_the_exported_model_called_alone(job, evaluated):
    import tensorflow as tf

    rows = tones(16, seed=2, prefix="TRTE")
    audio = np.array([samples for _, samples, _ in rows], np.float32) / 32768
    model = tf.saved_model.load(str(job / "export" / "1"))
    served = model.signatures["serving_default"](audio=tf.constant(audio))["scores"].numpy()
    scores = evaluated[1].loc[[tid for tid, *_ in rows]].to_numpy()
    assert np.abs(scores - served).max() < 1e-6
    lite = load_lite_signature(str(job / "export" / "1.tflite"))(audio)["scores"]
    assert np.abs(scores - lite).max() < 1e-4


def test_intervals_are_those_of_the_scores(evaluated, waveform_set):
    report, scores = evaluated
    truth = np.array([tags for _, _, tags in tones(16)])
    tids = [tid for tid, *_ in tones(16, prefix="TRTE")]
    order = [tids.index(tid) for tid in scores.index]
    drawn = resample(truth[order], scores.to_numpy(), draw(16, 1000))
    limits = intervals(drawn, list(TONES))
    assert report["intervals"]["resamples"] == 1000 == limits["resamples"]
    for mean in ("macro", "macro_min_positives", "micro"):
        for area in ("roc_auc", "pr_auc"):
            found = report["intervals"][mean][area]
            assert found == pytest.approx(limits[mean][area], abs=1e-9)
            assert found[0] <= report[mean][area] <= found[1]


def test_a_checkpoint_is_compared_with_the_export(job, waveform_set, evaluated, tmp_path, capsys):
    picture = tmp_path / "tags.png"
    best, scores = run_evaluate(
        waveform_set, job, tmp_path, "--checkpoint", "best", "--compare", str(job),
        "--plot", str(picture), "--resamples", "50",
    )  # fmt: skip
    assert best["model"].endswith("checkpoints/best.keras")
    assert np.abs(scores.loc[evaluated[1].index] - evaluated[1]).to_numpy().max() < 1e-5
    assert best["comparison"]["model"] == str(job / "export" / "1")
    assert best["comparison"]["macro"]["difference"]["roc_auc"] == pytest.approx(0, abs=1e-9)
    assert best["intervals"]["resamples"] == 50 and imread(picture).std() > 0.05
    other, _ = run_evaluate(
        waveform_set, job, tmp_path, "--checkpoint", "epoch-03", "--compare", str(job),
        "--resamples", "0",
    )  # fmt: skip
    assert "intervals" not in other
    macro = other["comparison"]["macro"]
    assert macro["this"] == {area: other["macro"][area] for area in ("roc_auc", "pr_auc")}
    assert macro["other"] == {area: best["macro"][area] for area in ("roc_auc", "pr_auc")}
    assert macro["difference"]["pr_auc"] == macro["this"]["pr_auc"] - macro["other"]["pr_auc"]
    assert other["comparison"]["tags"] == list(TONES) and "interval" not in macro
    assert f"compared with {job / 'export' / '1'}" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"no checkpoint 'epoch-09': there are best, epoch-03"):
        evaluate.main(["--dataset", waveform_set, "--model", str(job), "--checkpoint", "epoch-09"])


def test_models_are_compared_over_the_tags_that_mean_the_same(evaluated):
    _, scores = evaluated
    truth = np.array([tags for _, _, tags in tones(16)], np.float32)
    tids, values = list(scores.index), scores.to_numpy()
    ours = Scored(tids, ["test"] * 16, list(TONES), truth, values, list(TONES))
    merged = np.maximum(truth[:, :1], truth[:, 2:])  # low stands for noise too
    theirs = Scored(tids, ["test"] * 16, ["high", "low"], np.hstack([truth[:, 1:2], merged]),
                    values[:, 1::-1], ["high", "low"])  # fmt: skip
    result = compare.compare(ours, theirs, 20)
    assert result["tags"] == ["high"]
    assert result["macro"]["interval"]["roc_auc"] == [0, 0]
    with pytest.raises(UsageError, match="no tag in common"):
        compare.compare(ours, replace(theirs, known=["low"]))


def test_a_published_split_chooses_the_tracks(job, waveform_set, evaluated, tmp_path, capsys):
    chosen = ["TRTR00003", "TRTR00005", "TRVA00001", "TRTE00006", "TRTE00007"]
    file = tmp_path / "split.csv"
    rows = [f"{tid},test" for tid in [*chosen, "TRNONE"]] + ["TRTE00001,train", "TRTR00001,train"]
    file.write_text("\n".join(["track_id,split", *rows, ""]))
    report, scores = run_evaluate(waveform_set, job, tmp_path, "--split_file", str(file))
    assert sorted(scores.index) == sorted(chosen) and report["tracks"] == 5
    same = evaluated[1].loc[["TRTE00006", "TRTE00007"]]
    assert np.abs(scores.loc[same.index] - same).to_numpy().max() < 1e-6
    assert report["split_file"] == {
        "file": str(file), "tracks": 6, "found": {"train": 2, "validation": 1, "test": 2},
    }  # fmt: skip
    said = f"5 of the 6 tracks of {file} are in the data set, 2 of them in its train part"
    assert said in capsys.readouterr().out
    arguments = ["--dataset", waveform_set, "--model", str(job), "--split_file", str(file)]
    for option in ("--output", "--scores", "--plot"):
        folder = tmp_path / "folder.png"
        folder.mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="folder.png is a directory: allowed is the name of a"):
            evaluate.main([*arguments, option, str(folder)])
    with pytest.raises(UsageError, match="names no validation track of"):
        evaluate.main([*arguments, "--split", "validation"])
    file.write_text("track_id,split\nTRA,dev\n")
    with pytest.raises(UsageError, match="line 2: split is 'dev'"):
        evaluate.main(arguments)


def test_spectrograms_are_scored_as_the_audio_they_come_from(job, evaluated, tmp_path, capsys):
    rows = spectrograms(tones(16, seed=2, prefix="TRTE"))
    stored = write_dataset(tmp_path, {"test": rows}, list(TONES), audio_format=LOG_MEL)
    file = tmp_path / "scores.parquet"
    argv = ["--dataset", stored, "--model", str(job / "export" / "1"), "--scores", str(file)]
    assert evaluate.main(argv) == 0
    report, scores = evaluated
    shown = capsys.readouterr().out
    assert f"{report['macro']['pr_auc']:.4f}" in shown and "prior only, macro" in shown
    found = pd.read_parquet(file).set_index("track_id")
    assert list(found.columns) == list(TONES)
    assert np.abs(found.loc[scores.index] - scores).to_numpy().max() < 1e-3


def test_overwrite_replaces_the_job_and_merged_tags_are_measured_as_learnt(waveform_set, tmp_path):
    own = tmp_path / "job"
    (own / "checkpoints").mkdir(parents=True)
    for name in ("epochs.csv", "notes.txt", "checkpoints/epoch-07.keras"):
        (own / name).write_text("mine")
    with pytest.raises(UsageError, match="already holds a job"):
        run_task(waveform_set, own, "--epochs", "1")
    assert (own / "epochs.csv").read_text() == "mine"
    run_task(
        waveform_set, own, "--epochs", "1", "--frontend", LOG_MEL, "--overwrite",
        "--set", 'merge=[["low","noise"]]',
    )  # fmt: skip
    assert len(epochs(own)) == 1 and (own / "notes.txt").read_text() == "mine"
    kept = sorted(path.name for path in (own / "checkpoints").iterdir())
    assert kept == ["best.keras", "epoch-01.keras"]
    info = read_model_info(find_saved_model(str(own)))
    assert info.labels == ["low", "high"]
    assert evaluate.label_columns(info, read_dataset(waveform_set)) == [0, 1, 0]
    report, _ = run_evaluate(waveform_set, own, tmp_path)
    assert [row["positives"] for row in report["per_tag"]] == [12, 8]


def test_resume_goes_on_with_what_is_whole_and_deletes_nothing(waveform_set, tmp_path):
    own = tmp_path / "own"
    (own / "export" / "mine").mkdir(parents=True)
    (own / "epochs.csv").write_text("mine")
    for name, needed in (
        ("config.json", "config.json"),
        ("checkpoints/best.keras", "best.keras"),
        ("checkpoints/state.npz", "state.npz"),
    ):
        with pytest.raises(
            UsageError, match=rf"{needed} is missing or empty: --resume cannot go on"
        ):
            run_task(waveform_set, own, "--resume")
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).write_text("")  # as a power cut may leave it
        with pytest.raises(UsageError, match=rf"{needed} is missing or empty: --resume cannot"):
            run_task(waveform_set, own, "--resume")
        (own / name).write_text("{}")
    with pytest.raises(UsageError, match="has no checkpoint 'epoch-09': there are best$"):
        find_checkpoint(str(own), "epoch-09")
    assert (own / "export" / "mine").is_dir() and (own / "epochs.csv").read_text() == "mine"


def test_the_waveform_front_end_without_validation_keeps_the_last_epoch(tmp_path):
    spec = AudioSpec(sample_rate=8000, n_mels=16, n_fft=256, hop_length=64)
    data = tone_dataset(tmp_path / "data", train=8, validation=0, test=8, spec=spec)
    job_dir = tmp_path / "job"
    run_task(data, job_dir, "--epochs", "1", "--set", "window_seconds=2.5")
    assert list(epochs(job_dir)[0]) == ["epoch", "loss", "learning_rate", *SPEED]
    info = read_model_info(str(job_dir / "export" / "1"))
    assert info.frontend == WAVEFORM and info.window == 20000 and info.spec == spec
    report, scores = run_evaluate(data, job_dir, tmp_path)
    assert report["tracks"] == 8 and np.isfinite(scores.to_numpy()).all()


def test_a_damaged_shard_is_one_line(tmp_path):
    data = tone_dataset(tmp_path)
    shard = pathlib.Path(data, "train", "waveform-00000-of-00002.tfrecord")
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(RunError, match=r"00000-of-00002.tfrecord is damaged \(corrupted record"):
        run_task(data, tmp_path / "job", "--epochs", "1", "--frontend", LOG_MEL)
    shard.unlink()
    with pytest.raises(UsageError, match="waveform-00000-of-00002.tfrecord is missing"):
        run_task(data, tmp_path / "other", "--epochs", "1")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "model-training.epochs is 0: allowed is a whole number from 1"),
        (["--set", "optimizer=fast"], 'optimizer is "fast": allowed are adadelta'),
        (["--set", "name=unet"], "there is no model 'unet': allowed are pons"),
        (["--set", "top=0"], "tags.top is 0"),
        (["--set", "with=blues"], "tags.with names 'blues'"),
        (["--set", "window_seconds=0.2", "--frontend", LOG_MEL], "no pons model for windows"),
        (["--config", "none.json"], "none.json cannot be read"),
    ],
)
def test_bad_settings_write_nothing(waveform_set, tmp_path, arguments, message):
    argv = ["--dataset", waveform_set, "--job_dir", str(tmp_path / "job")]
    with pytest.raises(UsageError, match=message):
        task.main([*argv, *arguments])
    assert not (tmp_path / "job").exists()


def test_commands_answer_bad_use_with_one_line_and_code_2(command, tmp_path):
    done = command("trainer.task", "--dataset", tmp_path, "--job_dir", tmp_path / "job")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path} holds no finished data set")
    assert done.stderr.count("\n") == 1
    data = tone_dataset(tmp_path, LOG_MEL, train=2, validation=0, test=0)
    done = command(
        "trainer.task", "--dataset", data, "--job_dir", tmp_path / "job", "--frontend", WAVEFORM
    )
    assert done.returncode == 2 and "model.frontend is waveform" in done.stderr
    done = command("trainer.evaluate", "--dataset", data, "--model", tmp_path)
    assert done.returncode == 2 and "holds no exported model" in done.stderr
    done = command("trainer.task", "--help")
    assert done.returncode == 0 and "model-training.batch_size=16" in done.stdout


def test_evaluation_of_what_does_not_fit(job, tmp_path):
    other = AudioSpec(sample_rate=4000, n_mels=16, n_fft=256, hop_length=64)
    rows = {"test": tones(2, spec=other)}
    data = write_dataset(tmp_path / "rate", rows, list(TONES), spec=other)
    with pytest.raises(UsageError, match="audio at 4000 Hz: the model needs 2000 Hz"):
        evaluate.main(["--dataset", data, "--model", str(job)])
    with pytest.raises(UsageError, match="has no validation tracks"):
        evaluate.main(["--dataset", data, "--model", str(job), "--split", "validation"])
    data = write_dataset(tmp_path / "tags", {"test": tones(2)}, ["a", "b", "c"])
    with pytest.raises(UsageError, match="the model knows none of the tags"):
        evaluate.main(["--dataset", data, "--model", str(job)])

"""Pictures of trainings and of tags: what is drawn is what was measured."""

import numpy as np
import pytest
from matplotlib.image import imread

from schemas.common.errors import UsageError
from trainer.evaluation.bootstrap import draw, intervals, resample
from trainer.evaluation.figures import (
    names_that_fit,
    plot_runs,
    plot_tags,
    read_epochs,
    save_figure,
)
from trainer.evaluation.metrics import report
from trainer.plot import main

HEAD = "epoch,loss,val_loss,val_macro_roc_auc,val_macro_pr_auc,learning_rate\n"


def job(folder, rows):
    folder.mkdir(parents=True)
    (folder / "epochs.csv").write_text(rows)
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    long = HEAD + "1,0.7,0.6,0.6,0.3,0.001\n2,0.5,0.4,,,0.002\n3,0.4,0.5,0.8,0.2,0.001\n"
    return job(tmp_path / "one" / "job", long), job(tmp_path / "two" / "job", HEAD + "1,1,1,,,1\n")


def test_curves_are_the_columns_of_the_table(runs):
    table = read_epochs(runs[0])
    assert list(table) == HEAD.strip().split(",")
    assert table["val_macro_pr_auc"] == pytest.approx([0.3, np.nan, 0.2], nan_ok=True)
    figure = plot_runs({"first": table, "second": read_epochs(runs[1])})
    titles = [axes.get_title(loc="left").split(" (")[0] for axes in figure.axes]
    assert titles == [
        "loss", "validation PR-AUC, macro", "validation ROC-AUC, macro", "learning rate",
    ]  # fmt: skip
    training, validation, *_ = figure.axes[0].get_lines()
    assert training.get_linestyle() == "--" and training.get_ydata().tolist() == [0.7, 0.5, 0.4]
    assert validation.get_ydata().tolist() == [0.6, 0.4, 0.5]
    _, best, *_ = figure.axes[2].get_lines()  # the epoch with the best PR-AUC
    assert (best.get_xdata(), best.get_ydata()) == ([1], [0.6])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "first: epoch 1, PR 0.300, ROC 0.600", "second",
    ]  # fmt: skip


def test_runs_without_validation_have_two_panels(tmp_path):
    table = read_epochs(job(tmp_path / "job", "epoch,loss,learning_rate\n1,2,0.1\n2,1,0.1\n"))
    figure = plot_runs({"only": table})
    assert [len(axes.get_lines()) for axes in figure.axes] == [1, 1]
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == [2, 1]


def test_the_command_writes_a_picture(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = tmp_path / "curves.png"
    assert main([*runs]) == 0 and capsys.readouterr().out == "wrote curves.png\n"
    height, width, _ = imread(picture).shape
    assert width > 1000 and height > 600 and imread(picture).std() > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "one", "two"]


def test_a_stop_while_a_picture_is_written_leaves_the_one_before(tmp_path):
    class Stopped:
        def savefig(self, stream, **options):
            stream.write(b"half")
            raise KeyboardInterrupt

    (tmp_path / "a.png").write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        save_figure(Stopped(), str(tmp_path / "a.png"))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"before")]


@pytest.mark.parametrize(
    ("rows", "output", "message"),
    [
        (None, "a.png", r"none holds no training \(epochs.csv: No such file"),
        ("", "a.png", r"epochs.csv is no table of epochs"),
        (HEAD + "1,many\n", "a.png", r"epochs.csv is no table of epochs"),
        (HEAD, "a.pdf", r"a.pdf: allowed is a name that ends in .png"),
        (HEAD, "no/a.png", "there is no such directory"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(tmp_path, rows, output, message):
    folder = str(tmp_path / "none") if rows is None else job(tmp_path / "job", rows)
    with pytest.raises(UsageError, match=message):
        main([folder, "--output", str(tmp_path / output)])
    assert not list(tmp_path.glob("*.p*"))


def test_tags_are_drawn_at_their_counts_and_areas():
    rng = np.random.default_rng(0)
    truth = rng.random((200, 6)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0]
    scores = truth + rng.standard_normal((200, 6))
    tags = ["a", "b", "c", "d", "e", "never"]
    measured = report(truth, scores, tags)
    measured["intervals"] = intervals(resample(truth, scores, draw(200, 50)), tags)
    figure = plot_tags(measured)
    for axes, area in zip(figure.axes, ("roc_auc", "pr_auc"), strict=True):
        points = axes.collections[0].get_offsets()
        rows = [row for row in measured["per_tag"] if row["tag"] != "never"]
        assert {tuple(point) for point in points} == {(r["positives"], r[area]) for r in rows}
        bars = {tuple(line.get_ydata()) for line in axes.get_lines() if len(line.get_xdata()) == 2}
        limits = measured["intervals"]["per_tag"]
        assert {tuple(limits[tag][area]) for tag in "abcde"} <= bars
        assert axes.get_title(loc="left").endswith("of 5 tags in 200 tracks")
        assert {text.get_text() for text in axes.texts} <= set("abcde")
    nothing = plot_tags(report(np.zeros((3, 1)), np.zeros((3, 1)), ["never"]))
    assert [len(axes.collections) for axes in nothing.axes] == [0, 0]


def test_names_give_way_to_those_before_them():
    points = np.array([[0.5, 0.5], [0.51, 0.51], [0.51, 0.6], [0.2, 0.5], [0.45, 0.5]])
    assert names_that_fit(points, [4] * 5) == [0, 2, 3]

"""Resampled areas against scikit-learn on the repeated tracks; intervals that cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from trainer.evaluation.bootstrap import (
    difference,
    draw,
    interval,
    intervals,
    resample,
    resampled_areas,
)
from trainer.evaluation.metrics import comparison_table, report, table


def areas_of(truth, scores):
    if truth.all() or not truth.any():
        return [np.nan, np.nan]
    return [roc_auc_score(truth, scores), average_precision_score(truth, scores)]


def tagged(n_tracks, n_tags, seed=0, gain=1.0):
    rng = np.random.default_rng(seed)
    truth = rng.random((n_tracks, n_tags)) < np.linspace(0.1, 0.5, n_tags)
    return truth, np.round(gain * truth + rng.standard_normal((n_tracks, n_tags)), 1)


def test_a_draw_is_seeded_and_counts_as_many_tracks_as_there_are():
    counts = draw(50, 20, seed=3)
    assert counts.shape == (50, 20) and (counts.sum(axis=0) == 50).all()
    assert (draw(50, 20, seed=3) == counts).all() and (draw(50, 20, seed=4) != counts).any()
    # A track is left out of a resample with probability (1 - 1/n)^n.
    assert (draw(400, 200) == 0).mean() == pytest.approx((1 - 1 / 400) ** 400, abs=0.005)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=25), st.data())
def test_areas_of_a_resample_are_those_of_the_repeated_items(items, data):
    truth = np.array([has for has, _ in items])
    scores = np.array([score for _, score in items]) / 5
    column = st.lists(st.integers(0, 3), min_size=len(items), max_size=len(items))
    counts = np.array([data.draw(column), data.draw(column)], np.int16).T
    expected = [
        areas_of(np.repeat(truth, each), np.repeat(scores, each)) if each.any() else [np.nan] * 2
        for each in counts.T
    ]
    found = resampled_areas(truth, scores, counts)
    assert np.allclose(found, expected, atol=1e-12, equal_nan=True)


def test_means_of_a_resample_are_those_of_the_repeated_tracks():
    truth, scores = tagged(40, 5)
    truth[:, 4] = False  # one class: in no mean over tags
    truth[:, 0] = np.arange(40) < 5  # just enough for the steadier mean
    counts = draw(40, 8)
    found = resample(truth, scores, counts)
    for k, each in enumerate(counts.T):
        again = np.repeat(truth, each, axis=0), np.repeat(scores, each, axis=0)
        per_tag = [areas_of(again[0][:, tag], again[1][:, tag]) for tag in range(4)]
        assert found["per_tag"][:4, k] == pytest.approx(np.array(per_tag))
        assert found["macro"][k] == pytest.approx(np.mean(per_tag, axis=0))
        assert found["micro"][k] == pytest.approx(areas_of(again[0].ravel(), again[1].ravel()))
    assert np.isnan(found["per_tag"][4]).all()
    # Tracks that are drawn once each are the report.
    once = resample(truth, scores, np.ones((40, 1), np.int16))
    measured = report(truth, scores, list("abcde"))
    for mean in ("macro", "macro_min_positives", "micro"):
        assert once[mean][0] == pytest.approx([measured[mean][k] for k in ("roc_auc", "pr_auc")])


def test_intervals_are_the_middle_of_the_resamples():
    areas = np.stack([np.linspace(0, 1, 201), np.full(201, np.nan)], axis=1)
    assert interval(areas) == {"roc_auc": pytest.approx([0.025, 0.975]), "pr_auc": None}
    truth, scores = tagged(60, 2)
    result = intervals(resample(truth, scores, draw(60, 100)), ["a", "b"])
    assert result["resamples"] == 100 and list(result["per_tag"]) == ["a", "b"]
    measured = {**report(truth, scores, ["a", "b"]), "intervals": result}
    low, high = result["macro"]["roc_auc"]
    assert low < measured["macro"]["roc_auc"] < high
    assert f"{low:.4f} - {high:.4f}" in table(measured).splitlines()[1]
    assert len({len(line) for line in table(measured).splitlines()[-2:]}) == 1


def test_intervals_cover_the_true_area_about_as_often_as_they_say():
    truth = np.arange(120) < 40
    area = norm.cdf(1 / np.sqrt(2))  # of scores that a tag moves by one standard deviation
    counts, covered = draw(120, 200), 0
    for seed in range(100):
        scores = truth + np.random.default_rng(seed).standard_normal(120)
        low, high = interval(resampled_areas(truth, scores, counts))["roc_auc"]
        covered += low <= area <= high
    assert 88 <= covered <= 99


def test_models_are_compared_on_the_same_resamples():
    truth, scores = tagged(200, 4)
    counts = draw(200, 100)
    same = difference(truth, scores, scores, counts)
    assert same["macro"] == {"roc_auc": [0, 0], "pr_auc": [0, 0]} == same["micro"]
    worse = scores + 0.5 * np.random.default_rng(1).standard_normal(scores.shape)
    low, high = difference(truth, scores, worse, counts)["macro"]["roc_auc"]
    assert low > 0
    both = [interval(resample(truth, each, counts)["macro"])["roc_auc"] for each in (scores, worse)]
    assert high - low < both[0][1] - both[0][0] and both[1][1] > both[0][0]  # these overlap
    rows = {
        mean: {
            "this": {"roc_auc": 0.8, "pr_auc": None},
            "other": {"roc_auc": 0.75, "pr_auc": None},
            "difference": {"roc_auc": 0.05, "pr_auc": None},
            "interval": {"roc_auc": [-0.01, 0.11], "pr_auc": None},
        }
        for mean in ("macro", "macro_min_positives", "micro")
    }
    lines = comparison_table({"tags": ["a"], **rows}).splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert words[1] == "macro ROC 0.8000 0.7500 +0.0500 -0.0100 to +0.1100"
    assert words[2] == "macro PR - - -"

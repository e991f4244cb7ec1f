"""The areas against scikit-learn, ties and degenerate tags included."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from schemas.common.errors import RunError
from trainer.evaluation.metrics import pr_auc, report, roc_auc, table


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
def test_areas_are_those_of_scikit_learn_with_ties(items):
    truth = np.array([has for has, _ in items])
    scores = np.array([score for _, score in items]) / 7
    if truth.all() or not truth.any():
        assert math.isnan(roc_auc(truth, scores)) and math.isnan(pr_auc(truth, scores))
    else:
        assert roc_auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), abs=1e-9)
        assert pr_auc(truth, scores) == pytest.approx(
            average_precision_score(truth, scores), abs=1e-9
        )


def test_areas_of_four_tracks_by_hand():
    truth = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    assert roc_auc(truth, scores) == 0.75  # of four pairs one is the wrong way round
    assert pr_auc(truth, scores) == pytest.approx((1 + 2 / 3) / 2)


def test_report_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.random((200, 12)) < np.linspace(0.02, 0.6, 12)
    scores = np.round(truth * 0.3 + rng.random((200, 12)), 2)
    result = report(truth, scores, [f"tag {k}" for k in range(12)])
    assert result["tracks"] == 200 and result["one_class"] == []
    assert result["macro"] == {
        "roc_auc": pytest.approx(roc_auc_score(truth, scores, average="macro"), abs=1e-6),
        "pr_auc": pytest.approx(average_precision_score(truth, scores, average="macro"), abs=1e-6),
        "tags": 12,
    }
    assert result["micro"] == {
        "roc_auc": pytest.approx(roc_auc_score(truth, scores, average="micro"), abs=1e-6),
        "pr_auc": pytest.approx(average_precision_score(truth, scores, average="micro"), abs=1e-6),
    }
    constant = np.broadcast_to(truth.mean(axis=0), truth.shape)
    assert result["prior"]["macro"]["roc_auc"] == 0.5
    assert result["prior"]["macro"]["pr_auc"] == pytest.approx(truth.mean())
    assert result["prior"]["micro"]["roc_auc"] == pytest.approx(
        roc_auc_score(truth, constant, average="micro"), abs=1e-6
    )
    assert result["per_tag"][3]["roc_auc"] == pytest.approx(
        roc_auc_score(truth[:, 3], scores[:, 3]), abs=1e-6
    )


def test_tags_of_one_class_are_left_out_of_the_means_and_named():
    truth = np.zeros((12, 4), int)
    truth[:5, 0] = 1  # five positives are enough
    truth[:2, 1] = 1  # two: too few for the steadier mean
    truth[:, 2] = 1  # always; the last tag never
    scores = np.tile(np.linspace(1, 0, 12)[:, None], 4)
    result = report(truth, scores, ["five", "two", "always", "never"])
    assert result["macro"] == {"roc_auc": 1.0, "pr_auc": 1.0, "tags": 2}
    assert result["macro_min_positives"]["tags"] == 1
    assert result["one_class"] == ["always", "never"]
    assert result["per_tag"][3] == {
        "tag": "never", "positives": 0, "roc_auc": None, "pr_auc": None, "prior_pr_auc": 0.0,
    }  # fmt: skip
    text = table(result)
    assert "2 tags with one class only are left out of the means" in text
    assert [line.split()[0] for line in text.splitlines()[8:12]] == [
        "always",
        "five",
        "two",
        "never",
    ]


def test_nothing_to_measure_is_none_and_diverged_scores_are_an_error():
    result = report(np.zeros((0, 2)), np.zeros((0, 2)), ["a", "b"])
    assert result["macro"] == {"roc_auc": None, "pr_auc": None, "tags": 0}
    assert result["micro"] == {"roc_auc": None, "pr_auc": None}
    with pytest.raises(RunError, match="diverged"):
        report(np.ones((1, 1)), np.array([[np.nan]]), ["a"])

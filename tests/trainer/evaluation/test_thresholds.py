"""Thresholds against all others that there could be, decisions and calibration by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support, precision_score

from trainer.evaluation.bootstrap import draw
from trainer.evaluation.decisions import calibration, decision_report, decision_table
from trainer.evaluation.thresholds import (
    NEVER,
    best_threshold,
    learn_thresholds,
    shared_threshold,
)

COARSE = st.sampled_from(np.linspace(0, 1, 11, dtype=np.float32).tolist())
PAIRS = st.lists(st.tuples(st.booleans(), COARSE), min_size=1).filter(
    lambda pairs: any(truth for truth, _ in pairs)
)


@settings(deadline=None)
@given(PAIRS)
def test_no_threshold_has_a_better_f1(pairs):
    truth, scores = (np.array(each) for each in zip(*pairs, strict=True))
    scores = scores.astype(np.float32)
    found = best_threshold(truth, scores)
    assert found == float(np.float32(found))
    best = f1_score(truth, scores >= np.float32(found), zero_division=0)
    assert all(best >= f1_score(truth, scores >= cut, zero_division=0) for cut in np.unique(scores))


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_a_wanted_precision_is_had_with_the_most_hits(pairs, wanted):
    truth, scores = (np.array(each) for each in zip(*pairs, strict=True))
    scores = scores.astype(np.float32)
    found = best_threshold(truth, scores, wanted)
    good = [
        (truth & (scores >= cut)).sum()
        for cut in np.unique(scores)
        if precision_score(truth, scores >= cut) >= wanted
    ]
    if good:
        decided = scores >= np.float32(found)
        assert precision_score(truth, decided) >= wanted
        assert (truth & decided).sum() == max(good)
    else:
        assert found == NEVER


def test_a_threshold_lies_between_two_scores():
    truth = np.array([1, 1, 0, 0], bool)
    assert best_threshold(truth, np.array([0.75, 0.5, 0.25, 0.125], np.float32)) == 0.375
    assert best_threshold(truth, np.array([0.75, 0.5, 0.5, 0.5], np.float32)) == 0.625  # as good
    assert best_threshold(truth, np.array([0.5, 0.5, 0.5, 0.25], np.float32)) == 0.375
    assert best_threshold(truth, np.array([0.5, 0.25, 0, 0], np.float32)) == 0.125
    near = np.nextafter(np.float32(0.5), np.float32(0))
    found = best_threshold(truth, np.array([0.75, 0.5, near, 0], np.float32))
    assert near < found <= 0.5


@settings(deadline=None)
@given(st.lists(st.lists(COARSE, min_size=3, max_size=3), min_size=3, max_size=8))
def test_no_shared_threshold_has_a_better_mean_f1(rows):
    scores = np.array(rows, np.float32)
    truth = np.zeros(scores.shape, bool)
    np.fill_diagonal(truth, True)  # each tag has one of the tracks

    def mean(cut):
        return f1_score(truth, scores >= np.float32(cut), average="macro", zero_division=0)

    best = mean(shared_threshold(truth, scores))
    assert all(best >= mean(cut) - 1e-9 for cut in np.unique(scores))
    wanted = shared_threshold(truth, scores, 0.5)
    assert wanted == best_threshold(truth.ravel(), scores.ravel(), 0.5)


def test_rare_tags_share_a_threshold_that_is_theirs():
    truth = np.zeros((20, 3), bool)
    truth[:10, 0] = truth[:4, 1] = True
    scores = np.where(truth, 0.8, 0.2).astype(np.float32)
    scores[:4, 1] = 0.3
    [own, rare, unseen] = learn_thresholds(truth, scores)
    assert own == pytest.approx(0.5)
    assert rare == unseen == pytest.approx(0.25)  # below the four at 0.3
    assert learn_thresholds(truth[:, [0, 2]], scores[:, [0, 2]]) == [own, own]
    assert learn_thresholds(truth[:, 2:], scores[:, 2:]) == [NEVER]


def random_pairs(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((40, 4)) < [0.5, 0.3, 0.1, 0]
    return truth, (0.5 * truth + rng.random((40, 4)) * 0.7).clip(0, 1).astype(np.float32)


def test_figures_are_those_of_sklearn():
    truth, scores = random_pairs()
    limits = [0.4, 0.6, 0.99, 0.3]
    report = decision_report(truth, scores, limits, list("abcd"))
    decided = scores >= np.float32(limits)
    found = precision_recall_fscore_support(truth, decided, zero_division=0)
    for k, row in enumerate(report["per_tag"][:3]):
        values = [row[key] for key in ("precision", "recall", "f1")]
        assert values == pytest.approx([each[k] for each in found[:3]])
        assert (
            row["threshold"] == pytest.approx(limits[k]) and row["decided"] == decided[:, k].sum()
        )
    assert report["per_tag"][3]["f1"] is None  # no track has it
    micro = precision_recall_fscore_support(truth, decided, average="micro")
    assert list(report["micro"].values()) == pytest.approx(list(micro[:3]))
    assert list(report["macro"].values()) == pytest.approx([each[:3].mean() for each in found[:3]])
    nothing = decision_report(truth[:0], scores[:0], 0.5, list("abcd"))
    assert set(nothing["macro"].values()) == set(nothing["micro"].values()) == {None}


def test_intervals_are_those_of_tracks_drawn_again():
    truth, scores = random_pairs()
    drawn = draw(40, 60)
    report = decision_report(truth, scores, 0.5, list("abcd"), drawn)
    values = {"macro": [], "micro": []}
    for counts in drawn.T:
        rows = np.repeat(np.arange(40), counts)
        again = decision_report(truth[rows], scores[rows], 0.5, list("abcd"))
        for mean, found in values.items():
            found.append(again[mean]["f1"])
    for mean, found in values.items():
        assert report[mean]["interval"]["f1"] == pytest.approx(np.percentile(found, [2.5, 97.5]))
        assert report[mean]["interval"]["f1"][0] <= report[mean]["f1"]
    lines = decision_table({"auto": report, "0.5": report}).splitlines()
    assert len(lines) == 5 and lines[1].startswith("auto            macro")
    ends = report["micro"]["interval"]["f1"]
    assert lines[4].endswith(f"{report['micro']['f1']:.4f}  {ends[0]:.4f} - {ends[1]:.4f}")


def test_calibration_by_hand():
    truth = np.array([[0, 1], [1, 1], [0, 0]])
    scores = np.array([[0.02, 0.95], [0.98, 1.0], [0.04, 0.31]])
    found = calibration(truth, scores)
    assert found["bins"] == [
        {"pairs": 2, "score": pytest.approx(0.03), "share": 0},
        {"pairs": 1, "score": pytest.approx(0.31), "share": 0},
        {"pairs": 3, "score": pytest.approx(0.97667, abs=1e-5), "share": 1},
    ]
    assert found["ece"] == pytest.approx((2 * 0.03 + 0.31 + 3 * 0.02333) / 6, abs=1e-5)
    assert calibration(truth[:0], scores[:0]) == {"bins": [], "ece": None}

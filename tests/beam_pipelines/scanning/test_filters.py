"""The audio filters."""

import dataclasses

import pytest

from beam_pipelines.audio.silence import SilenceStats
from beam_pipelines.scanning.filters import Limits, failed_filter
from schemas.rejects import Reason
from tests.helpers.broken_audio import ANTIPHASE, SILENT

RECIPE = Limits(200_000, 15.0, 3.0, 1.0)


@pytest.mark.fixtures
@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("s4_filter_trim15.csv", Limits(min_effective_length=15.0)),
        ("s4_filter_tot3.csv", Limits(max_total_silence=3.0)),
        ("s4_filter_max1.csv", Limits(max_silence=1.0)),
        ("s4_ultimate_README_min200000_trim15_tot3_max1.csv", RECIPE),
        ("s4_ultimate_without_all_zero_INTENDED.csv", RECIPE),
    ],
)
def test_survivors_of_each_filter(rows_of_2019, decoded, name, limits):
    """Exactly those of 2019, but for the silent clips and mixes, which it took for sounding."""
    survivors = {
        row["mp3_path"]
        for row in rows_of_2019("s3_check_silence.csv")
        if not decoded[row["mp3_path"]].stats.is_silent
        and failed_filter(decoded[row["mp3_path"]].size, decoded[row["mp3_path"]].stats, limits)
        is None
    }
    expected = {row["mp3_path"] for row in rows_of_2019(name)}
    assert survivors - ANTIPHASE == expected - SILENT - ANTIPHASE
    assert ("INTENDED" in name) == expected.isdisjoint(SILENT)


def test_filters_strict_and_inclusive():
    stats = SilenceStats(0, 15, 15.0, 3.0, 1.0, 12.0, 20.0, ((1, 2), (3, 5)), False)
    assert failed_filter(200_001, stats, RECIPE) is None
    assert failed_filter(200_000, stats, RECIPE) is Reason.TOO_SMALL
    assert failed_filter(200_000, None, RECIPE) is Reason.TOO_SMALL
    assert failed_filter(200_001, None, RECIPE) is None
    for field, value, reason in [
        ("effective_clip_length", 14.99, Reason.EFFECTIVE_LENGTH),
        ("mid_silence_length", 3.01, Reason.TOTAL_SILENCE),
        ("max_silence_length", 1.01, Reason.MAX_SILENCE),
    ]:
        worse = dataclasses.replace(stats, **{field: value})
        assert failed_filter(200_001, worse, RECIPE) is reason
        assert failed_filter(0, worse, Limits()) is None

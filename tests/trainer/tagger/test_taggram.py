"""The picture of a track's tags over time."""

import numpy as np
import pytest
from PIL import Image

from serving.output.result import Result
from serving.output.taggram_plot import column_edges, draw_taggram, scale_end

HIGHEST, LOWEST = (252, 253, 191), (0, 0, 4)  # ends of matplotlib's magma


@pytest.mark.parametrize(
    ("highest", "end"), [(0, 0.1), (0.1, 0.1), (0.33, 0.4), (0.4, 0.4), (0.41, 0.5), (1, 1)]
)
def test_the_colours_end_at_the_first_tenth_that_no_score_exceeds(highest, end):
    assert scale_end(np.float32([[0, highest], [0, 0]])) == end


def test_a_window_that_overlaps_is_shown_from_where_the_one_before_ends():
    np.testing.assert_allclose(column_edges(np.array([0, 3, 4.5]), 3), [0, 3, 6, 7.5])


def test_low_scores_have_all_colours(tmp_path):
    windows = np.float32([[0.3, 0.1], [0.3, 0.0]])
    means = windows.mean(axis=0)
    result = Result(None, means, windows, np.array([0.0, 3.0]), np.zeros(1, np.float32))
    draw_taggram(str(tmp_path / "low.png"), "low", ["rock", "jazz"], result, 3)
    with Image.open(tmp_path / "low.png") as picture:
        colours = {colour: n for n, colour in picture.convert("RGB").getcolors(1 << 20)}
    cell = picture.size[0] * picture.size[1] // 10
    assert colours[HIGHEST] > 2 * cell and colours[LOWEST] > cell

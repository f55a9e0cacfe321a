"""The confidence of single pixels: known answers on small arrays."""

import numpy as np
import pytest
from scipy import ndimage

from gcn_luigi.prepare.layers.confidence import (
    confidence_of_edge,
    confidence_of_votes,
    confidence_of_years,
    edge_margin,
    least,
)


class TestEdge:
    def test_a_square_has_a_band_of_two_pixels_on_each_side(self):
        inside = np.zeros((9, 9), bool)
        inside[2:7, 2:7] = True

        found = confidence_of_edge(inside, edge_px=2)

        # Half a pixel from the outline, then one and a half, then two and a half.
        assert found[4].tolist() == [88, 62, 62, 88, 100, 88, 62, 62, 88]
        assert found[:, 4].tolist() == found[4].tolist()
        # Outside the corner: the root of 2 less half a pixel, and of 8 less half a pixel, which is more than two.
        assert (found[1, 1], found[0, 0]) == (round(50 + 25 * (2**0.5 - 0.5)), 100)

    @pytest.mark.parametrize("value", [True, False])
    def test_without_an_outline_everything_is_sure(self, value):
        assert (confidence_of_edge(np.full((4, 5), value), 3) == 100).all()

    def test_both_sides_are_treated_alike(self):
        inside = np.random.default_rng(4).random((30, 40)) > 0.5

        np.testing.assert_array_equal(confidence_of_edge(inside, 3), confidence_of_edge(~inside, 3))

    @pytest.mark.parametrize("edge_px", [1, 2, 5])
    def test_blocks_with_a_margin_give_what_the_whole_gives(self, edge_px):
        noise = np.random.default_rng(edge_px).normal(size=(70, 90))
        inside = ndimage.gaussian_filter(noise, 3) > 0.02
        whole, by = confidence_of_edge(inside, edge_px), edge_margin(edge_px)

        for row in range(by, 70 - by - 16, 7):
            for col in range(by, 90 - by - 16, 9):
                wide = inside[row - by : row + 16 + by, col - by : col + 16 + by]
                block = confidence_of_edge(wide, edge_px)[by:-by, by:-by]
                np.testing.assert_array_equal(block, whole[row : row + 16, col : col + 16])

    def test_it_is_the_distance_that_scipy_gives(self):
        inside = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(50, 60)), 4) > 0.03
        distance = np.where(inside, ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside))

        expected = np.rint(50 + 50 * np.minimum((distance - 0.5) / 4, 1))

        np.testing.assert_array_equal(confidence_of_edge(inside, 4), expected)


class TestVotes:
    def test_a_majority_is_least_sure_on_both_sides_of_its_threshold(self):
        assert confidence_of_votes(np.arange(8), 4, 7).tolist() == [100, 86, 71, 57, 57, 71, 86, 100]

    def test_a_threshold_off_the_middle_leaves_more_room_on_one_side(self):
        assert confidence_of_votes(np.arange(6), 5, 5).tolist() == [100, 89, 78, 67, 56, 100]

    def test_votes_of_any_type_beyond_the_range_are_as_clear_as_the_last(self):
        assert confidence_of_votes(np.array([-3.0, 9.0], np.float32), 4, 7).tolist() == [100, 100]


class TestYears:
    @pytest.mark.parametrize(
        ("gap", "lost", "expected"), [(0, 1.0, 100), (3, 1.0, 97), (5, 2.5, 88), (50, 3.0, 0), (-1, 9.0, 100)]
    )
    def test_each_year_takes_its_part(self, gap, lost, expected):
        assert confidence_of_years(gap, lost) == expected


class TestLeast:
    def test_the_weakest_source_counts(self):
        votes = np.array([[57, 100, 86]], np.uint8)
        edge = np.array([[100, 62, 88]], np.uint8)

        assert least(votes, edge, 87, known=np.ones((1, 3), bool)).tolist() == [[57, 62, 86]]

    def test_a_missing_label_is_255_and_no_source_is_sure(self):
        assert least(known=np.array([[True, False]])).tolist() == [[100, 255]]

    def test_its_arguments_stay_as_they_were(self):
        votes = np.array([[57, 100]], np.uint8)

        least(votes, 30, known=np.zeros((1, 2), bool))

        assert votes.tolist() == [[57, 100]]

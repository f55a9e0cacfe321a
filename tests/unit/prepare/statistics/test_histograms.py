"""Counting pixels into histograms and classes."""

import numpy as np
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.statistics.histograms import PixelHistograms, weighted_classes


def _values(histogram):
    return {int(i) - 32768: int(histogram[i]) for i in np.flatnonzero(histogram)}


class TestHistograms:
    def test_valid_samples_count_once_and_as_often_as_their_weight_says(self):
        histograms = PixelHistograms(2)
        image = np.array([[[-32768, 5, 5, 6]], [[32767, 5, 0, 6]]], np.int16)
        flags = np.array([[0, 1, 2, 0]], np.uint8)

        histograms.add(image, flags, np.array([1, 2], np.uint8), np.array([[3, 4, 2, 0]], np.uint32))

        assert [_values(band) for band in histograms.once] == [{-32768: 1, 5: 1}, {32767: 1, 5: 1}]
        assert [_values(band) for band in histograms.weighted] == [{-32768: 3, 5: 2}, {32767: 3, 5: 4}]

    def test_nothing_is_counted_in_the_beginning_and_in_empty_images(self):
        histograms = PixelHistograms(1)
        for shape in ((0, 4), (4, 0), (0, 0)):
            plane = np.zeros(shape, np.uint8)
            histograms.add(np.zeros((1, *shape), np.int16), plane, np.ones(1, np.uint8), plane.astype(np.uint32))

        assert not histograms.once.any()
        assert not histograms.weighted.any()

    @pytest.mark.parametrize("weight", [2**32 - 1, 2**31, 3])
    def test_counts_that_half_a_word_does_not_hold_are_right(self, weight):
        histograms = PixelHistograms(1)
        # Two rows and three calls: the heaviest pixel fills a bin alone.
        plane = np.zeros((2, 1), np.uint8)

        for _ in range(3):
            histograms.add(
                np.zeros((1, 2, 1), np.int16), plane, np.ones(1, np.uint8), np.full((2, 1), weight, np.uint32)
            )

        assert _values(histograms.once[0]) == {0: 6}
        assert _values(histograms.weighted[0]) == {0: 6 * weight}

    def test_weights_too_large_for_a_row_are_refused(self):
        plane = np.zeros((1, 2), np.uint8)

        with pytest.raises(InputError, match=r"2\*\*32"):
            PixelHistograms(1).add(
                np.zeros((1, 1, 2), np.int16), plane, np.ones(1, np.uint8), np.full((1, 2), 2**31, np.uint32)
            )


class TestWeightedClasses:
    def test_pixels_count_once_and_by_weight(self):
        label = np.array([[0, 1, 2, 2, 255, 7]], np.uint8)
        weight = np.array([[2**32 - 1, 0, 5, 6, 9, 9]], np.uint32)

        assert weighted_classes(label, weight).tolist() == [[1, 2**32 - 1], [0, 0], [2, 11]]
        assert weighted_classes(label[:, :0], weight[:, :0]).tolist() == [[0, 0]] * 3

"""Figures of the data card."""

import pytest

from gcn_luigi.stages.dataset import data_card


@pytest.mark.parametrize(
    ("value", "is_float", "text"),
    [(-0.04, False, "0.0"), (-1234.56, False, "-1,234.6"), (0.123456789, True, "0.123457"), (None, False, "")],
)
def test_a_figure_has_as_many_digits_as_its_band_deserves_and_no_minus_zero(value, is_float, text):
    assert data_card._number(value, is_float=is_float) == text

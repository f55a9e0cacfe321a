"""How far two samples differ, against plain counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.prepare.statistics.statistics import ks_of_samples

shares = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=40)


@given(shares, shares)
def test_the_distance_is_the_largest_difference_of_shares_below_a_value(one, other):
    found = ks_of_samples(one, other)

    below = [abs(np.mean(np.array(one) <= at) - np.mean(np.array(other) <= at)) for at in (*one, *other)]
    assert found == pytest.approx(max(below))
    assert found == ks_of_samples(other, one)


@given(shares)
def test_equal_samples_do_not_differ_and_missing_values_do_not_count(values):
    assert ks_of_samples(values, [*values, np.nan]) == 0


def test_ranges_that_do_not_meet_differ_by_one():
    assert ks_of_samples([0.0, 0.1], [0.5]) == 1


@pytest.mark.parametrize(("one", "other"), [([], [1.0]), ([1.0], []), ([np.nan], [1.0])])
def test_without_a_sample_there_is_no_distance(one, other):
    assert ks_of_samples(one, other) is None

"""Ranges are joined if they are close, and every byte of each is in one request."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.io.objects.ranges import joined


def of(pairs, **how):
    starts, sizes = np.array(pairs, np.int64).reshape(-1, 2).T
    return joined(starts, sizes, **how).tolist()


def test_neighbours_share_a_request_and_far_ranges_do_not():
    assert of([(0, 10), (15, 5), (26, 4)], gap=5) == [[0, 20], [26, 30]]


def test_the_order_does_not_matter_and_ranges_may_overlap_or_repeat():
    assert of([(15, 5), (0, 10), (0, 10), (5, 8)], gap=2) == [[0, 20]]


def test_a_long_request_is_divided_but_no_range_is():
    assert of([(0, 40), (40, 40), (80, 200), (300, 1)], gap=100, most=100) == [[0, 80], [80, 280], [300, 301]]


def test_nothing_needs_no_request():
    assert of([]) == []


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 300)), max_size=30),
    st.integers(0, 400),
    st.integers(1, 2000),
)
def test_each_range_is_within_one_request_and_requests_ascend(pairs, gap, most):
    requests = of(pairs, gap=gap, most=most)

    for start, size in pairs:
        assert sum(first <= start and start + size <= end for first, end in requests) >= 1
    assert requests == sorted(requests)
    starts = [first for first, _ in requests]
    assert len(set(starts)) == len(starts)
    # What is read and not asked for is in gaps alone.
    asked = {byte for start, size in pairs for byte in range(start, start + size)}
    for first, end in requests:
        extra = sorted({*range(first, end)} - asked)
        runs = np.split(extra, np.flatnonzero(np.diff(extra) > 1) + 1) if extra else []
        assert all(len(run) <= gap for run in runs)

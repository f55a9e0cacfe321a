"""Pixels chosen for variograms."""

import numpy as np
import pytest

from gcn_luigi.prepare.evaluation.sampling import ChipPlaces, choose_pixels


def grid_of_chips(n, years, *, step=128, size=64):
    left, top = (axis.ravel().astype(float) for axis in np.meshgrid(*[np.arange(n) * step] * 2))
    order = np.arange(n * n)
    return ChipPlaces(left, top, order, np.asarray(years, np.int64)[order % len(years)], size)


def distances(sample, draws):
    found = []
    for draw in np.unique(draws):
        x, y = sample.x[draws == draw], sample.y[draws == draw]
        first, second = np.triu_indices(len(x), 1)
        found.append(np.hypot(x[first] - x[second], y[first] - y[second]))
    return np.concatenate(found)


@pytest.mark.parametrize("edge", [3, 70])
def test_every_octave_of_distances_has_pairs_in_small_and_large_regions(edge):
    places = grid_of_chips(edge, [2000, 2004])
    sample = choose_pixels(places, 0)

    for draws in (sample.of_year, sample.of_any_year):
        counts, _ = np.histogram(distances(sample, draws), 2.0 ** np.arange(0, int(np.log2(places.reach())) + 1))
        assert counts.min() > 300


def test_the_sample_does_not_grow_with_the_region():
    small, large = (choose_pixels(grid_of_chips(edge, [2000]), 0) for edge in (5, 300))

    assert len(large.x) == pytest.approx(len(small.x), rel=0.05)
    assert len(large.x) < 9000


def test_a_draw_is_of_one_year_and_every_year_has_equally_many_draws():
    places = grid_of_chips(12, [2000, 2004, 2008, 2008, 2008])
    sample = choose_pixels(places, 0)
    years = places.year[sample.chip]

    of_draw = {draw: set(years[sample.of_year == draw]) for draw in np.unique(sample.of_year)}
    assert {len(found) for found in of_draw.values()} == {1}
    _, draws_of_year = np.unique([min(found) for found in of_draw.values()], return_counts=True)
    assert draws_of_year.tolist() == [6, 6, 6]
    assert any(len(set(years[sample.of_any_year == draw])) == 3 for draw in np.unique(sample.of_any_year))


def test_of_many_years_some_are_chosen():
    places = grid_of_chips(30, range(1980, 2020))

    sample = choose_pixels(places, 0)

    assert len(np.unique(places.year[sample.chip])) == 24
    assert len(sample.x) < 14_000


def test_pixels_are_inside_their_chips_and_where_they_say():
    places = grid_of_chips(6, [2000])
    sample = choose_pixels(places, 1)

    assert min(sample.row.min(), sample.col.min()) >= 0
    assert max(sample.row.max(), sample.col.max()) < places.size
    np.testing.assert_array_equal(sample.x, places.left[sample.chip] + sample.col)
    np.testing.assert_array_equal(sample.y, places.top[sample.chip] + sample.row)


def test_a_partition_with_many_chips_begins_no_more_groups_than_others():
    # Half of the chips belong to one partition of ten.
    left = np.arange(18) * 100.0
    partition = np.array([*range(9), *[9] * 9])
    places = ChipPlaces(left, np.zeros(18), partition, np.full(18, 2000), 64)

    starts = [choose_pixels(places, seed).chip[0] for seed in range(200)]

    assert np.mean(partition[starts] == 9) < 0.25


def test_the_seed_decides_and_nothing_else():
    places = grid_of_chips(6, [2000, 2004])
    first, again, other = (choose_pixels(places, seed) for seed in (0, 0, 1))

    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.x[:50], other.x[:50])


def test_no_chip_gives_no_pixel():
    nothing = np.zeros(0)
    places = ChipPlaces(nothing, nothing, nothing.astype(int), nothing.astype(int), 64)

    assert len(choose_pixels(places, 0).x) == 0
    assert places.reach() == places.reach_in_a_year() == 64

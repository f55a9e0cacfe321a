"""The axes and times of data cubes."""

import datetime as dt

import numpy as np
import pytest

from gcn_luigi.prepare.cube_axes import Axis, agree, positions_of_years, regular_axis, year_of


@pytest.mark.parametrize(
    ("centres", "start", "step"),
    [
        ([15.0, 45.0, 75.0], 0.0, 30.0),
        ([75.0, 45.0, 15.0], 90.0, -30.0),
        (np.array([5, 15, 25], np.int32), 0.0, 10.0),
        # The rounding of steps that are no binary fraction adds up.
        (np.arange(5000) * 0.1 + 0.05, 0.0, 0.1),
    ],
)
def test_edges_are_half_a_step_before_the_first_centre(centres, start, step):
    axis = regular_axis(np.asarray(centres))

    assert axis.start == pytest.approx(start, abs=1e-9)
    assert axis.step == pytest.approx(step)
    assert axis.size == len(centres)
    assert (axis.least, axis.greatest) == pytest.approx(sorted((start, start + step * len(centres))))


def test_single_precision_of_a_large_northing_is_regular():
    centres = np.float32(7_000_015) + np.arange(50, dtype=np.float32) * np.float32(30.25)

    assert regular_axis(centres).step == pytest.approx(30.25, abs=0.02)
    with pytest.raises(ValueError, match="is not regular"):
        regular_axis(centres.astype(np.float64))


@pytest.mark.parametrize(
    ("centres", "why"),
    [
        ([0.0, 30.0, 61.0], "is not regular: its steps are 30 to 31"),
        ([0.0, 30.0, 30.0], "is not regular: its steps are 0 to 30"),
        ([30.0, 30.0], "is not regular"),
        ([15.0], "has 1 finite coordinates"),
        ([0.0, np.nan, 60.0], "a step needs at least two"),
    ],
)
def test_axes_without_a_step_are_refused(centres, why):
    with pytest.raises(ValueError, match=why):
        regular_axis(np.array(centres))


def test_axes_agree_to_a_tenth_of_a_pixel_at_both_ends():
    axis = Axis(0.0, 30.0, 100)

    assert agree(axis, Axis(2.9, 30.0, 100))
    assert not agree(axis, Axis(3.1, 30.0, 100))
    assert not agree(axis, Axis(0.0, 30.04, 100))


@pytest.mark.parametrize(
    ("time", "year"),
    [
        (np.datetime64("1999-12-31T23:59:59.999999999"), 1999),
        (np.datetime64("NaT", "D"), None),
        (dt.datetime(2004, 7, 1), 2004),  # noqa: DTZ001  times of cubes have no zone
        (np.int32(2008), 2008),
        (2008.0, 2008),
        (2008.5, None),
        (17, None),
        (True, None),
        ("2012", 2012),
        (b"2012-07", 2012),
        ("July 2012", None),
        (None, None),
    ],
)
def test_the_year_of_a_time(time, year):
    assert year_of(time) == year


def test_each_year_has_its_position_and_other_times_do_not_matter():
    times = [np.datetime64(f"{year}-08-01") for year in (2016, 2004, 2005, 2005, 2008)]

    assert positions_of_years(times, (2004, 2008, 2016)) == (1, 4, 0)
    with pytest.raises(ValueError, match="has 2 times in 2005: 2005-08-01, 2005-08-01"):
        positions_of_years(times, (2005,))
    with pytest.raises(ValueError, match="has no time in 2012; its years are those of 2004, 2005, 2008, 2016"):
        positions_of_years(times, (2004, 2012))
    with pytest.raises(ValueError, match="its years are none that is understood"):
        positions_of_years([1, 2, 3], (2004,))

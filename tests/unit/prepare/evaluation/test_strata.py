"""Pixels are counted by elevation and aspect as a person would count them."""

import numpy as np
import pytest

from gcn_luigi.bands import Band, Role, elevation_band
from gcn_luigi.classes import DEFAULT_CLASSES
from gcn_luigi.prepare.evaluation import strata as module
from gcn_luigi.prepare.evaluation.strata import (
    SECTORS,
    Shown,
    Strata,
    aspect_codes,
    aspect_name,
    aspects,
    elevation_codes,
    elevation_name,
)

LABEL = np.array([[0, 1, 2, 255], [0, 0, 2, 2], [1, 1, 1, 0], [2, 2, 2, 2]], np.uint8)
HIGH = np.array([[0, 0, 300, 300]] * 4, float)


def shown(*origins, split="train", year=2008, year_gap=1, fold=None):
    return Shown(split, year, year_gap, fold, np.array(origins, np.int64).reshape(-1, 2))


def rows_of(strata, stratum):
    table = strata.table()
    return table[table["stratum"] == stratum].set_index(["value", "split"])


@pytest.mark.parametrize(
    ("metres", "name"),
    [(0, "0 to 200 m"), (199.99, "0 to 200 m"), (200, "200 to 400 m"), (-0.01, "-200 to 0 m"), (-200, "-200 to 0 m"),
     (6190, "6000 to 6200 m"), (np.nan, "missing"), (np.inf, "missing")],
)  # fmt: skip
def test_elevation_bands_begin_at_whole_multiples_of_200_metres(metres, name):
    assert elevation_name(int(elevation_codes(np.array([[metres]], float))[0, 0])) == name


@pytest.mark.parametrize(
    ("degrees", "name"),
    [(0, "N"), (22.4, "N"), (22.5, "NE"), (90, "E"), (112.5, "SE"), (180, "S"), (225, "SW"), (270, "W"), (315, "NW"),
     (337.4, "NW"), (337.5, "N"), (359.9, "N"), (-1, "flat"), (np.nan, "missing")],
)  # fmt: skip
def test_a_sector_reaches_half_its_width_to_both_sides(degrees, name):
    assert aspect_name(int(aspect_codes(np.array([[degrees]], float))[0, 0])) == name


@pytest.mark.parametrize("turn", range(8))
def test_a_plane_that_falls_in_a_direction_faces_it_everywhere(turn):
    row, col = np.mgrid[0:5, 0:6].astype(float)
    angle = np.radians(45 * turn)
    # Downhill to the east is a fall with the column, downhill to the north a rise with the row.
    surface = 1000 - 10 * (np.sin(angle) * col - np.cos(angle) * row)

    found = aspect_codes(aspects(surface, ((True, True), (True, True)), 30.0))

    assert found.shape == (3, 4)
    assert {aspect_name(code) for code in found.ravel().tolist()} == {SECTORS[turn]}


def test_a_pixel_in_several_chips_counts_once_and_one_in_none_does_not():
    strata = Strata("here", DEFAULT_CLASSES, 2)
    # Two chips that overlap in a column of two pixels; the two lower rows are in no chip.
    strata.add(shown([0, 0], [0, 1]), LABEL, elevation_codes(HIGH), None)

    region = rows_of(strata, "region").loc[("here", "train")]
    assert region[["n_chips", "n_pixels", "n_none", "n_debris", "n_ice"]].tolist() == [2, 6, 3, 1, 2]
    assert (region["share_none"], region["share_of_split"]) == (0.5, 1.0)
    elevation = rows_of(strata, "elevation")
    # The first chip shows low ground only, the second shows both.
    assert elevation.loc[("0 to 200 m", "train"), ["n_chips", "n_none", "n_debris", "n_ice"]].tolist() == [2, 3, 1, 0]
    assert elevation.loc[("200 to 400 m", "train"), ["n_chips", "n_none", "n_debris", "n_ice"]].tolist() == [1, 0, 0, 2]
    assert elevation["share_of_split"].tolist() == [pytest.approx(4 / 6, abs=1e-6), pytest.approx(2 / 6, abs=1e-6)]


def test_years_gaps_folds_and_splits_have_rows_of_their_own_and_add_up():
    strata = Strata("here", DEFAULT_CLASSES, 2)
    strata.add(shown([0, 0], year=2004, year_gap=4, fold=1), LABEL, None, None)
    strata.add(shown([0, 0], year=2008, year_gap=0, fold=1), LABEL, None, None)
    strata.add(shown([2, 2], split="dev", year_gap=-1, fold=0), LABEL, None, None)

    table = strata.table()
    for stratum, values in (
        ("year", ["2004", "2008", "2008"]),
        ("year gap", ["undated", "0", "4"]),
        ("fold", ["0", "1"]),
    ):
        rows = table[table["stratum"] == stratum]
        assert rows["value"].tolist() == values
        assert rows.groupby("split")["n_pixels"].sum().to_dict() == {"train": 8, "dev": 4}
    assert set(table["stratum"]) == {"region", "year", "year gap", "fold"}


def test_a_chip_over_the_edge_counts_only_what_it_shows_and_one_without_label_counts_nothing():
    strata = Strata("here", DEFAULT_CLASSES, 3)
    strata.add(shown([2, 2]), LABEL, elevation_codes(HIGH), None)
    strata.add(shown([0, 0]), np.full((3, 3), 255, np.uint8), np.zeros((3, 3), np.int64), None)

    assert rows_of(strata, "region").loc[("here", "train"), ["n_chips", "n_pixels"]].tolist() == [2, 4]
    assert rows_of(strata, "elevation")["n_chips"].tolist() == [1]


def test_elevations_are_found_by_name_or_because_they_serve_for_nothing_else():
    slope, dem = Band("slope", Role.TOPO, derive="slope"), Band("dem", Role.TOPO)
    assert elevation_band([Band("b", Role.OPTICAL), slope, dem]) == dem
    assert elevation_band([Band("heights", Role.TOPO, stacked=False)]).name == "heights"
    assert elevation_band([Band("dem", Role.OPTICAL), slope]) is None


@pytest.mark.parametrize("codes", [[[3, -1], [1000, 3]], [[7, 7], [7, 7]], [[-1, -1], [-1, -1]], [[0, 2], [5, 9]]])
def test_codes_are_ranked_as_if_they_were_sorted(codes):
    given = np.array(codes, np.int64)
    values, places = np.unique(given, return_inverse=True)

    found, ranks = module._ranked(given)

    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(ranks, places.reshape(given.shape))

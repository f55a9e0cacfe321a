"""Chips and partitions that are asked for: by id, year, split and box, all of them or a sample."""

import math

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.partitions.query import Selection, bounds_within, select, sharing_area

CRS = "EPSG:3338"
BOX = (350_000.0, 1_260_000.0, 352_000.0, 1_263_000.0)


def index(count=12):
    """Return chips of 10 m in a row, three per partition, two years, the last partition in dev."""
    left = 10.0 * np.arange(count)
    return gpd.GeoDataFrame(
        {
            "chip_id": [f"c{number:02d}" for number in range(count)],
            "partition": [f"p{number // 3}" for number in range(count)],
            "split": ["dev" if number >= count - 3 else "train" for number in range(count)],
            "year": np.where(np.arange(count) % 2, 2006, 2005),
            "left": left,
            "bottom": 0.0,
            "right": left + 10,
            "top": 10.0,
        },
        geometry=[shapely.box(x, 0, x + 10, 10) for x in left],
        crs=CRS,
    )


def chosen(unit="chip_id", **criteria):
    return select(index(), Selection(**criteria), unit, where="here")["chip_id"].tolist()


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, range(12)),
        ({"chips": ("c07", "c02")}, (2, 7)),
        ({"partitions": ("p1",)}, (3, 4, 5)),
        ({"partitions": ("p1",), "chips": ("c04", "c09")}, (4,)),
        ({"split": "dev"}, (9, 10, 11)),
        ({"years": (2006,), "split": "dev"}, (9, 11)),
        ({"years": (2005, 2006), "limit": 2}, (0, 1)),
        ({"bounds": (10.0, 0.0, 30.0, 5.0)}, (1, 2)),
        ({"bounds": (9.9, 9.9, 10.1, 99.0)}, (0, 1)),
    ],
)
def test_all_criteria_must_be_met(criteria, expected):
    assert chosen(**criteria) == [f"c{number:02d}" for number in expected]


def test_a_box_that_only_touches_a_chip_shares_no_area_with_it():
    for beyond in ((120.0, 0.0, 130.0, 10.0), (0.0, 10.0, 10.0, 20.0), (-9.0, 0.0, 0.0, 10.0), (0.0, -9.0, 10.0, 0.0)):
        assert not sharing_area(index(), beyond).any()


def test_the_limit_and_the_sample_can_count_whole_partitions():
    assert chosen("partition", limit=1, years=(2005,)) == ["c00", "c02"]
    drawn = chosen("partition", sample=2, seed=3)
    assert len(drawn) == 6
    assert len({number // 3 for number in range(12) if f"c{number:02d}" in drawn}) == 2


def test_a_sample_keeps_the_order_and_depends_on_its_seed():
    drawn = [chosen(sample=5, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(names == sorted(set(names)) and len(names) == 5 for names in drawn)
    # All of them, where there are not more.
    assert chosen(sample=12) == chosen(sample=13) == chosen()
    assert chosen(sample=5, limit=2, seed=1) == drawn[0][:2]


@pytest.mark.parametrize(
    ("criteria", "message", "fix"),
    [
        ({"chips": ("c3",)}, "there is no chip c3", "did you mean c03?"),
        ({"partitions": ("x", "y")}, "there is no partition x, y", "give a value from the column 'partition'"),
        ({"chips": ("nine",)}, "there is no chip nine", "such as c00"),
        ({"years": (1901,)}, "none of the 12 chips meets all criteria", "years in the index: 2005, 2006"),
    ],
)
def test_what_the_index_does_not_have_is_refused_with_what_it_has(criteria, message, fix):
    with pytest.raises(ConfigError, match=message) as caught:
        chosen(**criteria)
    assert fix in caught.value.fix
    assert caught.value.where == "here"


def test_only_the_seed_is_no_criterion():
    assert Selection().is_empty
    assert Selection(seed=7).is_empty
    assert not Selection(limit=3).is_empty


def test_a_box_in_the_crs_of_the_dataset_stays_as_it_is():
    assert bounds_within(BOX, CRS, CRS, where="here") == BOX


def test_a_box_in_another_crs_gives_one_around_its_edges():
    west, south, east, north = -150.0, 61.0, -149.0, 61.5
    left, bottom, right, top = bounds_within((west, south, east, north), "EPSG:4326", CRS, where="here")
    along = np.linspace(0, 1, 101)
    edges = np.concatenate(
        [np.column_stack([west + along, np.full(101, lat)]) for lat in (south, north)]
        + [np.column_stack([np.full(101, lon), south + along / 2]) for lon in (west, east)]
    )
    x, y = Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(*edges.T)
    np.testing.assert_allclose((left, bottom, right, top), (x.min(), y.min(), x.max(), y.max()), atol=20)


@pytest.mark.parametrize(
    "box",
    [
        (BOX[2], BOX[1], BOX[0], BOX[3]),
        (BOX[0], BOX[1], BOX[0], BOX[3]),
        (BOX[0], BOX[3], BOX[2], BOX[1]),
        (BOX[0], BOX[1], BOX[2], BOX[1]),
        (math.nan, *BOX[1:]),
        (*BOX[:3], math.inf),
    ],
)
def test_a_box_without_an_area_is_refused(box):
    with pytest.raises(ConfigError, match="is not a valid box"):
        bounds_within(box, CRS, CRS, where="here")


def test_only_in_longitudes_a_box_may_cross_the_antimeridian():
    left, _, right, _ = bounds_within((179.0, 51.0, -179.0, 52.0), "EPSG:4326", CRS, where="here")
    assert 0 < right - left < 300_000
    with pytest.raises(ConfigError, match="is not a valid box"):
        bounds_within((179.0, 52.0, -179.0, 51.0), "EPSG:4326", CRS, where="here")


@pytest.mark.parametrize(("box", "crs"), [(BOX, "EPSG:0"), (BOX, "nonsense"), ((0.0, 95.0, 1.0, 99.0), "EPSG:4326")])
def test_a_box_that_cannot_be_reprojected_is_refused(box, crs):
    with pytest.raises(ConfigError, match=r"cannot be reprojected|is outside the area") as caught:
        bounds_within(box, crs, CRS, where="here")
    assert caught.value.where == "here"

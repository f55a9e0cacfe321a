"""The catalog of partitions."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.partitions.catalog import CellFacts, Exclusions, build_catalog, count_reasons
from gcn_luigi.prepare.partitions.grid import Cell, make_grid
from gcn_luigi.prepare.partitions.overlay import (
    cell_boxes,
    far_from_outlines,
    join_glaciers,
    join_outlines,
    outside_shares,
)
from gcn_luigi.prepare.partitions.years import partition_years
from gcn_luigi.settings import GridSettings, YearSettings

LATTICE = Lattice("EPSG:32606", 0.0, 80.0, 10.0, 8, 16)
CELLS = make_grid(LATTICE, 4, "lattice")


def outlines(*shapes, years=None):
    return gpd.GeoDataFrame(
        {
            "outline": [f"g{i}" for i in range(len(shapes))],
            "year": pd.array(years or [2006] * len(shapes), dtype="Int64"),
        },
        geometry=list(shapes),
        crs=LATTICE.crs,
    )


def facts(table, cells=CELLS, *, counts=None, outside=None, exclusions=None):
    joined = join_outlines(cells, LATTICE, table)
    years = partition_years(joined, [2000, 2006], YearSettings(), [cell.id for cell in cells])
    return CellFacts(
        joined,
        years,
        np.zeros((len(cells), 4), np.int64) if counts is None else counts,
        np.zeros(len(cells)) if outside is None else outside,
        exclusions or Exclusions(),
    )


def test_the_join_has_one_row_for_each_cell_and_outline_with_its_area():
    joined = join_outlines(CELLS, LATTICE, outlines(shapely.box(0, 40, 60, 80), shapely.box(30, 70, 40, 80)))

    assert joined.to_dict("list") == {
        "cell": ["r0000_c0000", "r0000_c0000", "r0000_c0001"],
        "outline": ["g0", "g1", "g0"],
        "year": [2006, 2006, 2006],
        "area_m2": [1600.0, 100.0, 800.0],
        "union_m2": [1600.0, 1600.0, 800.0],
    }


def test_the_join_equals_brute_force_for_shapes_with_holes_and_parts():
    rng = np.random.default_rng(1)
    shapes = []
    for _ in range(30):
        x, y, r = rng.uniform(-20, 180), rng.uniform(-20, 100), rng.uniform(2, 60)
        ring = shapely.Point(x, y).buffer(r).difference(shapely.Point(x + r / 4, y).buffer(r / 2))
        shapes.append(shapely.union(ring, shapely.box(x + 2 * r, y, x + 2 * r + 3, y + 3)))

    joined = join_outlines(CELLS, LATTICE, outlines(*shapes)).set_index(["cell", "outline"])["area_m2"]

    boxes = cell_boxes(CELLS, LATTICE)
    for i, shape in enumerate(shapes):
        for cell, box in zip(CELLS, boxes, strict=True):
            assert joined.get((cell.id, f"g{i}"), 0.0) == pytest.approx(box.intersection(shape).area, abs=1e-5)


def test_a_cell_that_only_touches_an_outline_is_not_joined():
    assert join_outlines(CELLS[:1], LATTICE, outlines(shapely.box(40, 40, 80, 80))).empty


def test_no_outlines_join_to_an_empty_table():
    joined = join_outlines(CELLS, LATTICE, outlines())

    assert joined.empty
    assert list(joined.columns) == ["cell", "outline", "year", "area_m2", "union_m2"]


def test_outside_is_what_no_tile_covers_and_overlaps_count_once():
    cells = [Cell("a", Window(0, 0, 4, 4)), Cell("b", Window(0, 4, 4, 4)), Cell("c", Window(50, 50, 4, 4))]

    shares = outside_shares(cells, [Window(0, 0, 4, 3), Window(0, 2, 4, 4), Window(3, 1, 9, 6)])

    assert shares.tolist() == [0.0, 7 / 16, 1.0]


def test_a_row_says_all_that_is_known_of_its_cell():
    counts = np.zeros((8, 4), np.int64)
    counts[0] = [4, 4, 2, 2]

    catalog = build_catalog(
        CELLS, LATTICE, facts(outlines(shapely.box(0, 60, 40, 80), shapely.box(0, 70, 40, 80)), counts=counts),
        GridSettings(),
    )  # fmt: skip

    first = catalog.iloc[0]
    assert (first["partition"], first["n_outlines"], first["rgi_ids"]) == ("r0000_c0000", 2, "g0;g1")
    assert (first["left"], first["bottom"], first["right"], first["top"]) == (0.0, 40.0, 40.0, 80.0)
    assert first[["share_none", "share_debris", "share_ice", "share_missing"]].tolist() == [0.25, 0.25, 0.125, 0.375]
    assert first["glacier_share"] == 0.5
    assert (first["year"], first["year_gap"], first["outline_year"]) == (2006, 0, 2006)
    assert first["used"]
    assert first["geometry"].bounds == (0.0, 40.0, 40.0, 80.0)
    assert catalog.crs == LATTICE.crs
    assert catalog["partition"].is_monotonic_increasing


def test_outlines_that_overlap_never_make_more_than_a_whole_cell():
    everywhere = shapely.box(0, 0, 160, 80)

    catalog = build_catalog(CELLS, LATTICE, facts(outlines(everywhere, everywhere)), GridSettings())

    assert (catalog["glacier_share"] == 1.0).all()


def test_every_unused_cell_has_one_reason_and_the_first_in_order_wins():
    table = outlines(
        shapely.box(0, 40, 130, 80), shapely.box(0, 0, 40, 40), shapely.box(40, 0, 80, 40), years=[2006, None, 2050]
    )
    outside = np.array([0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    excluded = Exclusions(frozenset({"r0000_c0000"}), (shapely.box(0, 45, 50, 60), shapely.box(160, 0, 200, 40)))

    catalog = build_catalog(
        CELLS, LATTICE, facts(table, outside=outside, exclusions=excluded),
        GridSettings(max_outside_share=0.2, min_outline_share=0.5),
    )  # fmt: skip

    assert catalog["reason"].tolist() == [
        "rejected id", "exclusion polygon", "outside the tiles", "too little glacier",
        "no dated outline", "year gap 44", "no outline", "no outline",
    ]  # fmt: skip
    assert not catalog["used"].any()


def test_a_cell_is_far_when_no_outline_lies_within_the_limit():
    shapes = [shapely.box(0, 60, 10, 80), shapely.Point(300.0, 20.0).buffer(100.0)]

    far = {limit: far_from_outlines(CELLS, LATTICE, outlines(*shapes), limit) for limit in (1e-9, 30.0, 70.0, 200.0)}

    for limit, found in far.items():
        expected = [min(box.distance(shape) for shape in shapes) > limit for box in cell_boxes(CELLS, LATTICE)]
        assert found.tolist() == expected
    assert [int(found.sum()) for found in far.values()] == [7, 5, 1, 0]


def test_without_outlines_every_cell_is_far():
    assert far_from_outlines(CELLS, LATTICE, outlines(), 1e6).all()


def test_a_limit_on_distance_selects_among_cells_without_an_outline():
    # 0, 10, 50 and 90 m from the cells of each row: a cell just as far as the limit is used.
    table = outlines(shapely.box(0, 0, 30, 80))
    joined = join_outlines(CELLS, LATTICE, table)
    years = partition_years(joined, [2000, 2006], YearSettings(no_year=2000), [cell.id for cell in CELLS])
    settings = GridSettings(max_outline_distance_m=50.0)
    is_far = far_from_outlines(CELLS, LATTICE, table, 50.0)
    counts, outside = np.zeros((8, 4), np.int64), np.zeros(8)

    limited = build_catalog(CELLS, LATTICE, CellFacts(joined, years, counts, outside, is_far=is_far), settings)
    unlimited = build_catalog(CELLS, LATTICE, CellFacts(joined, years, counts, outside), GridSettings())

    assert limited["reason"].tolist() == ["", "", "", "far from outlines"] * 2
    assert unlimited["used"].all()


def test_rejected_ids_are_compared_whole():
    cells = [Cell("7125", Window(0, 0, 4, 4)), Cell("12", Window(0, 4, 4, 4))]
    table = facts(outlines(shapely.box(0, 0, 160, 80)), cells, exclusions=Exclusions(frozenset({"12.0"})))

    catalog = build_catalog(cells, LATTICE, table, GridSettings())

    assert catalog.set_index("partition")["used"].to_dict() == {"12": False, "7125": True}


def test_a_catalog_of_no_cells_has_all_columns():
    empty = build_catalog([], LATTICE, facts(outlines(), []), GridSettings())
    full = build_catalog(CELLS, LATTICE, facts(outlines()), GridSettings())

    assert empty.empty
    assert list(empty.columns) == list(full.columns)
    assert empty.dtypes.astype(str).to_dict() == full.dtypes.astype(str).to_dict()


def test_reasons_are_counted_without_their_numbers_and_equally_frequent_ones_are_in_order():
    reasons = ["year gap 7", "", "too little glacier", "year gap 12", "rejected id", "no outline", "no outline"]
    assert count_reasons(reasons) == "2 x no outline, 2 x year gap, 1 x rejected id, 1 x too little glacier"
    assert count_reasons(["no composite for 2010", "no composite for 2012"]) == "2 x no composite"
    assert count_reasons(["", ""]) == ""


def test_of_several_analyses_of_a_glacier_the_one_with_the_largest_area_in_the_cell_counts():
    analyses = pd.DataFrame({"outline": ["a@1", "a@2", "a@3", "b"], "glacier": ["a", "a", "a", "b"]})
    joined = pd.DataFrame(
        [
            ("c1", "a@1", 5.0, 2001), ("c1", "a@2", 9.0, 2002), ("c1", "a@3", 7.0, 2003), ("c1", "b", 1.0, 2004),
            ("c0", "a@3", 4.0, 2003), ("c0", "a@2", 4.0, 2002),
        ],
        columns=["cell", "outline", "area_m2", "year"],
    )  # fmt: skip

    found = join_glaciers(joined, gpd.GeoDataFrame(analyses, geometry=[None] * 4))

    # Of equal ones the first by name.
    assert found.to_numpy().tolist() == [["c0", "a", 4.0, 2002], ["c1", "a", 9.0, 2002], ["c1", "b", 1.0, 2004]]
    assert list(found.columns) == list(joined.columns)

"""What became of cells and composites is said in words: how many are used, and why others are not."""

import pandas as pd
import pytest

from gcn_luigi.prepare.partitions.overview import larger_cells, make_overview, unused_years, unused_years_warning
from tests.unit.test_settings import make


def catalog(*rows):
    table = pd.DataFrame(rows, columns=["used", "reason", "year"])
    return table.astype({"year": "Int64", "reason": "str"})


CELLS = catalog(
    (True, "", 2010), (True, "", 2010), (False, "buffer", 2018), (False, "outside the tiles", None),
    (False, "buffer", 2010),
)  # fmt: skip


def test_the_reasons_are_counted_and_shared_glaciers_are_named():
    found = make_overview(CELLS, {"shared_glaciers": ["RGI60-01.10689"]}, make(years=[2010, 2018]))

    assert list(found.lines()) == [
        "cells: 2 of 5 used; not used: 2 x buffer, 1 x partly or wholly outside the tiles",
        "composites that no cell uses: 2018",
        "glaciers in both splits: RGI60-01.10689",
    ]
    assert found.as_dict()["unused_years"] == [2018]


def test_where_all_is_used_nothing_more_is_said():
    found = make_overview(CELLS[:2], {"shared_glaciers": []}, make(years=[2010]))

    assert list(found.lines()) == ["cells: 2 of 2 used"]


def test_a_cell_that_is_cut_from_several_composites_uses_them_all():
    every = CELLS.assign(years=["2006;2010", "2010", "2018", "", "2010"])

    assert unused_years(every, [2000, 2006, 2010, 2018]) == (2000, 2018)


def test_without_a_used_cell_no_composite_is_called_unused():
    assert unused_years(CELLS[2:], [2010, 2018]) == ()


@pytest.mark.parametrize(("years", "told"), [([2010], 0), ([2010, 2018], 0), ([1990, 2010, 2018], 1)])
def test_a_warning_is_given_if_most_composites_are_unused(years, told):
    warnings = list(unused_years_warning(CELLS, make(years=years)))

    assert len(warnings) == told
    assert all("2 of the 3 composites, 1990, 2018:" in one and "[year]" in one for one in warnings)


@pytest.mark.parametrize(
    ("cell", "chip", "step", "candidates", "told"),
    [
        (128, 128, 32, 15, "cells of 192 px ([grid] size) would give 9 each"),
        (128, 64, 32, 135, ""),
        (160, 128, 32, 15, ""),
        (256, 128, 64, 60, ""),
    ],
)
def test_larger_cells_are_advised_if_each_gives_one_chip(cell, chip, step, candidates, told):
    settings = make(grid={"size": cell}, chips={"size": chip, "step": step})

    advice = list(larger_cells(settings, candidates, 15))

    assert len(advice) == bool(told)
    assert all(told in one for one in advice)


def test_an_imported_grid_gets_no_advice_on_its_size():
    settings = make(grid={"size": 128, "path": "grid.gpkg"}, chips={"size": 128, "step": 32})

    assert list(larger_cells(settings, 15, 15)) == []

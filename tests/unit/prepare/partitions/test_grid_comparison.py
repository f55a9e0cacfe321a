"""Grids of different cell sizes."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.partitions.grid_comparison import compare_grids, describe_cells, describe_shares

LATTICE = Lattice("EPSG:3338", 0.0, 640.0, 10.0, 64, 64)


def catalog(rows):
    frame = pd.DataFrame([(split, True) for split, _ in rows], columns=["split", "used"])
    boxes = [box for _, box in rows]
    frame["row"] = [round((LATTICE.top - box.bounds[3]) / LATTICE.pixel_size) for box in boxes]
    frame["col"] = [round((box.bounds[0] - LATTICE.left) / LATTICE.pixel_size) for box in boxes]
    return gpd.GeoDataFrame(frame, geometry=boxes, crs=LATTICE.crs)


def outlines(*shapes):
    years = pd.array([2006] * len(shapes), dtype="Int64")
    table = {"outline": [f"g{i}" for i in range(len(shapes))], "year": years}
    return gpd.GeoDataFrame(table, geometry=list(shapes), crs=LATTICE.crs)


def test_sizes_are_compared_on_the_same_ground():
    halves = catalog([("train", shapely.box(0, 0, 320, 640)), ("dev", shapely.box(320, 0, 640, 320))])

    result = compare_grids(LATTICE, outlines(shapely.box(0, 0, 640, 160)), halves, sizes=(16, 32, 64))

    assert [result[size]["train"]["n_cells"] for size in ("16", "32", "64")] == [8, 2, 1]
    assert [result[size]["dev"]["n_cells"] for size in ("16", "32", "64")] == [4, 1, 0]
    assert [result[size]["train"]["mean"] for size in ("16", "32", "64")] == [0.25, 0.25, 0.25]
    assert [result[size]["train"]["variance"] for size in ("16", "32")] == [0.1875, 0.0625]
    assert result["64"]["dev"]["mean"] is None


def test_an_imported_grid_is_compared_by_its_own_cells():
    # Cells of 16 px from row -3, column 5: no multiple of anything.
    boxes = [shapely.box(x, 670 - y, x + 160, 830 - y) for y in (160, 320, 480) for x in (50, 210, 370)]
    splits = ["train", "dev", "train", "dev", "train", "train", "train", "dev", "dev"]
    ice = shapely.box(0, 0, 300, 450)
    shares = np.array([box.intersection(ice).area / box.area for box in boxes])
    grid = catalog(list(zip(splits, boxes, strict=True)))

    found = compare_grids(LATTICE, outlines(ice), grid, sizes=(16, 48))

    for split in ("train", "dev"):
        own = shares[np.array(splits) == split]
        assert found["16"][split]["n_cells"] == len(own)
        assert found["16"][split]["mean"] == pytest.approx(own.mean(), abs=1e-12)
        assert found["16"][split]["variance"] == pytest.approx(own.var(), abs=1e-12)
    assert (found["48"]["train"]["n_cells"], found["48"]["dev"]["n_cells"]) == (1, 0)
    assert found["48"]["train"]["mean"] == pytest.approx(shares.mean())


@pytest.mark.parametrize("corner", [(0, 0), (-3, 5), (300, -300), (16, 17)])
def test_the_cells_compared_cover_every_pixel_once(corner):
    grid = catalog([("train", shapely.box(0, 0, 640, 640))]).assign(row=corner[0], col=corner[1])

    cells = describe_cells(LATTICE, outlines(), grid, 16)

    seen = np.zeros(LATTICE.shape, int)
    for row, col in zip(cells["row"].tolist(), cells["col"].tolist(), strict=True):
        part = Window(row, col, 16, 16).intersection(LATTICE.window)
        assert not part.is_empty
        seen[part.row : part.row + part.height, part.col : part.col + part.width] += 1
        assert (row - corner[0]) % 16 == (col - corner[1]) % 16 == 0
    assert (seen == 1).all()


def test_a_catalog_without_cells_compares_nothing():
    found = compare_grids(LATTICE, outlines(), catalog([("dev", shapely.box(0, 0, 1, 1))]).iloc[:0], sizes=(16,))

    assert found["16"]["dev"]["n_cells"] == found["16"]["train"]["n_cells"] == 0


def test_a_description_agrees_with_numpy():
    shares = np.random.default_rng(2).random(500)

    found = describe_shares(np.append(shares, [0.0, 1.0]))

    assert found["mean"] == pytest.approx(np.append(shares, [0, 1]).mean())
    assert found["std"] ** 2 == pytest.approx(found["variance"])
    assert len(found["histogram"]) == 100
    assert sum(found["histogram"]) == found["n_cells"] == 502
    assert found["histogram"][-1] >= 1

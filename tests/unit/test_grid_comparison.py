"""Grids of different cell sizes."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.grid_comparison import compare_grids, describe_shares

LATTICE = Lattice("EPSG:3338", 0.0, 640.0, 10.0, 64, 64)


def catalog(rows):
    frame = pd.DataFrame([(split, True) for split, _ in rows], columns=["split", "used"])
    return gpd.GeoDataFrame(frame, geometry=[box for _, box in rows], crs=LATTICE.crs)


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


def test_a_description_agrees_with_numpy():
    shares = np.random.default_rng(2).random(500)

    found = describe_shares(np.append(shares, [0.0, 1.0]))

    assert found["mean"] == pytest.approx(np.append(shares, [0, 1]).mean())
    assert found["std"] ** 2 == pytest.approx(found["variance"])
    assert len(found["histogram"]) == 100
    assert sum(found["histogram"]) == found["n_cells"] == 502
    assert found["histogram"][-1] >= 1

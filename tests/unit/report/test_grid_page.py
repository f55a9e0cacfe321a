"""The page of grid sizes, its numbers, and what commands make of it."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.config import Region
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import write_geotiff
from gcn_luigi.io.tables import write_geopackage, write_geoparquet
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.chips.chips import chip_load
from gcn_luigi.prepare.partitions.grid_comparison import compare_grids, describe_cells
from gcn_luigi.prepare.statistics.statistics import ks_of_samples
from gcn_luigi.report.grids.data import read_grid_data
from gcn_luigi.report.grids.page import caveats, chip_table, describe, share_table, write_grid_page
from gcn_luigi.settings import RegionSettings
from tests.reference.html_page import Page

LATTICE = Lattice("EPSG:32607", left=500_000.0, top=6_800_000.0, pixel_size=20.0, height=64, width=100)
EVIL = "<script>alert('$x_1$')</script>"
SIZES = (16, 32, 64)


def box(row, col, height, width):
    left, top = LATTICE.left + 20.0 * col, LATTICE.top - 20.0 * row
    return shapely.box(left, top - 20.0 * height, left + 20.0 * width, top)


def make_region(root, *, splits, ice, chips):
    """Write what the page reads: cells of 32 px, and one outline for each box of `ice`."""
    settings = RegionSettings.model_validate(
        {
            "region": "tiny",
            "data_root": ".",
            "years": [2005],
            "bands": [{"name": "b7", "role": "optical"}],
            "outlines": {"path": f"{EVIL[:8]}.gpkg".replace("<", "_").replace(">", "_")},
            "label": {"stem": "stem.tif"},
            "grid": {"size": 32},
            "chips": chips,
        }
    )
    paths = DatasetPaths(root / "out" / "tiny")
    paths.root.mkdir(parents=True)
    tile = SourceFile("0", "b7", "optical/0/0_b7.tif", LATTICE.window, "int16", None, 1)
    paths.inventory.write_text(Inventory(LATTICE, (tile,)).to_json(), encoding="utf-8")
    cells = [(row, col) for row in (0, 32) for col in (0, 32, 64)]
    table = pd.DataFrame(cells, columns=["row", "col"])
    table.insert(0, "partition", pd.array([f"p{i}" for i in range(6)], dtype="str"))
    table["split"] = pd.array(splits, dtype="str")
    table["used"] = table["split"] != ""
    boxes = [box(row, col, 32, 32) for row, col in cells]
    catalog = gpd.GeoDataFrame(table, geometry=boxes, crs=LATTICE.crs)
    write_geoparquet(paths.catalog, catalog)
    names = [f"RGI60-01.{i:05d}" for i in range(len(ice))]
    outlines = gpd.GeoDataFrame({"RGIId": names, "BgnDate": "20050101"}, geometry=list(ice), crs=LATTICE.crs)
    write_geopackage(root / settings.outlines.path, outlines, "outlines")
    shapes = outlines.assign(outline=names, year=pd.array([2005] * len(ice), dtype="Int64"))
    compared = compare_grids(LATTICE, shapes, catalog, SIZES)
    paths.grid_comparison.write_text(json.dumps(compared), encoding="utf-8")
    label = np.zeros((1, *LATTICE.shape), np.uint8)
    label[0, :20, :40] = 2
    write_geotiff(paths.label, LATTICE, label, nodata=255, names=["label"])
    return Region(settings, root), paths


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    splits = ["train", "train", "dev", "train", "", "dev"]
    ice = [box(0, 0, 16, 32), box(0, 64, 64, 90)]
    return make_region(
        tmp_path_factory.mktemp("grids"), splits=splits, ice=ice, chips={"size": 32, "step": 8, "edge": "clamp"}
    )


@pytest.fixture(scope="module")
def text(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "grids.html"
    write_grid_page(*made, out)
    return out.read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_every_picture_and_table_is_named(text):
    page = Page(text)

    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert [attrs["role"] for attrs in page.all("svg")] == ["img", "img"]
    assert all(attrs["aria-label"] for attrs in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table")) == 2
    assert page.all("script") == []
    assert "http-equiv" in text


def test_the_same_dataset_gives_the_same_bytes_and_they_tell_no_place(made, text, tmp_path):
    write_grid_page(*made, tmp_path / "again.html")

    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text
    assert str(made[1].root.parent) not in text


def test_the_numbers_are_those_of_the_cells(made):
    small, own, large = read_grid_data(*made).sizes

    assert (own.n_cells("train"), own.n_cells("dev")) == (3, 2)
    assert (small.n_cells("train"), small.n_cells("dev")) == (12, 8)
    # The first of 64 px is three quarters train; the second one hangs over the lattice and is all dev.
    assert (large.n_cells("train"), large.n_cells("dev")) == (1, 1)
    assert own.mean("train") == pytest.approx((0.5 + 0 + 0) / 3)
    assert own.mean("dev") == 1.0
    assert own.ks == 1.0
    # 512 of 512 + 36 x 64 pixels of glacier lie in train; dev holds 32 of the 36 columns.
    assert own.glacier_share("train") == pytest.approx(512 / (512 + 36 * 64))
    assert own.glacier_share("dev") == pytest.approx(32 * 64 / (512 + 36 * 64))
    # Glacier beyond the lattice is none of it.
    assert large.glacier_share("dev") == pytest.approx(36 * 64 / (512 + 36 * 64))
    assert [grid.n_chips("train") for grid in (small, own, large)] == [0, 3, 25]


def test_the_reading_says_what_the_tables_say(made):
    data = read_grid_data(*made)

    said = " ".join(describe(data))

    assert "cover 16.7% of a cell in train and 100.0% in dev, 83.3 percentage points more" in said
    assert "none at 16 px, which is smaller than a chip" in said
    assert "25 training chips at 64 px" in said
    assert "Fewer than 20 cells" in caveats(data)[0]
    assert [row[0] for row in share_table(data).rows] == ["16\u00a0px", "", "32\u00a0px", "", "64\u00a0px", ""]
    assert chip_table(data).rows[0][4] == "\u2013"


def test_a_split_without_cells_and_a_region_without_ice_are_told(tmp_path):
    splits = ["train", "", "", "", "", ""]
    far = [shapely.box(0, 0, 1, 1)]
    made = make_region(tmp_path, splits=splits, ice=far, chips={"size": 32, "step": 32})

    write_grid_page(*made, tmp_path / "grids.html")

    said = " ".join(describe(read_grid_data(*made)))
    assert "32 px: dev has no cell of this size" in said
    assert "64 px: train and dev have no cell of this size" in said
    assert "No outline covers pixels of the region" in said
    assert Page((tmp_path / "grids.html").read_text(encoding="utf-8")).open == []


def test_cells_are_judged_once_and_hold_all_glacier_of_the_lattice(made):
    region, layout = made
    data = read_grid_data(region, layout)
    area = {grid.size: grid.cells["glacier_m2"].sum() for grid in data.sizes}

    assert area == {size: pytest.approx((512 + 36 * 64) * 400.0) for size in SIZES}
    for grid in data.sizes:
        assert list(grid.cells.columns) == ["row", "col", "split", "share", "glacier_m2"]
        assert grid.cells["share"].between(0, 1).all()


def test_a_catalog_and_outlines_without_rows_give_cells_without_split():
    columns = {"split": pd.array([], dtype="str"), "used": np.array([], bool), "row": [], "col": []}
    catalog = gpd.GeoDataFrame(columns, geometry=[], crs=LATTICE.crs)
    empty = {"outline": [], "year": pd.array([], dtype="Int64")}

    cells = describe_cells(LATTICE, gpd.GeoDataFrame(empty, geometry=[], crs=LATTICE.crs), catalog, 32)

    assert len(cells) == 8
    assert (cells["split"] == "").all()
    assert (cells["share"] == 0).all()


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_the_distance_is_that_of_the_definition(train, dev):
    expected = max(
        abs(sum(one <= value for one in train) / len(train) - sum(one <= value for one in dev) / len(dev))
        for value in (*train, *dev)
    )

    assert ks_of_samples(np.array(train), np.array(dev)) == pytest.approx(expected)
    assert ks_of_samples(np.array(dev), np.array(train)) == pytest.approx(expected)


def test_no_cell_has_no_distance():
    assert ks_of_samples(np.empty(0), np.array([0.5])) is None
    assert ks_of_samples(np.array([0.5]), np.empty(0)) is None


def test_values_within_one_bin_are_told_apart():
    assert ks_of_samples(np.array([0.001, 0.002]), np.array([0.003, 0.004])) == 1.0


@pytest.mark.parametrize(
    ("cell", "step", "edge", "n_chips", "most", "unseen"),
    [
        (256, 128, "clamp", 4, 1, 0.0),
        (256, 32, "clamp", 25, 16, 0.0),
        (128, 8, "clamp", 1, 1, 0.0),
        (512, 32, "clamp", 169, 16, 0.0),
        (300, 128, "drop", 4, 1, 1 - (256 / 300) ** 2),
    ],
)
def test_chips_of_a_cell_are_counted(cell, step, edge, n_chips, most, unseen):
    load = chip_load(cell, 128, step, edge)

    assert (load.n_chips, load.most) == (n_chips, most)
    assert load.unseen == pytest.approx(unseen)
    assert load.overlap == pytest.approx(n_chips * 128**2 / (cell**2 * (1 - unseen)))


def test_lengths_that_are_not_positive_are_refused():
    with pytest.raises(ConfigError):
        chip_load(0, 128, 32, "clamp")
